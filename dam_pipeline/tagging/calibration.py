"""Backgrounds made anew: from a folder of pictures, or from the vectors of the library.

Sub-folders named like terms say what their pictures show; all other pictures are unlabelled.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dam_pipeline.errors import ConfigurationError, MediaError
from dam_pipeline.formats import kind_of_name
from dam_pipeline.models import ImageTextModel
from dam_pipeline.records import Media, MediaKind, Space, State
from dam_pipeline.settings import Settings
from dam_pipeline.stores.derived import DerivedFiles
from dam_pipeline.tagging.background import Background
from dam_pipeline.tagging.vocabulary import Vocabulary

LEAST = 30  # pictures below which nothing can be said
MOST = 5000  # vectors of a library that are used, spread evenly over it
AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Calibration:
    """A new background, and what a person should know of how it came about."""

    background: Background
    warnings: tuple[str, ...] = ()


def from_folder(
    folder: Path, vocabulary: Vocabulary, model: ImageTextModel, settings: Settings
) -> Calibration:
    """The background of all pictures below a folder, labelled by the sub-folder they are in.

    Raises ConfigurationError when it is no folder or holds fewer than `LEAST` readable pictures.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is no folder. Give one that holds pictures.")
    vectors, labels, warnings = [], [], []
    batch: list[np.ndarray] = []
    for path in _pictures(folder):
        try:
            batch.append(_read(path, settings))
        except (MediaError, OSError) as error:
            warnings.append(f"{path.name} was left out: {error}")
            continue
        labels.append(_label(path, folder, vocabulary))
        if len(batch) == AT_ONCE:
            vectors.append(model.encode_images(batch))
            batch = []
    vectors.append(model.encode_images(batch))
    _check_count(len(labels), f"{folder} holds")
    unknown = sorted(
        {p.name for p in folder.iterdir() if p.is_dir() and not vocabulary.find(p.name)}
    )
    if unknown:
        warnings.append(f"No terms, so their pictures count as unlabelled: {', '.join(unknown)}.")
    source = f"{len(labels)} pictures of {folder.name}"
    made = Background(model.space.name, np.concatenate(vectors), tuple(labels), source)
    return Calibration(made, tuple(warnings))


def from_library(derived: DerivedFiles, media: Sequence[Media], space: Space) -> Calibration:
    """The background of what the library has stored in a space; no picture is read.

    Raises ConfigurationError when it holds fewer than `LEAST` vectors.
    """
    found: list[np.ndarray] = []
    for one in media:
        outcome = derived.outcome(one.media_id, "clip_embeddings")
        is_of_space = outcome and outcome.result.get("space") == space.name
        if outcome and is_of_space and outcome.state is State.DONE and outcome.rows:
            rows = derived.table(one.media_id, "clip_embeddings")["vector"].to_pylist()
            found.append(np.asarray(rows, np.float32).reshape(-1, space.dimension))
    vectors = np.concatenate(found) if found else np.zeros((0, space.dimension), np.float32)
    _check_count(len(vectors), "The library holds")
    chosen = vectors[np.linspace(0, len(vectors) - 1, min(len(vectors), MOST)).astype(int)]
    source = f"{len(chosen)} keyframes of the library"
    return Calibration(Background(space.name, chosen, (None,) * len(chosen), source))


def _check_count(count: int, holds: str) -> None:
    if count < LEAST:
        raise ConfigurationError(
            f"{holds} {count} pictures that can be used; thresholds take at least {LEAST}, better "
            "some hundreds."
        )


def _pictures(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if kind_of_name(name) is MediaKind.IMAGE and not name.startswith("."):
                yield Path(parent, name)


def _read(path: Path, settings: Settings) -> np.ndarray:
    from dam_pipeline.media.photo import read_photo

    return np.asarray(read_photo(str(path), settings.keyframe_px, settings.max_megapixels).image)


def _label(path: Path, folder: Path, vocabulary: Vocabulary) -> tuple[str, ...] | None:
    parts = path.relative_to(folder).parts[:-1]
    found = [term.id for part in parts if (term := vocabulary.find(part))]
    return tuple(found) or None
