"""The terms of a vocabulary as vectors of an image-text space, kept on disk so that each is encoded once.

Only wordings whose every word the model knows are asked; what it is ignorant of is named.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dam_pipeline.models import ImageTextModel
from dam_pipeline.records import Space
from dam_pipeline.stores.derived import replaced
from dam_pipeline.tagging.background import file_name
from dam_pipeline.tagging.vocabulary import Vocabulary, shipped_vocabulary


@dataclass(frozen=True, slots=True)
class Wordings:
    """Unit vectors (n, d) float32 of wordings; those of term `tags[i]` end before row `ends[i]`.

    `unknown` are the ids of terms that the model lacks the words for.
    """

    tags: tuple[str, ...]
    ends: tuple[int, ...]
    vectors: np.ndarray
    unknown: tuple[str, ...]

    def cosines(self, vectors: np.ndarray) -> np.ndarray:
        """Cosine (n, tags) of the best wording of each term with unit vectors (n, d)."""
        if not self.tags:
            return np.zeros((len(vectors), 0), np.float32)
        starts = [0, *self.ends[:-1]]
        return np.maximum.reduceat(vectors @ self.vectors.T, starts, axis=1)


def wordings_path(home: Path, space: str, vocabulary: Vocabulary) -> Path:
    """Where the wordings of a vocabulary in a space are kept: a cache, safe to delete."""
    return home / "cache" / "tagging" / f"{file_name(space)}-{vocabulary.version}.npz"


def open_wordings(
    home: Path, space: Space, vocabulary: Vocabulary, model: Callable[[], ImageTextModel]
) -> Wordings:
    """The wordings of a vocabulary in a space; calls `model` only when they are not kept yet."""
    path = wordings_path(home, space.name, vocabulary)
    if (kept := _read(path)) is not None:
        return kept
    made = encode_terms(vocabulary, model())
    _forget_others(home, path, space.name)
    _write(made, path)
    return made


def encode_terms(vocabulary: Vocabulary, model: ImageTextModel) -> Wordings:
    """The wordings of all terms that the model is asked for and has the words of."""
    texts: list[str] = []
    tags, ends, unknown = [], [], []
    for term in vocabulary.asked_of(model.space.name.partition("@")[0]):
        known = [text for text in term.ask if not model.unknown_words(text)]
        if not known:
            unknown.append(term.id)
            continue
        texts += known
        tags.append(term.id)
        ends.append(len(texts))
    vectors = _ensembles(texts, _known_templates(vocabulary, model), model)
    return Wordings(tuple(tags), tuple(ends), vectors, tuple(unknown))


def _ensembles(texts: list[str], templates: Sequence[str], model: ImageTextModel) -> np.ndarray:
    """The mean over the templates of each text (Radford et al. 2021, section 3.1.4), of length 1."""
    encoded = [model.encode_texts([one.format(text) for text in texts]) for one in templates]
    vectors = np.mean(encoded, axis=0, dtype=np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def _known_templates(vocabulary: Vocabulary, model: ImageTextModel) -> list[str]:
    known = [one for one in vocabulary.templates if not model.unknown_words(one.replace("{}", ""))]
    return known or ["{}"]


def _forget_others(home: Path, path: Path, space: str) -> None:
    # A vocabulary that is being edited would leave a file for every version of it.
    shipped = wordings_path(home, space, shipped_vocabulary())
    for old in path.parent.glob(f"{file_name(space)}-*.npz"):
        if old != shipped:
            old.unlink(missing_ok=True)


def _write(wordings: Wordings, path: Path) -> None:
    about = {"tags": wordings.tags, "ends": wordings.ends, "unknown": wordings.unknown}
    with replaced(path) as temporary, open(temporary, "wb") as file:
        text = np.frombuffer(json.dumps(about).encode(), np.uint8)
        np.savez(file, about=text, vectors=wordings.vectors)


def _read(path: Path) -> Wordings | None:
    try:
        with np.load(path, allow_pickle=False) as stored:
            about = json.loads(stored["about"].tobytes())
            vectors = stored["vectors"]
    except (OSError, ValueError, KeyError):
        return None  # a cache that is damaged is made again
    return Wordings(tuple(about["tags"]), tuple(about["ends"]), vectors, tuple(about["unknown"]))
