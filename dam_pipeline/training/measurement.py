"""What a trained checkpoint can do on scenes it never saw, and the cosines below which it should keep quiet.

Here belong the measurements and the floors chosen from them. They read the checkpoint as users do, through
`from_pretrained`, and draw fresh pictures; training does not belong here.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel

from dam_pipeline.samples.drawing import COLOURS, Scene, draw_scene
from dam_pipeline.samples.textures import TEXTURES
from dam_pipeline.training.captions import Wording, bits, facts_of, fits
from dam_pipeline.training.pictures import spoil, views

MEASUREMENT_SEED = 7
LIBRARY_SIZE = 200
"""Pictures in each library that is searched for something it does not hold."""
COPIES = 4
"""Fresh pictures of each held-out scene."""
FRAME_SIZES: tuple[tuple[int, int], ...] = ((320, 180), (256, 256), (240, 180), (180, 320))
"""Sizes (width, height) of the fresh pictures, one for each copy."""
TEXTURES_EACH = 6
KEPT_SAME = 0.95
"""Share of pairs that show the same scene which the image floor keeps."""
GRID = np.linspace(-0.2, 0.95, 231)
"""Text floors that are tried."""
ALLOWED_OTHER = 0.001
"""Share of pairs of different scenes which the looks-like floor lets through."""


@dataclass(frozen=True, slots=True)
class QueryErrors:
    """Errors of one kind of query at the text floor."""

    false_positive_rate: float
    """Share of queries that found something among 200 random pictures, none of which fits."""
    miss_rate: float
    """Share of fitting pictures that stayed below the floor."""


@dataclass(frozen=True, slots=True)
class Figures:
    """All that is measured on held-out scenes."""

    recall_at_1: float
    recall_at_5: float
    top_picture_right: dict[str, float]
    """Attribute → share of captions whose first picture has the value asked for."""
    text_floor: float
    text_errors: dict[str, QueryErrors]
    image_floor: float
    same_scene_kept_at_image_floor: float
    other_scenes_over_image_floor: float
    looks_like_floor: float
    same_scene_kept_at_looks_like_floor: float
    other_scenes_over_looks_like_floor: float
    near_scenes_over_looks_like_floor: float
    """Of pairs that differ in exactly one attribute."""

    @property
    def summary(self) -> str:
        """The figures in one line."""
        right = ", ".join(f"{name} {share:.2f}" for name, share in self.top_picture_right.items())
        errors = ", ".join(
            f"{kind} {error.false_positive_rate:.2f}/{error.miss_rate:.2f}"
            for kind, error in self.text_errors.items()
        )
        return (
            f"recall@1 {self.recall_at_1:.3f} @5 {self.recall_at_5:.3f} ({right}); text floor {self.text_floor:.3f} "
            f"(false/missed: {errors}); image {self.image_floor:.3f} "
            f"({self.other_scenes_over_image_floor:.3f} others), "
            f"looks like {self.looks_like_floor:.3f} ({self.same_scene_kept_at_looks_like_floor:.2f} kept, "
            f"{self.near_scenes_over_looks_like_floor:.3f} near)"
        )


class Encoder:
    """A checkpoint folder as vectors for pictures and texts, both of length 1."""

    def __init__(self, folder: Path) -> None:
        """Load the folder on the CPU in float32."""
        self._model = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._processor = CLIPImageProcessor.from_pretrained(folder)

    def pictures(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Vectors of uint8 RGB pictures of any sizes, float32 (n, dimension)."""
        rows = []
        for start in range(0, len(pictures), 64):
            batch = self._processor(images=list(pictures[start : start + 64]), return_tensors="pt")
            with torch.inference_mode():
                rows.append(self._model.get_image_features(**batch).pooler_output)
        return torch.nn.functional.normalize(torch.cat(rows), dim=-1).numpy()

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of texts, float32 (n, dimension)."""
        tokens = self._tokenizer(list(texts), padding=True, return_tensors="pt")
        with torch.inference_mode():
            vectors = self._model.get_text_features(**tokens).pooler_output
        return torch.nn.functional.normalize(vectors, dim=-1).numpy()


@dataclass(frozen=True, slots=True)
class _Library:
    """Vectors (n, dimension) of pictures and what holds for them, bits (n, facts)."""

    vectors: np.ndarray
    facts: np.ndarray


def measure(encoder: Encoder, scenes: Sequence[Scene]) -> Figures:
    """Retrieval, floors and error rates over fresh pictures of the scenes and of textures."""
    rng, kinds = np.random.default_rng(MEASUREMENT_SEED), (*TEXTURES, *COLOURS)
    drawn = [spoil(draw_scene(scene, size, rng), rng) for size in FRAME_SIZES for scene in scenes]
    others = [view for kind in kinds for _ in range(TEXTURES_EACH) for view in views(kind, rng)[:1]]
    vectors = encoder.pictures([*drawn, *others])
    facts = [bits(facts_of(scene)) for scene in scenes] * COPIES
    facts += [bits(facts_of(kind)) for kind in kinds for _ in range(TEXTURES_EACH)]
    scene_vectors = vectors[: len(drawn)].reshape(COPIES, len(scenes), -1)
    ranks = _ranks(encoder, scenes, scene_vectors)
    floor, errors = _text_floor(encoder, scenes, _Library(vectors, np.stack(facts)))
    return Figures(
        recall_at_1=float((ranks[:, :, 0] == np.arange(len(scenes))).mean()),
        recall_at_5=float((ranks[:, :, :5] == np.arange(len(scenes))[:, None]).any(2).mean()),
        top_picture_right=_right(scenes, ranks[:, :, 0]),
        text_floor=floor,
        text_errors=errors,
        **_image_floors(scenes, scene_vectors),
    )


def write_measurements(figures: Figures, folder: Path) -> None:
    """Write `dam_space.json`, which the pipeline reads, and `figures.json`, which people read."""
    false = np.mean([error.false_positive_rate for error in figures.text_errors.values()])
    missed = np.mean([error.miss_rate for error in figures.text_errors.values()])
    how = (
        f"On fresh pictures of scenes held out from training: at the text floor {false:.1%} of queries found something "
        f"in {LIBRARY_SIZE} pictures of which none fits, and {missed:.1%} of fitting pictures were missed; the image "
        f"floor keeps {KEPT_SAME:.0%} of pairs that show the same scene; over the looks-like floor lie "
        f"{figures.other_scenes_over_looks_like_floor:.2%} of pairs of different scenes and "
        f"{figures.same_scene_kept_at_looks_like_floor:.0%} of pairs that show the same one."
    )
    space = {
        "text_floor": round(figures.text_floor, 4),
        "image_floor": round(figures.image_floor, 4),
        "looks_like_floor": round(figures.looks_like_floor, 4),
        "how": how,
    }
    (folder / "dam_space.json").write_text(json.dumps(space, indent=2) + "\n")
    (folder / "figures.json").write_text(json.dumps(asdict(figures), indent=2) + "\n")


def _ranks(encoder: Encoder, scenes: Sequence[Scene], vectors: np.ndarray) -> np.ndarray:
    """For each copy and caption the five best scenes: int (copies, captions, 5)."""
    texts = encoder.texts([scene.caption for scene in scenes])
    return np.stack([np.argsort(-(texts @ library.T), axis=1)[:, :5] for library in vectors])


def _right(scenes: Sequence[Scene], first: np.ndarray) -> dict[str, float]:
    """Attribute → share of captions whose first scene, int (copies, captions), has the value asked for."""
    shares = {}
    for name in ("count", "colour", "shape", "background"):
        values = np.array([str(getattr(scene, name)) for scene in scenes])
        shares[name] = float((values[first] == values).mean())
    return shares


def queries(scene: Scene) -> dict[str, Wording]:
    """Queries of different length for a scene, by kind."""
    facts = facts_of(scene)
    return {
        "full caption": Wording(scene.caption, facts, 4),
        "red circle": Wording(f"{scene.colour} {scene.shape}", facts[1:3], 2),
        "star": Wording(scene.shape, facts[2:3], 1),
        "blue background": Wording(f"{scene.background} background", facts[3:], 1),
    }


def _text_floor(
    encoder: Encoder, scenes: Sequence[Scene], library: _Library
) -> tuple[float, dict[str, QueryErrors]]:
    """The cosine with the fewest errors of both kinds over all queries, and the errors it makes.

    It is chosen on one half of the pictures; the errors are those on the other half.
    """
    asked = {kind: [queries(scene)[kind] for scene in scenes] for kind in queries(scenes[0])}
    texts = {kind: encoder.texts([w.text for w in wordings]) for kind, wordings in asked.items()}
    errors = [
        {kind: _errors(texts[kind], asked[kind], library, half) for kind in asked}
        for half in (0, 1)
    ]
    total = sum(false + missed for false, missed in errors[0].values())
    place = int(np.argmin(total))
    return float(GRID[place]), {
        kind: QueryErrors(float(false[place]), float(missed[place]))
        for kind, (false, missed) in errors[1].items()
    }


def _errors(
    texts: np.ndarray, asked: list[Wording], library: _Library, half: int
) -> tuple[np.ndarray, np.ndarray]:
    """False-positive and miss rate of queries for every floor in `GRID`, on half of the pictures."""
    rng = np.random.default_rng(MEASUREMENT_SEED)
    cosines = texts @ library.vectors[half::2].T
    fit = fits(library.facts[half::2], asked).T
    best = [
        row[rng.choice(np.flatnonzero(~fitting), LIBRARY_SIZE, replace=False)].max()
        for row, fitting in zip(cosines, fit, strict=True)
    ]
    return (np.array(best)[:, None] >= GRID).mean(0), (cosines[fit][:, None] < GRID).mean(0)


def _image_floors(scenes: Sequence[Scene], vectors: np.ndarray) -> dict[str, float]:
    """The floors for pairs of pictures, from (copies, scenes, dimension) vectors, and what passes.

    They are chosen on two pictures of each scene; what passes is counted on two others.
    """
    scene_bits = np.stack([bits(facts_of(scene)) for scene in scenes])
    shared = scene_bits @ scene_bits.T
    chosen_on, counted_on = vectors[0] @ vectors[1].T, vectors[2] @ vectors[3].T
    image_floor = float(np.quantile(np.diag(chosen_on), 1 - KEPT_SAME))
    looks_like = max(image_floor, float(np.quantile(chosen_on[shared < 4], 1 - ALLOWED_OTHER)))
    kept, apart, close = np.diag(counted_on), counted_on[shared < 4], counted_on[shared == 3]
    return {
        "image_floor": image_floor,
        "same_scene_kept_at_image_floor": float((kept >= image_floor).mean()),
        "other_scenes_over_image_floor": float((apart >= image_floor).mean()),
        "looks_like_floor": looks_like,
        "same_scene_kept_at_looks_like_floor": float((kept >= looks_like).mean()),
        "other_scenes_over_looks_like_floor": float((apart >= looks_like).mean()),
        "near_scenes_over_looks_like_floor": float((close >= looks_like).mean()),
    }
