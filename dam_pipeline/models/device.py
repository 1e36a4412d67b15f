"""Torch on this machine: threads, device and memory trouble; imports torch only when called."""

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dam_pipeline.errors import OutOfMemory
from dam_pipeline.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    import torch

# Read by OpenMP when torch is first imported. Threads that spin while they wait take the cores from
# the decoder: with both at work, CLIP took 17.7 CPU seconds instead of 7.3 for the same pictures.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_MEMORY_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc")


def threads(settings: Settings) -> int:
    """Threads that a model may use: the setting, or one per core."""
    return settings.torch_threads or os.cpu_count() or 1


def torch_device(settings: Settings) -> "torch.device":
    """The device of the settings, with torch set to the wanted number of threads."""
    import torch

    torch.set_num_threads(threads(settings))
    return torch.device(settings.device)


@contextlib.contextmanager
def memory_guard(what: str, remedy: str) -> Iterator[None]:
    """Turn memory trouble of torch and CTranslate2 into OutOfMemory that says what to do."""
    try:
        yield
    except MemoryError as error:
        raise OutOfMemory(f"Not enough memory for {what}. {remedy}") from error
    except RuntimeError as error:  # torch.OutOfMemoryError is one; CPU allocators say it in words
        if not any(word in str(error).lower() for word in _MEMORY_WORDS):
            raise
        raise OutOfMemory(f"Not enough memory for {what}. {remedy}") from error


def unit_rows(vectors: "torch.Tensor") -> "np.ndarray":
    """Rows (n, d) of any precision as float32 of length 1."""
    from torch.nn.functional import normalize

    rows = normalize(vectors.detach().float(), dim=-1)
    array: np.ndarray = rows.cpu().numpy()
    return array
