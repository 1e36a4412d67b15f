"""A graph that grew step by step is the graph of a build from nothing: the same edges, to the letter."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.graph import build as building
from dam_pipeline.graph import kinds, pairs, same_words
from dam_pipeline.graph.build import GraphReport, build_graph
from dam_pipeline.graph.read import graph_counts
from dam_pipeline.graph.versions import graph_path
from dam_pipeline_tests.handmade import FACES, PICTURES, Clip, Handmade, scenery

SPACES = {"image_text": PICTURES, "face": FACES}
PHRASES = (
    "hello and welcome back to the show",
    "the ferry leaves at dawn from the old harbour",
    "take the second road on the left after the mill",
    "nobody had seen the lighthouse keeper since the storm",
    "and now the weather for the coming week",
)
TABLES = {
    "media": "*",
    "keyframes": "*",
    "segments": "media_id, item, text",
    "faces": "media_id, item",
    "edges": "*",
    "tags": "*",
    "people": "*",
    "person_of": "*",
    "communities": "*",
    "community_of": "*",
    "component_of": "*",
}


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Handmade]:
    with open_catalogue(tmp_path) as catalogue:
        yield Handmade(tmp_path, catalogue)


def build(library: Handmade, *, full: bool = False, spaces: Any = SPACES) -> GraphReport:
    return build_graph(
        library.settings, library.catalogue, library.derived, "run", spaces, full=full
    )


def content(library: Handmade) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of the current graph, sorted; what tells of the build itself is not among them."""
    with duckdb.connect(str(graph_path(library.settings)), read_only=True) as connection:
        return {
            table: sorted(connection.execute(f"SELECT {columns} FROM {table}").fetchall(), key=repr)
            for table, columns in TABLES.items()
        }


def clip(number: int, random: np.random.Generator, version: int = 0) -> Clip:
    """A clip that resembles some others: pictures and faces around a few centres, a few phrases."""

    def near(centres: np.ndarray) -> np.ndarray:
        vector = centres[random.integers(len(centres))] + random.normal(
            scale=0.15, size=centres[0].shape
        )
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    said = [PHRASES[at] for at in random.permutation(len(PHRASES))[: random.integers(0, 3)]]
    shots = int(random.integers(1, 5))
    return Clip(
        f"C{number:04d}.mp4",
        [(5.0 * at, 5.0 * at + 5, near(np.eye(8)[:5])) for at in range(shots)],
        faces=[(0, near(np.eye(4)[:3])) for _ in range(random.integers(0, 3))],
        segments=[(10.0 * at, 10.0 * at + 8, f"{text} {version}") for at, text in enumerate(said)],
        duration_s=5.0 * shots,
        probe={
            "created_at": f"2026-03-01T10:{number // 2 % 60:02d}:{number % 2 * 30:02d}",
            "camera": f"Camera {number % 3}",
            "timecode": None,
        },
        prints=np.concatenate([scenery(4, int(seed)) for seed in random.integers(0, 12, size=2)]),
    )


@pytest.mark.parametrize("kept", [100, 3])
def test_any_sequence_of_changes_gives_the_graph_of_a_full_build(
    library: Handmade, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (pairs, kinds):
        monkeypatch.setattr(module, "PAIRS_KEPT", kept)
    monkeypatch.setattr(pairs, "BLOCK_ROWS", 16)
    monkeypatch.setattr(same_words, "MOST_MEDIA", 20)
    random = np.random.default_rng(kept)
    clips = {number: clip(number, random) for number in range(30)}
    library.add(*(clips[number] for number in range(20)))
    modes = [build(library).mode]
    for step in range(3):
        new = range(20 + 3 * step, 23 + 3 * step)
        library.add(*(clips[number] for number in new))
        for number in random.integers(0, 20, size=2).tolist():
            library.write(clip(number, random, version=step + 1))
        gone, successor = clips[step], clips[new[0]]
        library.catalogue.supersede(gone.media_id, successor.media_id)
        if step == 2:
            library.catalogue.restore(clips[0].media_id)
        modes.append(build(library).mode)
        grown = content(library)
        build(library, full=True)
        assert grown == content(library)
        if step == 1:  # only added: people are found from those before
            library.add(clip(90, random))
            build(library)
            grown = content(library)
            build(library, full=True)
            assert grown == content(library)
    assert modes == ["full (the first)"] + ["incremental"] * 3
    assert {row[0] for row in content(library)["edges"]} >= {
        *("near_duplicate", "looks_like", "same_face", "same_words", "continues")
    }


def test_only_new_files_are_read_and_compared(
    library: Handmade, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(1)
    library.add(*(clip(number, random) for number in range(6)))
    build(library)
    asked: list[int] = []
    found = kinds.looks_like.looks_like

    def looks_like(pictures: Any, space: Any, new: Any) -> Any:
        asked.append(int(new.sum()))
        return found(pictures, space, new)

    monkeypatch.setattr(kinds.looks_like, "looks_like", looks_like)
    for shard in library.derived.root.iterdir():
        for folder in shard.iterdir():
            (folder / "clip_embeddings.parquet").unlink()
    library.add(clip(6, random))
    report = build(library)
    assert (report.mode, report.changed, asked) == ("incremental", 1, [1])
    assert build(library).changed == 0
    assert asked == [1]


def test_another_space_finds_its_own_edges_anew_and_leaves_the_others(library: Handmade) -> None:
    random = np.random.default_rng(2)
    library.add(*(clip(number, random) for number in range(12)))
    before = build(library).edges
    stricter = PICTURES.__class__(**{**_fields(PICTURES), "alike_floor": 0.93})
    spaces = {"image_text": stricter, "face": FACES}
    report = build(library, spaces=spaces)
    assert report.mode == "incremental"
    assert 0 < report.edges["looks_like"] < before["looks_like"]
    assert report.edges["same_face"] == before["same_face"]
    grown = content(library)
    build(library, full=True, spaces=spaces)
    assert grown == content(library)


def _fields(space: Any) -> dict[str, Any]:
    return {name: getattr(space, name) for name in space.__slots__}


def test_another_version_of_the_program_builds_from_nothing(
    library: Handmade, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add(clip(0, np.random.default_rng(3)))
    build(library)
    monkeypatch.setattr(building, "__version__", "next")
    assert "another version" in build(library).mode
    assert build(library).mode == "incremental"


def test_a_damaged_graph_is_built_from_nothing(library: Handmade) -> None:
    library.add(clip(0, np.random.default_rng(4)))
    build(library)
    path = graph_path(library.settings)
    path.write_bytes(path.read_bytes()[:5000])
    report = build(library)
    assert "damaged" in report.mode
    assert graph_counts(library.settings).nodes["media"] == 1


def test_the_file_does_not_grow_when_nothing_is_added(library: Handmade) -> None:
    random = np.random.default_rng(5)
    library.add(*(clip(number, random) for number in range(10)))
    build(library)
    size = build(library).path.stat().st_size
    for version in range(6):
        library.write(clip(0, random, version))
        report = build(library)
    assert report.path.stat().st_size <= 2 * size
