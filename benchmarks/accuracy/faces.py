"""How surely are faces found, told apart and gathered to people?

    faces.py [FOLDER] [--seed N]

With a folder of labelled pictures: the person of a picture is the name of its sub-folder, else its
file name without number; a `pairs.csv` in the folder (columns a, b, same) names the pairs instead.
Each labelled picture is taken to show a face, and its largest one to be the person.
Without a folder there are no photographs with labels: what is measured then are edited copies of the
two faces in scikit-image's public-domain pictures (an easy positive), and is told so.
Sizes and rolls are always measured on those, people on generated vectors spread as dlib's are.
"""

import argparse
import csv
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from figures import keep, tell
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from dam_pipeline.graph.people import Sightings, people
from dam_pipeline.models import FaceModel, open_face
from dam_pipeline.settings import Settings

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
FALSE_SHARE = 1e-3  # of strangers' pairs above the threshold that is proposed
SIZES_PX = (20, 24, 28, 32, 40, 64, 160)
ROLLS_DEG = (0, 15, 30, 45, 60, 90)
SCENE = (1280, 720)
ASTRONAUT = (224, 117, 90)  # middle and side of the face in px
PLACES = 6
LEAST_SAME = 0.925

Pair = tuple[int, int, bool]
Edit = Callable[[Image.Image], Image.Image]
EDITS: dict[str, Edit] = {
    "as it is": lambda image: image,
    "mirrored": ImageOps.mirror,
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.5),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.45),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(2.5)),
    "noisy": lambda image: _noisy(image, 14),
    "re-encoded": lambda image: _encoded(image, 12),
    "tilted left": lambda image: image.rotate(14, Image.Resampling.BICUBIC),
    "tilted right": lambda image: image.rotate(-18, Image.Resampling.BICUBIC),
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "twice the size": lambda image: image.resize((image.width * 2, image.height * 2)),
}


def _noisy(image: Image.Image, depth: float) -> Image.Image:
    pixels = np.asarray(image, float)
    noise = np.random.default_rng(1).normal(0, depth, pixels.shape)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def _encoded(image: Image.Image, quality: int) -> Image.Image:
    with tempfile.TemporaryFile() as file:
        image.save(file, "JPEG", quality=quality)
        return Image.open(file).convert("RGB")


