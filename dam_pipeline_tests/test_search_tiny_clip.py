"""Search with the real small model that ships with the package, on pictures drawn here."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.models import ImageTextModel, open_image_text, open_sentence
from dam_pipeline.records import MediaKind
from dam_pipeline.samples.drawing import Scene, draw_scene
from dam_pipeline.search.asking import Models
from dam_pipeline.search.index_rows import index_media
from dam_pipeline.search.query import Library, search
from dam_pipeline.settings import Settings
from dam_pipeline.stores.vectors import open_vector_store
from dam_pipeline_tests.handmade import Clip, Handmade

SIZE = (320, 180)
SCENES = {
    "one.jpg": Scene(1, "red", "circle", "white"),
    "two.jpg": Scene(2, "blue", "square", "yellow"),
    "three.jpg": Scene(3, "green", "star", "black"),
    "four.jpg": Scene(1, "yellow", "triangle", "blue"),
    "five.jpg": Scene(3, "orange", "triangle", "black"),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ImageTextModel:
    home = tmp_path_factory.mktemp("home")
    return open_image_text(Settings(home=home, profile="bundled", torch_threads=1))


@pytest.fixture
def library(tmp_path: Path, model: ImageTextModel) -> Iterator[Library]:
    random = np.random.default_rng(11)
    with open_catalogue(tmp_path) as catalogue:
        home = Handmade(tmp_path, catalogue)
        vectors = model.encode_images([draw_scene(s, SIZE, random) for s in SCENES.values()])
        stills = {"kind": MediaKind.IMAGE, "duration_s": 0, "space": model.space.name}
        clips = [
            Clip(name, [(0, 0, vector)], **stills)
            for name, vector in zip(SCENES, vectors, strict=True)
        ]
        store = open_vector_store(home.settings)
        index_media(store, home.derived, home.add(*clips))
        models = Models(lambda: model, lambda: open_sentence(home.settings))
        yield Library(home.settings, catalogue, home.derived, store, models)


def names(library: Library, *args, **kwargs) -> list[str]:
    return [hit.uri.rsplit("/")[-1] for hit in search(library, *args, **kwargs).hits]


@pytest.mark.parametrize("name", SCENES)
def test_a_caption_finds_its_picture_first(library: Library, name: str) -> None:
    assert names(library, SCENES[name].caption)[0] == name


@pytest.mark.parametrize(
    ("text", "name"), [("red circle", "one.jpg"), ("green stars", "three.jpg")]
)
def test_a_few_words_do_too(library: Library, text: str, name: str) -> None:
    assert names(library, text)[0] == name


def test_a_scene_that_is_not_there_finds_nothing(library: Library) -> None:
    assert names(library, "two white triangles on a red background") == []


def test_another_drawing_of_the_scene_finds_it_by_picture(library: Library, tmp_path: Path) -> None:
    drawn = draw_scene(SCENES["two.jpg"], SIZE, np.random.default_rng(99))
    Image.fromarray(drawn).save(tmp_path / "query.png")
    assert names(library, image=tmp_path / "query.png") == ["two.jpg"]


def test_what_the_model_never_saw_finds_nothing_and_is_named(library: Library) -> None:
    result = search(library, "an elephant")
    assert result.hits == ()
    assert result.warnings[0] == "The image-text model does not know: elephant."
    assert "drawn shapes" in result.warnings[1]
