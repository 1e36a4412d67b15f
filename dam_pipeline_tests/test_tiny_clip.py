"""The tiny CLIP that ships with the project, read as users read it, on freshly drawn pictures."""

import json
from pathlib import Path

import numpy as np
import pytest

import dam_pipeline
from dam_pipeline.samples.drawing import SHAPES, Scene, draw_scene
from dam_pipeline.training.measurement import Encoder
from dam_pipeline.training.tiny_clip import split_scenes

FOLDER = Path(dam_pipeline.__file__).parent / "models" / "weights" / "tiny-clip"
COLOURS = ("red", "green", "blue", "yellow", "black", "white", "orange")
WORDS = (
    *COLOURS,
    *SHAPES,
    *(shape + "s" for shape in SHAPES),
    *("a", "an", "one", "two", "three", "on", "background"),
)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(FOLDER)


@pytest.fixture(scope="module")
def space() -> dict[str, float]:
    return json.loads((FOLDER / "dam_space.json").read_text())


def _best(encoder: Encoder, text: str, scenes: list[Scene], seed: int = 1) -> float:
    """The largest cosine of a text with one frame of each scene."""
    rng = np.random.default_rng(seed)
    pictures = [draw_scene(scene, (640, 360), rng) for scene in scenes]
    return float((encoder.texts([text]) @ encoder.pictures(pictures).T).max())


def test_captions_of_scenes_never_trained_on_find_their_pictures(encoder: Encoder) -> None:
    scenes, rng = split_scenes()[1][:60], np.random.default_rng(123)
    pictures = encoder.pictures([draw_scene(scene, (480, 270), rng) for scene in scenes])
    first = np.argmax(encoder.texts([scene.caption for scene in scenes]) @ pictures.T, axis=1)
    # Measured: see figures.json and the model card; chance is 0.02.
    assert (first == np.arange(60)).mean() >= 0.85


def test_every_promised_word_is_known() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(FOLDER, local_files_only=True)
    known = tokenizer.get_vocab()
    assert [word for word in WORDS if known.get(word) in (None, tokenizer.unk_token_id)] == []


def test_a_word_outside_the_vocabulary_becomes_unknown() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(FOLDER, local_files_only=True)
    assert tokenizer.unk_token_id in tokenizer("a giraffe")["input_ids"]


def test_the_folder_holds_at_most_four_megabytes() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 4_000_000


@pytest.mark.parametrize("query", ["red circle", "two red circles", "red circles on blue"])
def test_short_queries_find_the_picture_they_fit(
    encoder: Encoder, space: dict[str, float], query: str
) -> None:
    assert _best(encoder, query, [Scene(2, "red", "circle", "blue")]) >= space["text_floor"]


@pytest.mark.parametrize("query", ["purple star", "three purple stars", "dog", "a red giraffe"])
def test_queries_for_what_a_library_lacks_find_nothing(
    encoder: Encoder, space: dict[str, float], query: str
) -> None:
    library = [
        Scene(count, "red", "circle", ground)
        for count in (1, 2, 3)
        for ground in ("blue", "white", "green", "black")
    ]
    assert _best(encoder, query, library) < space["text_floor"]


def test_two_pictures_of_one_scene_look_alike_and_of_other_scenes_do_not(
    encoder: Encoder, space: dict[str, float]
) -> None:
    circles, star = Scene(2, "red", "circle", "blue"), Scene(1, "yellow", "star", "black")
    shown = [draw_scene(scene, (320, 180), seed) for seed, scene in ((1, circles), (2, circles))]
    one, two, other = encoder.pictures([*shown, draw_scene(star, (320, 180), 3)])
    assert one @ two >= space["image_floor"] > one @ other


def test_the_same_seed_draws_the_same_picture() -> None:
    scene = Scene(3, "orange", "triangle", "white")
    assert np.array_equal(draw_scene(scene, (320, 180), 5), draw_scene(scene, (320, 180), 5))


def test_another_seed_draws_another_picture() -> None:
    scene = Scene(3, "orange", "triangle", "white")
    assert not np.array_equal(draw_scene(scene, (320, 180), 5), draw_scene(scene, (320, 180), 6))


def test_a_seed_draws_the_same_picture_at_every_size() -> None:
    scene = Scene(2, "black", "square", "yellow")
    small = draw_scene(scene, (320, 180), 5)
    large = draw_scene(scene, (1280, 720), 5).reshape(180, 4, 320, 4, 3).mean((1, 3))
    assert np.abs(small - large).mean() < 2


@pytest.mark.parametrize("size", [(1280, 720), (64, 64), (180, 320)])
def test_all_shapes_lie_in_the_centred_square(size: tuple[int, int]) -> None:
    picture = draw_scene(Scene(3, "white", "star", "black"), size, 11)
    is_ink = picture.min(2) > 128
    left, top = ((length - min(size)) // 2 for length in size)
    inside = is_ink[top : top + min(size), left : left + min(size)]
    assert picture.shape == (size[1], size[0], 3) and is_ink.sum() == inside.sum() > 0


def test_a_scene_says_what_it_shows() -> None:
    assert Scene(2, "red", "circle", "blue").caption == "two red circles on a blue background"
    assert Scene(1, "red", "star", "orange").caption == "one red star on an orange background"


def test_a_shape_in_the_colour_of_its_background_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot draw red on red"):
        Scene(1, "red", "star", "red")
