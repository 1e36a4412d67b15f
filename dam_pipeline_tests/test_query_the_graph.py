"""The queries of docs/how-to/query-the-graph.md: each runs, and says what its heading promises."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.graph.build import build_graph
from dam_pipeline.graph.versions import graph_path
from dam_pipeline_tests.handmade import FACES, PICTURES, Clip, Handmade, axis, between, scenery
from dam_pipeline_tests.processed import Library

PAGE = Path(__file__).parents[1] / "docs/how-to/query-the-graph.md"
SECTIONS = PAGE.read_text(encoding="utf-8").split("\n## ")[1:]
QUERIES = {
    f"{section.splitlines()[0]} {number}": query
    for section in SECTIONS
    for number, query in enumerate(re.findall(r"```sql\n(.*?)```", section, re.DOTALL), 1)
}
HERE = {"lat": 53.5461, "lon": 9.9661}
ACROSS_THE_STREET = {"lat": 53.5462, "lon": 9.9672}
ELSEWHERE = {"lat": 48.8584, "lon": 2.2945}


def take(number: int, person: int, gps: dict[str, float] | None, said: str = "") -> Clip:
    created_at = f"2026-03-01T10:0{number}:00"
    return Clip(
        f"C000{number}.MP4",
        [(0, 30, axis(person)), (30, 60, between(4, 5 + number % 3, 0.97))],
        faces=[(0, axis(person, 4))],
        segments=[(10, 20, said)] if said else [],
        probe={"gps": gps, "created_at": created_at, "camera": "FX6", "width": 640 + number},
    )


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """Five takes: two people, two places, one without a place; two copies."""
    home = tmp_path_factory.mktemp("graph")
    said = "meet me at the old lighthouse at dawn"
    takes = [
        take(1, 0, HERE, said),
        take(2, 0, ACROSS_THE_STREET),
        take(3, 1, HERE),
        take(4, 0, ELSEWHERE, f"and again {said}"),
        take(5, 0, None),
    ]
    takes[2].prints = scenery(60, 1)
    takes[3].prints = np.concatenate([scenery(60, 1)[40:80], scenery(20, 2)])
    with open_catalogue(home) as catalogue:
        library = Handmade(home, catalogue)
        library.add(*takes)
        spaces = {"image_text": PICTURES, "face": FACES}
        build_graph(library.settings, catalogue, library.derived, "run", spaces)
    with duckdb.connect(str(graph_path(library.settings)), read_only=True) as connection:
        yield connection


def rows(graph: duckdb.DuckDBPyConnection, heading: str, name: str = "") -> list[tuple[Any, ...]]:
    """What the first query below a heading that starts so answers of a file."""
    query = next(query for title, query in QUERIES.items() if title.startswith(heading))
    return graph.execute(
        query, {"media": id_of(graph, name)} if "$media" in query else {}
    ).fetchall()


def id_of(graph: duckdb.DuckDBPyConnection, name: str) -> str:
    found = graph.execute("SELECT media_id FROM media WHERE name = ?", [name]).fetchall()
    return found[0][0] if found else ""


def test_the_same_person_in_other_takes_of_this_place(graph: duckdb.DuckDBPyConnection) -> None:
    found = {row[0]: row for row in rows(graph, "The same person", "C0001.MP4")}
    assert set(found) == {"C0002.MP4", "C0005.MP4"}
    assert found["C0002.MP4"][2] == pytest.approx(73, abs=3)
    assert found["C0002.MP4"][4] == [15.0]


def test_files_that_are_there_more_than_once(graph: duckdb.DuckDBPyConnection) -> None:
    assert rows(graph, "Which files are there") == [(2, ["C0004.MP4", "C0003.MP4"])]
    # 20 s of the third take's 60 are the first half of the fourth's 40.
    ((one, other, share_of_one, share_of_other, *_),) = rows(graph, "What was cut")
    shares = {one: share_of_one, other: share_of_other}
    assert shares["C0003.MP4"] == pytest.approx(1 / 3, abs=0.04)
    assert shares["C0004.MP4"] == pytest.approx(1 / 2, abs=0.04)


def test_a_chain_of_takes_goes_both_ways(graph: duckdb.DuckDBPyConnection) -> None:
    found = rows(graph, "The takes before", "C0002.MP4")
    assert [(step, name) for step, name, *_ in found] == [
        (-1, "C0001.MP4"),
        (0, "C0002.MP4"),
        (1, "C0003.MP4"),
    ]


def test_words_that_come_again(graph: duckdb.DuckDBPyConnection) -> None:
    ((*_, words),) = rows(graph, "Who says what")
    assert words == "meet me at the old lighthouse at dawn"


@pytest.mark.parametrize("heading", QUERIES)
def test_every_query_answers(graph: duckdb.DuckDBPyConnection, heading: str) -> None:
    assert rows(graph, heading, "C0002.MP4")


@pytest.mark.slow
@pytest.mark.weights
def test_every_block_runs_on_a_processed_library(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAM_HOME", str(library.home))
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(program, str(PAGE), "exec"), names)
    for query in QUERIES.values():
        asked = {"media": id_of(names["graph"], "interview.mp4")} if "$media" in query else {}
        names["graph"].execute(query, asked).fetchall()
    names.pop("graph").close()
