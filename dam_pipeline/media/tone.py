"""HDR pictures (PQ, HLG; BT.2020) as an SDR screen shows them.

PyAV's build of ffmpeg has no zscale, and the tone mapping inside its scaler takes seconds to set up
for each file (measured 3 to 9 s), so it is done here: tables, one matrix, one knee.
Sources: SMPTE ST 2084 and BT.2100 (curves), BT.2087 (primaries), BT.2408 (203 cd/m² as white).
"""

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

PQ, HLG = 16, 18  # AVColorTransferCharacteristic
WHITE_NITS = 203.0  # of diffuse white, BT.2408
HLG_PEAK_NITS = 1000.0
KNEE = 0.8  # of SDR white; below, light stays as it is; above, it is rolled off
LEVELS = 4096
TO_BT709 = np.array(  # BT.2087, linear light, BT.2020 to BT.709
    [
        [1.6605, -0.5876, -0.0728],
        [-0.1246, 1.1329, -0.0083],
        [-0.0182, -0.1006, 1.1187],
    ],
    dtype=np.float32,
)

Light = NDArray[np.float32]


def tone_map(picture: NDArray[np.uint16], transfer: int) -> NDArray[np.uint8]:
    """An (h, w, 3) 16-bit PQ or HLG picture in BT.2020 as 8-bit sRGB."""
    light = _light_table(transfer)[picture >> 4]
    light = np.maximum(np.asarray(cv2.transform(light, TO_BT709), dtype=np.float32), 0)
    peak = light.max(axis=2)
    gain = _gain_table()[np.minimum(peak * 256, LEVELS * 4 - 1).astype(np.uint16)]
    coded = np.minimum(light * gain[..., None] * (LEVELS - 1), LEVELS - 1)
    mapped: NDArray[np.uint8] = _srgb_table()[coded.astype(np.uint16)]
    return mapped


@cache
def _light_table(transfer: int) -> Light:
    """Light for 4,096 code levels, 1 being diffuse white."""
    code = np.linspace(0, 1, LEVELS, dtype=np.float64)
    nits = _pq_nits(code) if transfer == PQ else _hlg_nits(code)
    return (nits / WHITE_NITS).astype(np.float32)


def _pq_nits(code: NDArray[Any]) -> NDArray[Any]:
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    root = code ** (1 / m2)
    return 10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)


def _hlg_nits(code: NDArray[Any]) -> NDArray[Any]:
    """The system gamma of 1.2 is applied to each channel: grey is exact, colours nearly."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    return HLG_PEAK_NITS * scene**1.2


@cache
def _gain_table() -> Light:
    """What light of a peak level (in 1/256 of white, to 64 × white) is multiplied with."""
    peak = np.maximum(np.arange(LEVELS * 4, dtype=np.float64), 1) / 256
    room = 1 - KNEE
    rolled = KNEE + room * (1 - np.exp(-(peak - KNEE) / room))
    return (np.where(peak <= KNEE, peak, rolled) / peak).astype(np.float32)


@cache
def _srgb_table() -> NDArray[np.uint8]:
    light = np.linspace(0, 1, LEVELS)
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(coded * 255).astype(np.uint8)
