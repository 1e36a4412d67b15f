"""Downloads of known weights: the only place of the pipeline that asks a network for a model.

Called by `dam models fetch` through `weights`, never by a worker.
"""

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from dam_pipeline.errors import WeightsMissing
from dam_pipeline.models.known import KnownModel

_BLOCK_BYTES = 1 << 20
_TIMEOUT_S = 60


def download(known: KnownModel, folder: Path, on_progress: Callable[[float], None]) -> None:
    """Bring the files of `known` into `folder`; raises WeightsMissing when they cannot be had.

    A download from the Hugging Face hub also draws its own progress bars on standard error.
    """
    on_progress(0.0)
    if known.url:
        _from_url(known, folder, on_progress)
    else:
        _from_hub(known, folder)
    on_progress(1.0)


def _from_hub(known: KnownModel, folder: Path) -> None:
    import shutil

    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        snapshot_download(
            known.hub,
            revision=known.revision,
            allow_patterns=list(known.hub_files),
            local_dir=folder,
        )
    except (OSError, HfHubHTTPError) as error:
        raise _unreachable(known, f"{known.source} at {known.revision}", error) from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the hub's own bookkeeping


def _from_url(known: KnownModel, folder: Path, on_progress: Callable[[float], None]) -> None:
    target = folder / known.url.rsplit("/", 1)[-1]
    try:
        with urllib.request.urlopen(known.url, timeout=_TIMEOUT_S) as source:
            total = int(source.headers.get("Content-Length") or 0)
            with open(target, "wb") as file:
                while block := source.read(_BLOCK_BYTES):
                    file.write(block)
                    if total:
                        on_progress(min(1.0, file.tell() / total))
                if file.tell() < total:
                    raise ConnectionError(f"it ended after {file.tell()} of {total} bytes")
    except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
        raise _unreachable(known, known.url, error) from error


def _unreachable(known: KnownModel, address: str, error: Exception) -> WeightsMissing:
    return WeightsMissing(
        f"{known.name} could not be downloaded from {address} ({_first_line(error)}): check the "
        f"network, or bring its files here and run `dam models import FOLDER`."
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
