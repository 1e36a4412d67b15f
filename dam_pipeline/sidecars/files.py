"""Sidecars as files: read whole, and put in their place at once, unless somebody wrote meanwhile."""

import os
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path

from dam_pipeline.errors import ConfigurationError, SourceChanged, UnreadableMedia
from dam_pipeline.identity import display_name, path_to_uri
from dam_pipeline.sidecars.naming import SUFFIX
from dam_pipeline.stores.derived import raise_if_full

LARGEST_BYTES = 64 << 20  # Lightroom keeps masks in them; what is larger is no sidecar
PART = ".dam-sidecar-"
LEFT_OVER_S = 3600.0

_cleared: set[Path] = set()


def read_sidecar(path: Path) -> bytes | None:
    """A sidecar's content, None when there is none; raises UnreadableMedia for what is none."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise UnreadableMedia(f"has more than {LARGEST_BYTES >> 20} MiB.")
        return path.read_bytes()
    except FileNotFoundError:
        return None


def put_sidecar(path: Path, content: bytes, before: bytes | None) -> None:
    """Put a sidecar in the place of what was read there (None: of nothing); it is there whole or not.

    A link is followed, the file keeps its rights. Raises SourceChanged when it is not what was read
    any more, ConfigurationError when it cannot be written there, DiskFull.
    """
    target = Path(os.path.realpath(path))
    if target.suffix.lower() != SUFFIX:
        name = display_name(path_to_uri(target))
        raise ConfigurationError(f"leads to {name}, which is no sidecar. Remove that link.")
    part = target.with_name(f"{PART}{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _clear(target.parent)
        with open(part, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _take_place(part, target, before)
    except OSError as error:
        raise_if_full(error, target)
        raise ConfigurationError(
            f"cannot be written ({error.strerror}). Give another folder: --out DIR."
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _take_place(part: Path, target: Path, before: bytes | None) -> None:
    changed = SourceChanged("changed while it was merged. Run the command again.")
    if before is None:
        try:
            os.link(part, target)  # unlike a rename it takes nobody's place
            return
        except FileExistsError as error:
            raise changed from error
        except OSError:
            if target.exists():  # a file system without links
                raise changed from None
    elif read_sidecar(target) != before:
        raise changed
    else:
        shutil.copymode(target, part)
    os.replace(part, target)


def _clear(folder: Path) -> None:
    """Remove what a process left that was killed long ago; once a folder."""
    if folder in _cleared:
        return
    _cleared.add(folder)
    for left in folder.glob(f"{PART}*.tmp"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > LEFT_OVER_S:
                left.unlink()
