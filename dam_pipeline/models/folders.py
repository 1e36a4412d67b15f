"""Models in transformers' folder form: opened whole, from disk alone, and quietly.

Which class computes what is `clip`'s and `minilm`'s affair.
"""

from typing import Any

from dam_pipeline.errors import WeightsMismatch
from dam_pipeline.models.device import memory_guard, torch_device
from dam_pipeline.models.locate import Found
from dam_pipeline.settings import Settings


def open_network(found: Found, settings: Settings, precision: str = "fp32") -> Any:
    """The network of a folder, ready to compute on the settings' device.

    Raises WeightsMismatch when the files are damaged or do not hold all of the network (which
    transformers would fill with random numbers), OutOfMemory when it does not fit.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    device = torch_device(settings)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    try:
        with memory_guard(found.name, "Set DAM_DEVICE=cpu or choose a smaller model."):
            network, loading = AutoModel.from_pretrained(
                found.path, local_files_only=True, dtype=dtype, output_loading_info=True
            )
            network = network.to(device).eval()
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise _damaged(found, str(error)) from error
    if loading["missing_keys"]:
        raise _damaged(found, f"it lacks {sorted(loading['missing_keys'])[0]}")
    return network


def _damaged(found: Found, why: str) -> WeightsMismatch:
    reason = (why.strip().splitlines() or ["it cannot be read"])[0]
    return WeightsMismatch(
        f"{found.path} does not hold a whole {found.form} ({reason}). Bring it again with "
        f"`dam models fetch` or `dam models import`."
    )
