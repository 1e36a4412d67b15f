"""`dam related`: every kind of relation with its reasons, and the community, for people and scripts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.cli.reference import commands
from dam_pipeline.graph.build import build_graph
from dam_pipeline.graph.edges import EDGE_KINDS
from dam_pipeline_tests.handmade import FACES, PICTURES, Clip, Handmade, axis, scenery
from dam_pipeline_tests.processed import dam, dam_json

FIRST = "C0001.MP4"
SECOND = "C0002.MP4"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two takes that have everything in common."""
    said = "the ferry leaves at dawn from the old harbour"
    takes = [
        Clip(
            name,
            [(0, 30, axis(0)), (30, 60, axis(0))],
            faces=[(0, axis(1, 4))],
            segments=[(10, 20, said)],
            probe={"created_at": f"2026-03-01T10:0{at}:00", "camera": "FX6"},
            prints=scenery(60, 1),
        )
        for at, name in enumerate((FIRST, SECOND))
    ]
    with open_catalogue(tmp_path) as catalogue:
        library = Handmade(tmp_path, catalogue)
        library.add(*takes)
        spaces = {"image_text": PICTURES, "face": FACES}
        build_graph(library.settings, catalogue, library.derived, "run", spaces)
    monkeypatch.setenv("DAM_HOME", str(tmp_path))
    yield tmp_path


def test_every_kind_of_relation_is_told_in_the_documented_form(home: Path) -> None:
    edges = dam_json("related", FIRST.removesuffix(".MP4").lower())
    assert {edge["kind"] for edge in edges} == set(EDGE_KINDS)
    for edge in edges:
        assert set(edge) == {"kind", "weight", "start_s", "end_s", "other", "evidence"}
        assert edge["other"]["uri"].endswith(SECOND)
        assert 0 < edge["weight"] <= 1


@pytest.mark.parametrize("kind", EDGE_KINDS)
def test_one_kind_can_be_asked_for(home: Path, kind: str) -> None:
    assert [edge["kind"] for edge in dam_json("related", "c0001", "--kind", kind)] == [kind]


def test_a_continuation_says_which_take_comes_first_and_why(home: Path) -> None:
    (before,) = dam_json("related", "c0001", "--kind", "continues")
    (after,) = dam_json("related", "c0002", "--kind", "continues")
    assert (before["evidence"]["role"], before["evidence"]["other_role"]) == ("first", "next")
    assert (after["evidence"]["role"], after["evidence"]["other_role"]) == ("next", "first")
    assert before["evidence"]["reasons"]["time"]["gap_s"] == 0
    told = dam("related", "c0001", "--kind", "continues").stdout
    assert "comes next" in told
    assert "same camera" in told
    assert "comes before" in dam("related", "c0002", "--kind", "continues").stdout


def test_a_copy_says_how_much_of_both_is_the_same(home: Path) -> None:
    (edge,) = dam_json("related", "c0001", "--kind", "near_duplicate")
    assert (edge["evidence"]["share"], edge["evidence"]["other_share"]) == (1.0, 1.0)
    assert "100% of" in dam("related", "c0001", "--kind", "near_duplicate").stdout


def test_the_community_is_told_to_people_and_not_to_scripts(home: Path) -> None:
    told = dam("related", "c0001")
    assert "Community 1:" in told.stdout
    assert "2 files" in told.stdout
    assert isinstance(dam_json("related", "c0001"), list)


def test_the_reference_names_every_kind() -> None:
    (related,) = (one for one in commands() if one.name == "dam related")
    (option,) = (one for one in related.parameters if "--kind" in one.names)
    assert all(kind in option.help for kind in EDGE_KINDS)