def labelled(folder: Path) -> tuple[list[Path], list[Pair]]:
    """Pictures of a folder and the pairs of their numbers, with whether both show one person."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if (folder / "pairs.csv").exists():
        return paths, list(_told_pairs(folder, paths))
    names = [_person(folder, path) for path in paths]
    return paths, [(a, b, names[a] == names[b]) for a, b in combinations(range(len(paths)), 2)]


def _told_pairs(folder: Path, paths: Sequence[Path]) -> Iterator[Pair]:
    numbers = {path.name: number for number, path in enumerate(paths)}
    numbers |= {path.relative_to(folder).as_posix(): number for number, path in enumerate(paths)}
    with (folder / "pairs.csv").open(newline="") as file:
        for a, b, same, *_ in csv.reader(file):
            if a in numbers and b in numbers:
                yield numbers[a], numbers[b], same.strip().lower() in ("1", "true", "yes", "same")


def _person(folder: Path, path: Path) -> str:
    inside = path.relative_to(folder)
    name = inside.parts[-2] if len(inside.parts) > 1 else re.sub(r"[\W_]*\d*$", "", path.stem)
    return name.lower()


def edited() -> tuple[list[np.ndarray], list[Pair]]:
    """Edited copies of two public-domain faces, and all their pairs."""
    originals = [skimage.data.astronaut(), np.repeat(skimage.data.camera()[..., None], 3, axis=2)]
    pictures = [
        np.asarray(edit(Image.fromarray(one))) for one in originals for edit in EDITS.values()
    ]
    owner = [number // len(EDITS) for number in range(len(pictures))]
    pairs = combinations(range(len(pictures)), 2)
    return pictures, [(a, b, owner[a] == owner[b]) for a, b in pairs]


def opened(paths: Sequence[Path]) -> Iterator[np.ndarray]:
    """The pictures, upright, one by one."""
    for path in paths:
        with Image.open(path) as image:
            yield np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def pair_figures(
    model: FaceModel, pictures: Iterator[np.ndarray], pairs: Sequence[Pair]
) -> dict[str, float | int]:
    """Recall of detection, and how well cosines part the pairs whose faces were both found."""
    faces = [model.find_faces([picture])[0] for picture in pictures]
    seen = [(a, b, same) for a, b, same in pairs if faces[a] and faces[b]]
    cosines = np.array([float(faces[a][0].vector @ faces[b][0].vector) for a, b, _ in seen])
    is_same = np.array([same for _, _, same in seen], bool)
    same, other = np.sort(cosines[is_same]), np.sort(cosines[~is_same])
    found = {
        "pictures": len(faces),
        "pictures with a face found": sum(map(bool, faces)) / max(len(faces), 1),
        "faces": sum(map(len, faces)),
        "pairs of one person": len(same),
        "pairs of two people": len(other),
    }
    if not (len(same) and len(other)):
        return found
    floor = model.space.alike_floor
    return (
        found
        | _parting(same, other)
        | {
            f"same pairs ≥ the floor {floor}": _share_above(same, floor),
            f"strangers' pairs ≥ the floor {floor}": _share_above(other, floor),
        }
    )


def _parting(same: np.ndarray, other: np.ndarray) -> dict[str, float | int]:
    """AUC, EER and thresholds of sorted cosines of one person's pairs and of strangers'."""
    below = np.searchsorted(other, same, "left") + np.searchsorted(other, same, "right")
    thresholds = np.unique(np.concatenate([same, other]))
    missed = np.searchsorted(same, thresholds) / len(same)
    wrong = 1 - np.searchsorted(other, thresholds) / len(other)
    equal = int(np.argmin(abs(missed - wrong)))
    strict = int(np.argmax(wrong <= FALSE_SHARE))
    hits = (1 - missed) * len(same)
    best = int(np.argmax(2 * hits / (len(same) + hits + wrong * len(other))))
    return {
        "AUC": float(below.mean() / 2 / len(other)),
        "EER": float((missed[equal] + wrong[equal]) / 2),
        "least cosine of one person": float(same[0]),
        "greatest cosine of two people": float(other[-1]),
        f"threshold at {FALSE_SHARE} of strangers": float(thresholds[strict]),
        "same pairs kept there": float(1 - missed[strict]),
        "threshold of the best F1": float(thresholds[best]),
    }


def _share_above(values: np.ndarray, floor: float) -> float:
    return float((values >= floor).mean())


def scene(
    size_px: int, roll_deg: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A scene of 1280 × 720 with the astronaut's face so large and so tilted, and its middle."""
    grounds = (skimage.data.coffee, skimage.data.chelsea, skimage.data.rocket)
    ground = Image.fromarray(grounds[int(random.integers(3))]()).resize(SCENE)
    x, y, side = ASTRONAUT
    face = Image.fromarray(skimage.data.astronaut()).crop((x - 110, y - 110, x + 110, y + 110))
    turned = face.rotate(roll_deg, Image.Resampling.BICUBIC)
    width = round(220 * size_px / side)
    mask = Image.new("L", turned.size)
    mask.paste(255, (30, 30, 190, 190))
    mask = mask.rotate(roll_deg).resize((width, width), Image.Resampling.BOX)
    left, top = (int(random.integers(0, room - width)) for room in SCENE)
    ground.paste(turned.resize((width, width), Image.Resampling.BOX), (left, top), mask)
    return np.asarray(ground), np.array([left + width / 2, top + width / 2])


