"""Tags and dominant colours on drawn truth, or on a folder with a sub-folder of pictures for each tag.

Drawn pictures show combinations that neither the training of the tiny CLIP nor the calibration of its
thresholds saw; the drawing code is the same, so this is held-out combinations, not generality.

    .venv/bin/python benchmarks/accuracy/tags.py [--seed N] [--count N] [--folder FOLDER]
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from figures import f1, keep, tell
from PIL import Image

from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.models import spaces
from dam_pipeline.samples.drawing import COLOURS, draw_scene
from dam_pipeline.samples.textures import TEXTURES, draw_texture
from dam_pipeline.search.index_rows import vectors_array
from dam_pipeline.settings import Settings, load_settings
from dam_pipeline.stages.engine import run_stages
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.tagging.background import Background, background_path, read_background
from dam_pipeline.tagging.scoring import calibrated
from dam_pipeline.tagging.vocabulary import open_vocabulary
from dam_pipeline.tagging.wordings import open_wordings
from dam_pipeline.training.pictures import spoil
from dam_pipeline.training.tiny_clip import split_scenes

STAGES = ("probe", "shots", "keyframes", "clip_embeddings", "tags")
SIZES = ((640, 360), (480, 480), (360, 640), (800, 450))
RATES = (0.001, 0.005, 0.02)
# sRGB values that go by these names in lists of colours; none is among the examples of the code.
NAMED: dict[str, tuple[int, ...]] = {
    "red": (0xC81E1E, 0xE60026, 0xA81C07),
    "orange": (0xF28500, 0xED872D, 0xFF9933),
    "yellow": (0xFFEF00, 0xFADA5E, 0xE4D00A),
    "green": (0x228B22, 0x32CD32, 0x355E3B, 0x4CAF50),
    "turquoise": (0x48D1CC, 0x30D5C8, 0x1CA9A3),
    "blue": (0x0047AB, 0x5B92E5, 0x1C39BB, 0x000080),
    "purple": (0x663399, 0x9F00C5, 0x6A0DAD),
    "pink": (0xFFB7C5, 0xFC8EAC, 0xFF77AA),
    "brown": (0x654321, 0x964B00, 0x7B3F00),
    "beige": (0xF5DEB3, 0xDEC9A3, 0xE1C699),
    "grey": (0x696969, 0x989898, 0xB2B2B2),
    "black": (0x0A0A0A, 0x101418),
    "white": (0xFAFAFA, 0xF8F8FF),
}
SEEN_SHARE = 0.12  # of the picture, from which a colour must be named

Truth = dict[str, set[str]]


@dataclass(frozen=True)
class Found:
    """What the stage said of a file, and its vectors."""

    terms: set[str]
    colours: Mapping[str, float]
    vectors: np.ndarray


def draw_terms(folder: Path, seed: int, count: int) -> Truth:
    """Pictures of held-out scenes and of textures, and the terms that each shows."""
    rng, truth = np.random.default_rng(seed), {}
    scenes = split_scenes()[1]
    for number in range(count):
        scene = scenes[number % len(scenes)]
        drawn = spoil(draw_scene(scene, SIZES[number % len(SIZES)], rng), rng)
        name = f"scene-{number:04}.jpg"
        Image.fromarray(drawn).save(folder / name, quality=92)
        truth[name] = {
            f"{scene.colour}-{scene.shape}",
            f"{scene.background}-background",
            *(scene.shape, "shape", "drawing"),
        }
    kinds = [*TEXTURES, *COLOURS]
    for number in range(count // 4):
        kind = kinds[number % len(kinds)]
        drawn = spoil(draw_texture(kind, SIZES[number % len(SIZES)], rng), rng)
        name = f"texture-{number:04}.jpg"
        Image.fromarray(drawn).save(folder / name, quality=92)
        truth[name] = {f"{kind}-background" if kind in COLOURS else kind, "drawing"}
    return truth


def draw_colours(folder: Path, seed: int, count: int) -> dict[str, dict[str, float]]:
    """Pictures of up to four patches of named colours, with the share of each."""
    rng, truth = np.random.default_rng(seed), {}
    for number in range(count):
        width, height = SIZES[number % len(SIZES)]
        names = rng.choice(list(NAMED), rng.integers(1, 5), replace=False)
        edges = np.sort(rng.choice(np.arange(1, 10), len(names) - 1, replace=False)) * width // 10
        picture = np.zeros((height, width, 3), np.float32)
        shares = {}
        for name, start, end in zip(names, [0, *edges], [*edges, width], strict=True):
            value = int(rng.choice(NAMED[name]))
            picture[:, start:end] = [value >> 16, value >> 8 & 255, value & 255]
            shares[str(name)] = (end - start) / width
        picture += rng.normal(0, 4, picture.shape)
        name = f"colours-{number:04}.jpg"
        Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(folder / name, quality=88)
        truth[name] = shares
    return truth


def tag(folder: Path, settings: Settings) -> dict[str, Found]:
    """What the pipeline says of every file below a folder, by its name relative to the folder."""
    with Toolbox.open(settings) as tools:
        discover([folder], tools.catalogue, tools.derived, settings)
        media = tools.catalogue.all_media()
        run_stages(tools, [one.media_id for one in media], STAGES, "accuracy")
        places = tools.catalogue.locations_of([one.media_id for one in media])
        found = {}
        for one in media:
            outcome = tools.derived.outcome(one.media_id, "tags")
            if outcome is None or not outcome.rows:
                continue
            vectors = vectors_array(tools.derived.table(one.media_id, "clip_embeddings"))
            seen = Found(set(outcome.result["terms"]), outcome.result["colours"], vectors)
            for place in places[one.media_id]:
                found[place.uri.removeprefix(f"file://{folder}/")] = seen
    return found


def scored(found: Mapping[str, set[str]], truth: Truth, terms: set[str]) -> tuple[float, ...]:
    """Precision, recall and F1 of some terms, and the share of wrong ones where they are absent."""
    right = sum(len(found[name] & truth[name] & terms) for name in truth)
    wrong = sum(len((found[name] - truth[name]) & terms) for name in truth)
    missed = sum(len((truth[name] - found[name]) & terms) for name in truth)
    absent = sum(len(terms - truth[name]) for name in truth)
    return (
        right / max(right + wrong, 1),
        right / max(right + missed, 1),
        f1(right, missed, wrong),
        wrong / max(absent, 1),
    )


def families() -> dict[str, set[str]]:
    """The terms of the drawn world by what they name; `drawing` is above all and counts nowhere."""
    shapes = {scene.shape for scene in split_scenes()[1]}
    return {
        "shape": shapes,
        "coloured shape": {f"{colour}-{shape}" for colour in COLOURS for shape in shapes},
        "background": {f"{colour}-background" for colour in COLOURS},
        "texture": set(TEXTURES) - {"clouds"},
    }


def of_terms(seed: int, count: int, settings: Settings, folder: Path) -> dict[str, float]:
    """Figures of the stage as it ships, then of the same vectors with other thresholds."""
    truth = draw_terms(folder, seed, count)
    found = tag(folder, settings)
    figures: dict[str, float] = {}
    told = {name: one.terms for name, one in found.items()}
    everything = set().union(*families().values())
    for family, terms in {**families(), "all": everything}.items():
        precision, recall, score, _ = scored(told, truth, terms)
        figures |= {f"{family}: precision": precision, f"{family}: recall": recall}
        figures[f"{family}: F1"] = score
    return figures | other_thresholds(found, truth, settings, everything)


def other_thresholds(
    found: Mapping[str, Found], truth: Truth, settings: Settings, terms: set[str]
) -> dict[str, float]:
    """Asked and got rates of false tags, and F1 where nobody labelled any picture."""
    space = spaces(settings)["image_text"]
    vocabulary = open_vocabulary(settings)
    wordings = open_wordings(settings.home, space, vocabulary, _no_model)
    shipped = read_background(background_path(settings, space.name))
    names = sorted(truth)
    vectors = [found[name].vectors for name in names]
    figures: dict[str, float] = {}

    def told(background: Background | None, rate: float, which: Sequence[int]) -> tuple[float, ...]:
        scorer = calibrated(vocabulary, wordings, wordings, background, rate)
        scores = scorer.score([vectors[n] for n in which])
        seen = {
            names[n]: {t for t, best in zip(scorer.tags, one.best, strict=True) if best >= 0.5}
            for n, one in zip(which, scores, strict=True)
        }
        return scored(seen, {names[n]: truth[names[n]] for n in which}, terms)

    every = range(len(names))
    for rate in RATES:
        figures[f"false tags, {rate} asked for"] = told(shipped, rate, every)[3]
    rate = settings.tag_false_rate
    precision, recall, score, _ = told(None, rate, every)
    figures |= {
        "no pictures: precision": precision,
        "no pictures: recall": recall,
        "no pictures: F1": score,
    }
    half = np.concatenate([vectors[n] for n in every[::2]])
    unlabelled = Background(space.name, half, (None,) * len(half), "half of the library")
    precision, recall, score, _ = told(unlabelled, rate, every[1::2])
    return figures | {
        "unlabelled library: precision": precision,
        "unlabelled library: recall": recall,
        "unlabelled library: F1": score,
    }


def _no_model() -> NoReturn:
    raise RuntimeError("the wordings were not kept: the stage did not run")


def of_colours(seed: int, count: int, settings: Settings, folder: Path) -> dict[str, float]:
    """Names found and missed, and how far the shares are off."""
    truth = draw_colours(folder, seed, count)
    found = tag(folder, settings)
    right = wrong = missed = 0
    errors = []
    for name, shares in truth.items():
        told = found[name].colours
        must = {colour for colour, share in shares.items() if share >= SEEN_SHARE}
        right += len(must & told.keys())
        missed += len(must - told.keys())
        wrong += len(told.keys() - shares.keys())
        errors += [abs(told.get(colour, 0.0) - shares[colour]) for colour in must]
    return {
        "colours: precision": right / (right + wrong),
        "colours: recall": right / (right + missed),
        "colours: F1": f1(right, missed, wrong),
        "colours: mean error of the share": float(np.mean(errors)),
    }


def of_folder(folder: Path, settings: Settings) -> dict[str, float]:
    """Figures on labelled files: each sub-folder's name is a tag that its files have."""
    vocabulary = open_vocabulary(settings)
    found = tag(folder, settings)
    terms = {one.name: term.id for one in folder.iterdir() if (term := vocabulary.find(one.name))}
    truth = {name: {terms[p] for p in Path(name).parts if p in terms} for name in found}
    truth = {name: tags for name, tags in truth.items() if tags}
    told = {name: one.terms for name, one in found.items()}
    figures: dict[str, float] = {"files": len(truth), "tags": len(terms)}
    for label, some in {**{t: {t} for t in terms.values()}, "all": set(terms.values())}.items():
        precision, recall, score, _ = scored(told, truth, some)
        figures |= {f"{label}: precision": precision, f"{label}: recall": recall}
        figures[f"{label}: F1"] = score
    return figures


def main() -> None:
    """Draw or read the truth, tag it, tell and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--count", type=int, default=324, help="drawn scenes")
    parser.add_argument("--folder", type=Path, help="sub-folders of pictures, named like tags")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch)
        profile = {} if asked.folder else {"profile": "bundled"}
        kept = load_settings(base / "home").model_copy(update={"settle_s": 0.0, **profile})
        if asked.folder:
            figures = of_folder(asked.folder.absolute(), kept)
            keep("tags_folder", figures, f"labelled pictures of {asked.folder.name}")
            return
        for name in ("terms", "colours"):
            (base / name).mkdir()
        tell(f"{asked.count} scenes, {asked.count // 4} textures, {asked.count // 2} of colours")
        figures = of_terms(asked.seed, asked.count, kept, base / "terms")
        other = kept.model_copy(update={"home": base / "home-of-colours"})
        figures |= of_colours(asked.seed + 1, asked.count // 2, other, base / "colours")
    keep("tags", figures, f"tiny-clip on drawn combinations never seen, seed {asked.seed}")


if __name__ == "__main__":
    main()
