"""Silero's voice activity network in plain torch, from the weights that its package ships.

Only probabilities; `voice` makes spans of them. The package's own program computes the same (within
1e-4, tested) frame by frame in 0.011 of the sound's length, this in blocks in 0.001 (CPU seconds,
one thread). Layers follow silero-vad 6.2 (MIT). Trap: the `.safetensors` in that package hold other
weights than the `.jit` and `.onnx` files (chances up to 0.98 apart), so the `.jit` is read.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterator
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
_STRIDES = (1, 2, 2, 1)  # of the encoder's four layers
_FILE = "silero_vad.jit"
_NET = "_model."  # the network for 16 kHz; the file holds another for 8 kHz


def silero_ref(settings: Settings) -> ModelRef:
    """The network as provenance names it; raises WeightsMissing without its package."""
    home = package_path("silero_vad")
    if home is None:
        raise WeightsMissing("The voice detector is missing: run `pip install silero-vad`.")
    digest = weights_sha256([home / "data" / _FILE], settings.weights_dir)
    return ModelRef("silero-vad", version("silero-vad"), digest)


class Silero:
    """The network for 16 kHz sound."""

    def __init__(self, settings: Settings) -> None:
        import torch

        self.ref = silero_ref(settings)
        self._weights = _read_weights()
        self._lstm = torch.nn.LSTM(128, 128, batch_first=True)
        self._lstm.load_state_dict(
            {
                f"{name}_l0": self._weights[f"decoder.rnn.{name}"]
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
            with torch.inference_mode(), _one_thread():
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
        x = functional.conv1d(x, weights["stft.forward_basis_buffer"], stride=128)
        x = (x[:, :_BINS] ** 2 + x[:, _BINS:] ** 2).sqrt()
        for layer, stride in enumerate(_STRIDES):
            name = f"encoder.{layer}.reparam_conv"
            weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
            x = functional.conv1d(x, weight, bias, stride=stride, padding=1).relu()
        hidden, state = self._lstm(x.squeeze(-1).unsqueeze(0), state)
        last = functional.linear(
            hidden[0].relu(),
            weights["decoder.decoder.2.weight"][..., 0],
            weights["decoder.decoder.2.bias"],
        )
        chances: np.ndarray = last[:, 0].sigmoid().numpy()
        return chances, state


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Several threads wait for each other in layers this small: ten times the CPU, measured."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _read_weights() -> dict[str, Any]:
    """The tensors of the 16 kHz network by name."""
    import torch

    home = package_path("silero_vad")
    with warnings.catch_warnings():  # torch.jit is deprecated; its files stay readable
        warnings.simplefilter("ignore")
        program = torch.jit.load(str(home / "data" / _FILE) if home else "", map_location="cpu")
    return {
        name.removeprefix(_NET): value
        for name, value in program.state_dict().items()
        if name.startswith(_NET)
    }
