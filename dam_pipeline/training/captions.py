"""What captions and queries say, and which drawn pictures they fit.

Here belong wordings, their meaning as bits over the attributes of a picture, and the vocabulary. How pictures are
drawn and how the network learns do not belong here.

A picture is a 0/1 vector over `FACTS`. A wording names some facts and how many of them must hold: "two red circles"
names three and needs three; "red circles" names four (two, three, red, circle) and needs three, since a picture
has one count; "red" names the colour of shapes and the colour of the background and needs one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dam_pipeline.samples.drawing import COLOURS, NUMBERS, SHAPES, Scene, with_article
from dam_pipeline.samples.textures import TEXTURES

FACTS: tuple[str, ...] = (
    *(f"count {count}" for count in NUMBERS),
    *(f"colour {colour}" for colour in COLOURS),
    *(f"shape {shape}" for shape in SHAPES),
    *(f"background {colour}" for colour in COLOURS),
    *(f"texture {kind}" for kind in (*TEXTURES, "plain")),
)
UNKNOWN_WORD = "<unk>"
NEVER = len(FACTS) + 1
"""Needed facts of a wording that fits nothing."""

_PLACE = {fact: place for place, fact in enumerate(FACTS)}
_PREFIXES = ("a picture of ", "a photo of ", "a drawing of ", "an image of ")
# Words without which a wording says the same.
_FILLERS = {"a", "an", "on", "with", *(word for prefix in _PREFIXES for word in prefix.split())}


@dataclass(frozen=True, slots=True)
class Wording:
    """A caption or query, the facts it names and how many of them a picture must have to fit."""

    text: str
    facts: tuple[str, ...]
    needed: int


def facts_of(picture: Scene | str) -> tuple[str, ...]:
    """What holds for a scene, a texture given by its kind, or a plain background by its colour."""
    if isinstance(picture, str) and picture in COLOURS:
        return ("texture plain", f"background {picture}")
    if isinstance(picture, str):
        return (f"texture {picture}",)
    return (
        f"count {picture.count}",
        f"colour {picture.colour}",
        f"shape {picture.shape}",
        f"background {picture.background}",
    )


def bits(facts: tuple[str, ...]) -> np.ndarray:
    """Facts as float32 zeros and ones, one per entry of `FACTS`."""
    row = np.zeros(len(FACTS), np.float32)
    row[[_PLACE[fact] for fact in facts]] = 1
    return row


def fits(pictures: np.ndarray, wordings: list[Wording]) -> np.ndarray:
    """Which pictures, (n, facts) bits, fit which wordings: bool (n, wordings)."""
    named = np.stack([bits(wording.facts) for wording in wordings])
    needed = np.array([wording.needed for wording in wordings], np.float32)
    return pictures @ named.T >= needed


def full_wording(picture: Scene | str, rng: np.random.Generator) -> Wording:
    """A wording that names everything known of a picture."""
    if isinstance(picture, str) and picture in COLOURS:
        return Wording(f"a plain {_spelt(picture, rng)} background", facts_of(picture), 2)
    if isinstance(picture, str):
        return Wording(str(rng.choice(TEXTURES[picture])), facts_of(picture), 1)
    thing = f"{_number(picture, rng)} {picture.colour} {_noun(picture)}"
    place = (
        f"on {with_article(picture.background)} background",
        f"on {with_article(picture.background)} background",
        f"on {picture.background}",
        f"with {with_article(picture.background)} background",
    )[rng.integers(4)]
    return Wording(_prefix(rng) + _spelt(f"{thing} {place}", rng), facts_of(picture), 4)


def short_wording(picture: Scene | str, rng: np.random.Generator) -> Wording:
    """A wording as people type it: only some facts of a picture."""
    if isinstance(picture, str) and picture in COLOURS:
        return Wording(f"{with_article(picture)} background", facts_of(picture)[1:], 1)
    if isinstance(picture, str):
        return full_wording(picture, rng)
    wording = _SHORT[rng.integers(len(_SHORT))](picture, rng)
    return Wording(
        _prefix(rng) + wording.text if rng.random() < 0.3 else wording.text,
        wording.facts,
        wording.needed,
    )


def unknown_wording(picture: Scene | str, rng: np.random.Generator) -> Wording:
    """A wording with at least one word outside the vocabulary in place of a meaningful one: fits no picture."""
    words = (full_wording if rng.random() < 0.5 else short_wording)(picture, rng).text.split()
    telling = [place for place, word in enumerate(words) if word not in _FILLERS]
    for place in rng.choice(telling, rng.integers(1, len(telling) + 1), replace=False):
        words[place] = UNKNOWN_WORD
    return Wording(" ".join(words), (), NEVER)


def vocabulary() -> list[str]:
    """All words that wordings are made of, sorted."""
    texts = [text for captions in TEXTURES.values() for text in captions]
    words = {
        "a",
        "an",
        "on",
        "with",
        "background",
        "shape",
        "shapes",
        "plain",
        "gray",
        *COLOURS,
        *NUMBERS.values(),
    }
    words.update(word for text in (*texts, *_PREFIXES) for word in text.split())
    for shape in SHAPES:
        words.update((shape, shape + "s"))
    return sorted(words)


def _spelt(text: str, rng: np.random.Generator) -> str:
    """The text, now and then with the American spelling."""
    return text.replace("grey", "gray") if rng.random() < 0.3 else text


def _prefix(rng: np.random.Generator) -> str:
    return str(rng.choice(_PREFIXES)) if rng.random() < 0.15 else ""


def _noun(scene: Scene) -> str:
    return scene.shape if scene.count == 1 else scene.shape + "s"


def _number(scene: Scene, rng: np.random.Generator, following: str = "") -> str:
    """ "one", "two", "three"; for one also "a" or "an", as the following word (the colour) asks."""
    if scene.count == 1 and rng.random() < 0.5:
        return with_article(following or scene.colour).split()[0]
    return NUMBERS[scene.count]


def _several(scene: Scene) -> tuple[str, ...]:
    """What the number of a bare noun says: a plural means two or three, a singular leaves the count open."""
    return () if scene.count == 1 else ("count 2", "count 3")


def _bare(words: str, scene: Scene, *facts: str) -> Wording:
    """A wording without a numeral, whose noun is a plural for several shapes."""
    several = _several(scene)
    return Wording(words, (*several, *facts), len(facts) + bool(several))


def _coloured(scene: Scene, _: np.random.Generator) -> Wording:
    return _bare(
        f"{scene.colour} {_noun(scene)}",
        scene,
        f"colour {scene.colour}",
        f"shape {scene.shape}",
    )


def _shape(scene: Scene, _: np.random.Generator) -> Wording:
    return _bare(_noun(scene), scene, f"shape {scene.shape}")


def _numbered(scene: Scene, rng: np.random.Generator) -> Wording:
    text = f"{_number(scene, rng, scene.shape)} {_noun(scene)}"
    return Wording(text, (f"count {scene.count}", f"shape {scene.shape}"), 2)


def _numbered_coloured(scene: Scene, rng: np.random.Generator) -> Wording:
    return Wording(f"{_number(scene, rng)} {scene.colour} {_noun(scene)}", facts_of(scene)[:3], 3)


def _background(scene: Scene, rng: np.random.Generator) -> Wording:
    colour = scene.background if rng.random() < 0.5 else with_article(scene.background)
    return Wording(f"{colour} background", (f"background {scene.background}",), 1)


def _coloured_on(scene: Scene, rng: np.random.Generator) -> Wording:
    ground = (
        scene.background if rng.random() < 0.5 else f"{with_article(scene.background)} background"
    )
    return _bare(f"{scene.colour} {_noun(scene)} on {ground}", scene, *facts_of(scene)[1:])


def _shape_on(scene: Scene, rng: np.random.Generator) -> Wording:
    ground = (
        scene.background if rng.random() < 0.5 else f"{with_article(scene.background)} background"
    )
    return _bare(
        f"{_noun(scene)} on {ground}",
        scene,
        f"shape {scene.shape}",
        f"background {scene.background}",
    )


def _anything(scene: Scene, rng: np.random.Generator) -> Wording:
    """The colour of shapes of any kind: "three red shapes"."""
    plural = "shape" if scene.count == 1 else "shapes"
    text = f"{_number(scene, rng)} {scene.colour} {plural}"
    return Wording(text, (f"count {scene.count}", f"colour {scene.colour}"), 2)


def _colour(scene: Scene, rng: np.random.Generator) -> Wording:
    """A colour alone fits shapes and backgrounds of it."""
    colour = scene.colour if rng.random() < 0.5 else scene.background
    return Wording(colour, (f"colour {colour}", f"background {colour}"), 1)


_SHORT: tuple[Callable[[Scene, np.random.Generator], Wording], ...] = (
    _coloured,
    _coloured,
    _shape,
    _numbered,
    _numbered_coloured,
    _numbered_coloured,
    _background,
    _coloured_on,
    _shape_on,
    _anything,
    _colour,
)
