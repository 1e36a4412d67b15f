"""Vectors of pictures from which the thresholds of a space are calibrated, and where they lie.

A library's own (`calibration/<space>.npz`, written by `dam tag calibrate`) comes before the one that
ships beside the weights. Vectors are of one space alone; labels may be unknown.
"""

import hashlib
import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dam_pipeline.models.locate import locate
from dam_pipeline.settings import Settings
from dam_pipeline.stores.derived import replaced
from dam_pipeline.stores.library_files import (
    forget_library_file,
    keep_library_file,
    library_file,
)

BACKGROUND_FILE = "dam_background.npz"
FOLDER = "calibration"


@dataclass(frozen=True, slots=True)
class Background:
    """Unit vectors (n, d) float32 of pictures in `space`, and what each shows.

    `labels` are ids or names of terms; None where nobody knows. `source` says what pictures.
    """

    space: str
    vectors: np.ndarray
    labels: tuple[tuple[str, ...] | None, ...]
    source: str


def background_path(settings: Settings, space: str) -> Path | None:
    """Where the background of a space lies, or None when there is none."""
    own = library_file(settings, _own_name(space))
    if own:
        return own
    shipped = locate(settings, "image_text").path / BACKGROUND_FILE
    return shipped if shipped.exists() and _space_of(shipped) == space else None


def has_own_background(settings: Settings, space: str) -> bool:
    """Whether the library has a background of its own for a space."""
    return library_file(settings, _own_name(space)) is not None


def keep_background(settings: Settings, background: Background) -> Path:
    """Make a background the library's own of its space; gives where it can be read."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "background.npz"
        write_background(background, made)
        return keep_library_file(settings, _own_name(background.space), made)


def forget_background(settings: Settings, space: str) -> None:
    """Delete the library's own background of a space, if it has one."""
    forget_library_file(settings, _own_name(space))


def background_version(settings: Settings, space: str) -> str:
    """Hash of the background's content; empty without one."""
    path = background_path(settings, space)
    return hashlib.blake2b(path.read_bytes(), digest_size=6).hexdigest() if path else ""


def write_background(background: Background, path: Path) -> None:
    """Write a background; the same content gives the same bytes."""
    about = {
        "space": background.space,
        "source": background.source,
        "labels": background.labels,
    }
    with replaced(path) as temporary, open(temporary, "wb") as file:
        text = np.frombuffer(json.dumps(about, sort_keys=True).encode(), np.uint8)
        np.savez_compressed(file, about=text, vectors=background.vectors.astype(np.float16))


def read_background(path: Path) -> Background:
    """The background in a file."""
    with np.load(path, allow_pickle=False) as stored:
        about = json.loads(stored["about"].tobytes())
        vectors = stored["vectors"].astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = tuple(None if one is None else tuple(one) for one in about["labels"])
    return Background(about["space"], vectors, labels, about["source"])


def file_name(space: str) -> str:
    """A space's name as a file may be called."""
    return re.sub(r"[^A-Za-z0-9._@-]", "_", space)


def _own_name(space: str) -> str:
    return f"{FOLDER}/{file_name(space)}.npz"


def _space_of(path: Path) -> str:
    with np.load(path, allow_pickle=False) as stored:
        return str(json.loads(stored["about"].tobytes())["space"])
