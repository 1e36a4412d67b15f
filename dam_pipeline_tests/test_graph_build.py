"""The graph file: what is in it, how it is read, and that readers never see half of one."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.errors import StoreUnavailable
from dam_pipeline.graph.build import GraphReport, build_graph
from dam_pipeline.graph.database import opened
from dam_pipeline.graph.read import graph_counts, related
from dam_pipeline.graph.versions import graph_path, new_version, version_number
from dam_pipeline_tests.handmade import FACES, PICTURES, Clip, Handmade, axis, between

SPACES = {"image_text": PICTURES, "face": FACES}
SPEECH = "one small step for a man one giant leap for mankind"


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Handmade]:
    with open_catalogue(tmp_path) as catalogue:
        yield Handmade(tmp_path, catalogue)


def build(library: Handmade, spaces=SPACES) -> GraphReport:
    return build_graph(library.settings, library.catalogue, library.derived, "run-1", spaces)


def relations(library: Handmade, clip: Clip):
    return related(library.settings, clip.media_id, library.catalogue)


A = Clip(
    "a.mp4",
    [(0, 5, axis(0)), (5, 10, axis(1))],
    faces=[(1, axis(0, 4))],
    segments=[(20, 31, SPEECH)],
)
B = Clip(
    "b.mp4",
    [(0, 5, axis(2)), (5, 10, between(0, 3, 0.95))],
    faces=[(0, between(0, 1, 0.9, 4))],
)
C = Clip("c.wav", segments=[(1, 3, "as he said"), (3, 14, SPEECH)])


EDGES = {"near_duplicate": 0, "looks_like": 1, "same_face": 1, "same_words": 1, "continues": 0}


def test_nodes_and_edges_are_counted_by_kind(library: Handmade) -> None:
    library.add(A, B, C)
    report = build(library)
    assert report.nodes == {
        "media": 3,
        "shots": 2,
        "keyframes": 4,
        "segments": 3,
        "scenes": 0,
        "faces": 2,
    }
    assert report.edges == EDGES
    assert report.warnings == ()
    counts = graph_counts(library.settings)
    assert dict(counts.nodes) == report.nodes
    assert counts.edges == {kind: count for kind, count in EDGES.items() if count}
    assert counts.path == report.path
    assert counts.meta["run_id"] == "run-1"
    assert counts.meta["spaces"]["image_text"]["name"] == PICTURES.name


def test_relations_are_told_from_the_side_that_is_asked(library: Handmade) -> None:
    library.add(A, B, C)
    build(library)
    from_a = {one.kind: one for one in relations(library, A)}
    from_b = {one.kind: one for one in relations(library, B)}
    assert set(from_a) == {"looks_like", "same_face", "same_words"}
    assert set(from_b) == {"looks_like", "same_face"}
    look = from_a["looks_like"].to_json()
    assert (look["start_s"], look["end_s"]) == (0, 5)
    assert look["other"] == {
        "media_id": B.media_id,
        "uri": "file:///library/b.mp4",
        "start_s": 5,
        "end_s": 10,
    }
    assert look["evidence"]["matches"][0]["other_start_s"] == 5
    assert from_b["looks_like"].evidence["matches"][0]["start_s"] == 5
    assert from_b["looks_like"].other_media_id == A.media_id
    words = from_a["same_words"]
    assert (words.start_s, words.other_start_s) == (pytest.approx(20), pytest.approx(3))
    assert words.evidence["text"] == SPEECH


def test_tables_can_be_queried_by_anyone(library: Handmade) -> None:
    library.add(A, B, C)
    path = build(library).path
    with duckdb.connect(str(path), read_only=True) as connection:
        row = connection.execute(
            "SELECT k.time_s, f.box[3] FROM faces f JOIN keyframes k "
            "ON k.media_id = f.media_id AND k.item = f.keyframe WHERE f.media_id = ?",
            [A.media_id],
        ).fetchone()
        kinds = connection.execute(
            "SELECT evidence ->> '$.space' FROM edges WHERE kind = 'same_face'"
        ).fetchone()
    assert row == (7.5, pytest.approx(0.5))
    assert kinds == (FACES.name,)


def test_superseded_media_are_neither_built_in_nor_shown(library: Handmade) -> None:
    library.add(A, B, C)
    build(library)
    library.catalogue.supersede(B.media_id, C.media_id)
    assert {one.kind for one in relations(library, A)} == {"same_words"}
    assert build(library).nodes["media"] == 2


def test_vectors_of_another_space_are_not_compared(library: Handmade) -> None:
    other = Clip("other.mp4", [(0, 5, axis(0))], space="older@1")
    library.add(A, other)
    assert build(library).edges["looks_like"] == 0


def test_a_missing_model_costs_its_edges_and_is_said(library: Handmade) -> None:
    library.add(A, B, C)
    report = build(library, {"image_text": PICTURES, "face": None})
    assert report.edges == {**EDGES, "same_face": 0}
    (warning,) = report.warnings
    assert "same_face" in warning
    assert "dam models list" in warning


def test_a_damaged_file_is_left_out_and_named(library: Handmade) -> None:
    library.add(A, B, C)
    (library.derived.folder(B.media_id) / "keyframes.parquet").write_bytes(b"PAR1 damaged")
    report = build(library)
    assert report.nodes["keyframes"] == 2
    assert report.edges["looks_like"] == 0
    assert any(B.media_id in warning and "dam retry" in warning for warning in report.warnings)


def test_an_empty_library_has_an_empty_graph(library: Handmade) -> None:
    report = build(library)
    assert set(report.edges.values()) == {0}
    assert graph_counts(library.settings).nodes["media"] == 0


def test_without_a_graph_the_error_says_what_to_run(library: Handmade) -> None:
    with pytest.raises(StoreUnavailable, match="dam ingest"):
        relations(library, A)


def test_a_reader_keeps_its_graph_while_a_new_one_takes_its_place(library: Handmade) -> None:
    library.add(A)
    first = build(library).path
    with opened(first) as reader:
        library.add(B)
        second = build(library).path
        assert reader.execute("SELECT count(*) FROM media").fetchone() == (1,)
        assert graph_counts(library.settings).nodes["media"] == 2
    assert first != second == graph_path(library.settings)


def test_two_versions_are_kept_and_a_reader_of_an_older_one_is_not_disturbed(
    library: Handmade,
) -> None:
    library.add(A)
    first = build(library).path
    with opened(first) as reader:
        for _ in range(3):
            build(library)
        assert reader.execute("SELECT count(*) FROM media").fetchone() == (1,)
    versions = sorted(version_number(path) for path in first.parent.glob("graph-*.duckdb"))
    assert versions == [3, 4]


def _build_until_killed(home: Path, moment: str) -> None:
    from dam_pipeline.graph import versions

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    name = {"unfinished": "_publish", "before the swap": "replaced"}[moment]
    setattr(versions, name, die)
    with open_catalogue(home) as catalogue:
        build(Handmade(home, catalogue))


@pytest.mark.parametrize("moment", ["unfinished", "before the swap"])
def test_a_builder_that_is_killed_leaves_the_old_graph(library: Handmade, moment: str) -> None:
    home = library.settings.home
    library.add(A)
    build(library)
    library.add(B)
    builder = multiprocessing.get_context("spawn").Process(
        target=_build_until_killed, args=(home, moment)
    )
    builder.start()
    builder.join(60)
    assert builder.exitcode == -signal.SIGKILL
    assert graph_counts(library.settings).nodes["media"] == 1
    assert build(library).nodes["media"] == 2
    assert graph_counts(library.settings).nodes["media"] == 2
    assert not list((home / "graph").glob(".building-*"))


def test_an_error_while_building_leaves_the_old_graph(library: Handmade) -> None:
    library.add(A)
    before = build(library).path
    with pytest.raises(RuntimeError), new_version(library.settings) as path:
        path.write_bytes(b"half a graph")
        raise RuntimeError
    assert graph_path(library.settings) == before
    assert not path.exists()


def test_two_builders_take_turns(library: Handmade) -> None:
    library.add(A, B, C)
    builders = [threading.Thread(target=build, args=(library,)) for _ in range(3)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert version_number(graph_path(library.settings)) == 3


def test_the_graph_is_built_without_a_network(library: Handmade, tmp_path: Path) -> None:
    library.add(A, B, C)
    program = (
        "import sys; from pathlib import Path; "
        "from dam_pipeline_tests.test_graph_build import build, Handmade, open_catalogue\n"
        f"home = Path({str(tmp_path)!r})\n"
        "with open_catalogue(home) as catalogue: print(build(Handmade(home, catalogue)).edges)\n"
        "print('torch' in sys.modules)"
    )
    unshare = ["unshare", "--user", "--map-root-user", "--net"]
    can_unshare = subprocess.run([*unshare, "true"], check=False, capture_output=True)
    offline = unshare if can_unshare.returncode == 0 else []
    done = subprocess.run(
        [*offline, sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    edges, has_torch = done.stdout.splitlines()
    assert edges == repr(EDGES)
    assert has_torch == "False"
