"""dlib's face recognition network, its weights read from dlib's file and run by torch.

dlib's own build for the processor takes ten times as long and none of the packages uses a graphics
card; the vectors agree to five digits. Reading and running alone: chips and meaning are
`dlib_faces`'. Source: `anet_type` in dlib's examples/dnn_face_recognition_ex.cpp (19.24) and the
`serialize` functions of its dnn layers.
"""

import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dam_pipeline.errors import WeightsMismatch

if TYPE_CHECKING:
    import torch

CHIP_PX = 150
DIMENSION = 128
MEAN_RGB = (122.782, 117.001, 104.298)
SCALE = 256.0
# Whether each residual block halves the picture, and its filters, from the input on.
BLOCKS = (
    *((False, 32),) * 3,
    *((True, 64), *((False, 64),) * 3),
    *((True, 128), *((False, 128),) * 2),
    *((True, 256), *((False, 256),) * 2),
    (True, 256),
)
STEM_FILTERS, STEM_SIDE, SIDE = 32, 7, 3
# A layer's name as dlib writes it: one byte for the length of the length, the length, the letters.
LAYER = re.compile(rb"\x01[\x04-\x07](con_|affine_|fc_)\d?")


class DlibNetwork:
    """The network on one device; raises WeightsMismatch when the file holds another one."""

    def __init__(self, path: Path, device: "torch.device") -> None:
        self._device = device
        try:
            self._layers, self._last = _layers(list(_tensors(path.read_bytes())), device)
        except (ValueError, IndexError, struct.error) as error:
            raise WeightsMismatch(
                f"{path} does not hold dlib's face recognition network ({error}). "
                "Install the package face-recognition-models again."
            ) from error

    def vectors(self, chips: Sequence[np.ndarray]) -> np.ndarray:
        """Descriptors (n, 128) of aligned chips (150, 150, 3) uint8 RGB, as dlib gives them."""
        import torch

        pixels = torch.from_numpy(np.stack(chips)).permute(0, 3, 1, 2).to(self._device).float()
        mean = torch.tensor(MEAN_RGB, device=self._device)[:, None, None]
        with torch.inference_mode():
            found: np.ndarray = self._forward((pixels - mean) / SCALE).cpu().numpy()
        return found

    def _forward(self, pixels: "torch.Tensor") -> "torch.Tensor":
        from torch.nn.functional import avg_pool2d, conv2d, max_pool2d, relu

        stem, *rest = self._layers
        flow = max_pool2d(relu(conv2d(pixels, *stem, stride=2)), 3, 2)
        for (halves, _), first, second in zip(BLOCKS, rest[::2], rest[1::2], strict=True):
            step, border = (2, 0) if halves else (1, 1)
            inner = relu(conv2d(flow, *first, stride=step, padding=border))
            inner = conv2d(inner, *second, padding=1)
            flow = relu(_sum(inner, avg_pool2d(flow, 2) if halves else flow))
        return flow.mean(dim=(2, 3)) @ self._last


def _sum(a: "torch.Tensor", b: "torch.Tensor") -> "torch.Tensor":
    """Both added, the smaller one filled up with zeros at the end of each axis, as dlib does."""
    from torch.nn.functional import pad

    if a.shape == b.shape:
        return a + b
    most = [max(sides) for sides in zip(a.shape, b.shape, strict=True)]
    filled = [
        pad(one, [side for axis in (3, 2, 1) for side in (0, most[axis] - one.shape[axis])])
        for one in (a, b)
    ]
    return filled[0] + filled[1]


def _layers(
    tensors: list[tuple[bytes, np.ndarray]], device: "torch.device"
) -> tuple[list[tuple[Any, Any]], Any]:
    """Filters and biases of the convolutions, the affine layers folded in, and the last matrix."""
    import torch

    kinds = b"".join(kind for kind, _ in tensors)
    if kinds != b"con_affine_" * (2 * len(BLOCKS) + 1) + b"fc_":
        raise ValueError("the layers are others")
    filters = [STEM_FILTERS, *(count for _, count in BLOCKS for _ in range(2))]
    sides = [STEM_SIDE] + [SIDE] * (2 * len(BLOCKS))
    layers, inputs = [], 3
    for number, (count, side) in enumerate(zip(filters, sides, strict=True)):
        weights, affine = tensors[2 * number][1], tensors[2 * number + 1][1]
        gain, shift = affine[:count], affine[count:]
        kernel = weights[:-count].reshape(count, inputs, side, side) * gain[:, None, None, None]
        kernel = torch.from_numpy(kernel).to(device).contiguous(memory_format=torch.channels_last)
        layers.append((kernel, torch.from_numpy(weights[-count:] * gain + shift).to(device)))
        inputs = count
    last = tensors[-1][1].reshape(inputs, DIMENSION)
    return layers, torch.from_numpy(last).to(device)


def _tensors(document: bytes) -> Iterator[tuple[bytes, np.ndarray]]:
    """The kind and the parameters (n,) of each layer that has some, from the input on."""
    at = 0
    while layer := LAYER.search(document, at):
        at = layer.end()
        if layer[1] == b"fc_":  # two counts come before its tensor
            for _ in range(2):
                _, at = _whole(document, at)
        sizes = []
        for _ in range(5):  # the form's version and four sides
            size, at = _whole(document, at)
            sizes.append(size)
        count = int(np.prod(sizes[1:]))
        yield layer[1], np.frombuffer(document, "<f4", count, at).astype(np.float32)
        at += 4 * count


def _whole(document: bytes, at: int) -> tuple[int, int]:
    """A whole number as dlib writes it (its length in one byte, then its bytes), and what follows."""
    length = document[at] & 0x0F
    return int.from_bytes(document[at + 1 : at + 1 + length], "little"), at + 1 + length
