"""`dam source`: folders that are watched."""

from pathlib import Path

import pytest

from dam_pipeline.identity import path_to_uri
from dam_pipeline_tests.processed import dam, dam_json


@pytest.fixture
def tapes(tmp_path: Path) -> Path:
    folder = tmp_path / "tapes & more"
    folder.mkdir()
    return folder


def test_a_folder_is_added_listed_accepted_and_removed(dam_home: Path, tapes: Path) -> None:
    added = dam_json("source", "add", str(tapes), "--name", "tapes", "--exclude", "proxies/*")
    assert (added["name"], added["uri"]) == ("tapes", path_to_uri(tapes))
    assert (added["exclude"], added["accepted_at"], added["present"]) == (["proxies/*"], None, True)
    assert dam_json("source", "list") == [added]
    assert dam_json("source", "accept", "tapes")["accepted_at"]
    assert dam_json("source", "remove", "tapes")["name"] == "tapes"
    assert dam_json("source", "list") == []


def test_a_folder_that_is_away_is_listed_as_such(dam_home: Path, tapes: Path) -> None:
    dam("source", "add", str(tapes))
    tapes.rmdir()
    (one,) = dam_json("source", "list")
    assert one["present"] is False
    assert " no " in dam("source", "list").stdout


def test_people_are_told_what_happens_next(dam_home: Path, tapes: Path) -> None:
    assert "dam source add FOLDER" in dam("source", "list").stderr
    assert "dam ui" in dam("source", "add", str(tapes)).stderr


@pytest.mark.parametrize(
    "words",
    [("add", "/no/such/folder"), ("remove", "nothing"), ("accept", "nothing"), ("add", "ftp://b")],
)
def test_what_cannot_be_done_is_told(dam_home: Path, words: tuple[str, ...]) -> None:
    result = dam("source", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr
