"""Folders of weights appear whole or not at all: written beside their place, then renamed.

Safe under two processes: each writes a folder of its own, and the later rename finds the earlier
one's work. Who writes what into the folder is `joining`'s and `weights`' affair.
"""

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from dam_pipeline.errors import ConfigurationError, DiskFull
from dam_pipeline.models.known import Form
from dam_pipeline.models.locate import ORIGIN_FILE


@contextlib.contextmanager
def staged(target: Path, replaces: bool) -> Iterator[Path]:
    """A new folder that becomes `target` when the block ends well and vanishes when it does not.

    A folder already at `target` is replaced, or kept (another process was first). Raises DiskFull
    without room and ConfigurationError where the place cannot be written.
    """
    own = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        own = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        own.chmod(0o755)
        yield own
        for path in own.rglob("*"):
            if path.is_file():
                _flush(path)
        _put_in_place(own, target, replaces)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull(f"No room for {target}; free some space on that disk.") from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise ConfigurationError(
                f"{target.parent} cannot be written; set DAM_MODELS_DIR to a folder that can."
            ) from error
        raise
    finally:
        if own:
            shutil.rmtree(own, ignore_errors=True)


def write_origin(
    folder: Path, name: str, form: Form, revision: str, source: str, sha256: Mapping[str, str]
) -> None:
    """Note beside the weights what they are and where they came from."""
    origin = {
        "name": name,
        "form": form.value,
        "revision": revision,
        "source": source,
        "sha256": dict(sha256),
    }
    (folder / ORIGIN_FILE).write_text(json.dumps(origin, indent=1))


def _put_in_place(own: Path, target: Path, replaces: bool) -> None:
    if replaces and target.exists():
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
        with contextlib.suppress(FileNotFoundError):
            os.rename(target, aside / target.name)
        shutil.rmtree(aside, ignore_errors=True)
    try:
        os.rename(own, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def _flush(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())
