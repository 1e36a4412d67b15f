"""Silero's voice activity network in plain torch, from the weights that its package ships.

Only probabilities; `voice` makes spans of them. The package's own `jit` file computes the same
(within 1e-4, tested) frame by frame at 0.011 of the sound's length, this in blocks at 0.002, and
`torch.jit` is deprecated. Layers follow silero-vad 6.2 (`tinygrad_model.py`, MIT).
"""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

from dam_pipeline.errors import WeightsMissing
from dam_pipeline.models.locate import package_path
from dam_pipeline.models.manifest import weights_sha256
from dam_pipeline.records import ModelRef
from dam_pipeline.settings import Settings

SAMPLE_RATE_HZ = 16_000
FRAME = 512  # samples that get one probability: 32 ms
_CONTEXT = 64  # samples of the frame before that each frame sees again
_BLOCK_FRAMES = 1024
_REFLECT = 64
_BINS = 129
_STRIDES = {"conv1": 1, "conv2": 2, "conv3": 2, "conv4": 1}


def silero_ref(settings: Settings) -> ModelRef:
    """The network as provenance names it; raises WeightsMissing without its package."""
    home = package_path("silero_vad")
    if home is None:
        raise WeightsMissing("The voice detector is missing: run `pip install silero-vad`.")
    digest = weights_sha256([home / "data" / _FILE], settings.weights_dir)
    return ModelRef("silero-vad", version("silero-vad"), digest)


_FILE = "silero_vad_16k.safetensors"


class Silero:
    """The network for 16 kHz sound."""

    def __init__(self, settings: Settings) -> None:
        import torch
        from safetensors.torch import load_file

        self.ref = silero_ref(settings)
        home = package_path("silero_vad")
        self._weights: dict[str, Any] = load_file(str(home / "data" / _FILE)) if home else {}
        self._lstm = torch.nn.LSTM(128, 128, batch_first=True)
        self._lstm.load_state_dict(
            {
                f"{name}_l0": self._weights[f"lstm_cell.{name}"]
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            }
        )

    def probabilities(
        self, samples: np.ndarray, on_progress: Callable[[float], None] | None = None
    ) -> np.ndarray:
        """Chance of speech (frames,) of every 32 ms of mono float32 samples, read in blocks."""
        import torch

        rows: list[np.ndarray] = []
        state: Any = None
        context = np.zeros(_CONTEXT, np.float32)
        step = _BLOCK_FRAMES * FRAME
        for at in range(0, len(samples), step):
            block = np.array(samples[at : at + step], np.float32)
            block = np.pad(block, (0, -len(block) % FRAME))
            with torch.inference_mode():
                chances, state = self._block(np.concatenate([context, block]), state)
            rows.append(chances)
            context = block[-_CONTEXT:]
            if on_progress:
                on_progress(min(1.0, (at + step) / len(samples)))
        return np.concatenate(rows) if rows else np.zeros(0, np.float32)

    def _block(self, samples: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        """Chances of a block that starts with its context, and the state after it."""
        import torch
        from torch.nn import functional

        weights = self._weights
        frames = torch.from_numpy(samples).unfold(0, FRAME + _CONTEXT, FRAME)
        x = functional.pad(frames.unsqueeze(1), (0, _REFLECT), mode="reflect")
        x = functional.conv1d(x, weights["stft_conv.weight"], stride=128)
        x = (x[:, :_BINS] ** 2 + x[:, _BINS:] ** 2).sqrt()
        for name, stride in _STRIDES.items():
            weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
            x = functional.conv1d(x, weight, bias, stride=stride, padding=1).relu()
        hidden, state = self._lstm(x.squeeze(-1).unsqueeze(0), state)
        last = functional.linear(
            hidden[0].relu(), weights["final_conv.weight"][..., 0], weights["final_conv.bias"]
        )
        chances: np.ndarray = last[:, 0].sigmoid().numpy()
        return chances, state