def recall(model: FaceModel, size_px: int, roll_deg: float, seed: int) -> tuple[float, int]:
    """Share of such faces that are found at their places, and how many others were."""
    random = np.random.default_rng([seed, size_px, roll_deg])
    hits = others = 0
    for sign in (1, -1) * (PLACES // 2):
        picture, middle = scene(size_px, sign * roll_deg, random)
        boxes = np.array([face.box for face in model.find_faces([picture])[0]]).reshape(-1, 4)
        middles = (boxes[:, :2] + boxes[:, 2:] / 2) * SCENE
        near = (abs(middles - middle) < size_px / 2).all(axis=1)
        hits += bool(near.any())
        others += int((~near).sum())
    return hits / PLACES, others


def detection_figures(model: FaceModel, seed: int) -> dict[str, float | int]:
    """Recall by size and by roll, and faces found where none are."""
    shown: dict[str, float | int] = {}
    others = 0
    for size_px, roll_deg in [
        *((size, 0) for size in SIZES_PX),
        *((64, roll) for roll in ROLLS_DEG[1:]),
    ]:
        share, wrong = recall(model, size_px, roll_deg, seed)
        shown[f"recall at {size_px} px" + (f", {roll_deg}°" if roll_deg else "")] = share
        others += wrong
    return shown | {"false faces in these scenes": others}


def crowd(
    seed: int, faces: int, identities: int, same: float, strangers: float = 0.84
) -> tuple[Sightings, np.ndarray]:
    """Vectors with these mean cosines of one person and of two, and whose they are.

    People differ in some 25 directions (dlib's strangers spread by 0.032 around 0.84), some faces are
    worse than others, and few people have most of the faces.
    """
    random = np.random.default_rng(seed)
    spread = np.exp(-np.arange(127) / 25)
    spread /= np.linalg.norm(spread)
    own = np.sqrt(1 - strangers) * random.normal(size=(identities, 127)) * spread
    popular = random.lognormal(size=identities)
    rest = random.choice(identities, faces - identities, p=popular / popular.sum())
    whose = random.permutation(np.concatenate([np.arange(identities), rest]))
    noise = (1 / same - 1) * random.lognormal(-0.125, 0.5, (faces, 1))
    vectors = np.hstack([np.full((faces, 1), np.sqrt(strangers)), own[whose]])
    vectors[:, 1:] += np.sqrt(noise) * random.normal(size=(faces, 127)) * spread
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = np.arange(faces)
    names = [f"media-{row // 2:06}" for row in rows]
    return Sightings(names, rows % 2, rows % 2, np.ones(faces), vectors.astype(np.float32)), whose


def gathered_figures(ids: Sequence[str], whose: np.ndarray) -> dict[str, float | int]:
    """Pairwise and B-cubed figures of people against the truth."""
    told = np.unique(ids, return_inverse=True)[1]
    counts = np.zeros((told.max() + 1, whose.max() + 1))
    np.add.at(counts, (told, whose), 1)
    both, ours, true = (
        (part * (part - 1) / 2).sum() for part in (counts, counts.sum(axis=1), counts.sum(axis=0))
    )
    precision = (counts**2 / counts.sum(axis=1, keepdims=True)).sum() / len(whose)
    found = (counts**2 / counts.sum(axis=0, keepdims=True)).sum() / len(whose)
    return {
        "people told": int(told.max() + 1),
        "people there": int(whose.max() + 1),
        "pairwise precision": float(both / ours),
        "pairwise recall": float(both / true),
        "pairwise F1": float(2 * both / (ours + true)),
        "B-cubed F1": float(2 * precision * found / (precision + found)),
    }


def first(faces: Sightings, count: int) -> Sightings:
    """The first of the faces."""
    columns = (faces.items, faces.tracks, faces.quality, faces.vectors)
    return Sightings(faces.media_ids[:count], *(column[:count] for column in columns))


def people_figures(seed: int, same: float) -> dict[str, Any]:
    """2,000 faces of 300 people gathered at once, and with the last tenth in three steps."""
    faces, whose = crowd(seed, 2000, 300, same)
    full = people(faces, LEAST_SAME)
    count, stayed = 1800, 1.0
    ids = people(first(faces, count), LEAST_SAME)
    for more in (1868, 1934, 2000):
        known = {faces.key(row): ids[row] for row in range(count)}
        before, ids = ids, people(first(faces, more), LEAST_SAME, known)
        stayed = min(stayed, float(np.mean([a == b for a, b in zip(before, ids, strict=False)])))
        count = more
    return gathered_figures(full, whose) | {
        "ids that stayed in each of 3 steps": stayed,
        "in steps equal to at once": ids == full,
    }


def main() -> None:
    """Measure and keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, help="labelled pictures")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dam-faces-") as home:
        model = open_face(Settings(home=Path(home), profile="bundled", torch_threads=1))
        if options.folder:
            paths, pairs = labelled(options.folder)
            tell(f"{len(paths)} labelled pictures")
            found = pair_figures(model, opened(paths), pairs)
            keep("faces_labelled", found, "labelled photographs that were given")
        else:
            pictures, pairs = edited()
            tell(
                "No folder of labelled pictures was given: edited copies, which are easy to match."
            )
            found = pair_figures(model, iter(pictures), pairs)
            keep(
                "faces_edited_copies",
                found,
                "edited copies of 2 public-domain faces, not labelled people",
            )
        keep(
            "faces_found", detection_figures(model, options.seed),
            "the astronaut's face in 3 real scenes, a share of so many places",
        )  # fmt: skip
    for same in (0.97, 0.955, 0.94):
        keep(
            f"people_{same}", people_figures(options.seed, same),
            f"2,000 generated vectors of 300 people, mean cosine of one person {same}",
        )  # fmt: skip


if __name__ == "__main__":
    main()
