"""Sources that people add: names, refusals, and what the journal keeps."""

import json
import time
from pathlib import Path

import pytest

from dam_pipeline.catalogue.registry import (
    accept_source,
    add_source,
    list_sources,
    remove_source,
)
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.identity import path_to_uri


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def folder(tmp_path: Path, name: str) -> Path:
    path = tmp_path / name
    path.mkdir(parents=True)
    return path


def test_a_source_is_named_after_its_folder_and_kept(home: Path, tmp_path: Path) -> None:
    path = folder(tmp_path, "Día 1")
    added = add_source(home, path, exclude=["proxies"])
    assert (added.name, added.uri, added.exclude) == ("Día 1", path_to_uri(path), ("proxies",))
    assert list_sources(home) == [added]
    assert added.path == path


def test_a_second_folder_of_the_same_name_gets_a_number(home: Path, tmp_path: Path) -> None:
    names = [add_source(home, folder(tmp_path, f"{n}/DCIM")).name for n in range(3)]
    assert names == ["DCIM", "DCIM-2", "DCIM-3"]


def test_a_file_address_is_a_folder_too(home: Path, tmp_path: Path) -> None:
    path = folder(tmp_path, "with space")
    assert add_source(home, path_to_uri(path)).path == path


def test_a_name_that_was_removed_is_free_again(home: Path, tmp_path: Path) -> None:
    path = folder(tmp_path, "films")
    add_source(home, path)
    assert remove_source(home, "films").path == path
    assert list_sources(home) == []
    assert add_source(home, path).name == "films"


def test_an_acceptance_is_kept_with_its_moment(home: Path, tmp_path: Path) -> None:
    add_source(home, folder(tmp_path, "films"))
    before = time.time()
    accept_source(home, "films")
    (source,) = list_sources(home)
    assert before - 0.001 <= source.accepted_s <= time.time()


def test_a_source_added_again_has_no_acceptance(home: Path, tmp_path: Path) -> None:
    path = folder(tmp_path, "films")
    add_source(home, path)
    accept_source(home, "films")
    remove_source(home, "films")
    assert add_source(home, path).accepted_s is None


def test_everything_that_was_said_stays_in_the_journal(home: Path, tmp_path: Path) -> None:
    add_source(home, folder(tmp_path, "films"))
    accept_source(home, "films")
    remove_source(home, "films")
    lines = (home / "journal" / "sources.jsonl").read_text().splitlines()
    assert [json.loads(line)["do"] for line in lines] == ["add", "accept", "remove"]


@pytest.mark.parametrize(
    ("path", "name", "words"),
    [
        ("films", None, "is watched already, as source films"),
        ("films/deep", None, "lies in the source films"),
        (".", None, "holds the source films"),
        ("link", None, "is watched already, as source films"),
        ("home/derived", None, "lies in DAM_HOME"),
        ("nothing", None, "is not there; give a folder that is"),
        ("clip.mp4", None, "is a file; give its folder"),
        ("other", "films", "There is a source films already"),
        ("other", "a/b", "cannot name a source"),
        ("other", "", "cannot name a source"),
    ],
)
def test_what_cannot_be_watched_is_refused_in_words(
    home: Path, tmp_path: Path, path: str, name: str | None, words: str
) -> None:
    for one in ("films/deep", "home/derived", "other"):
        folder(tmp_path, one)
    (tmp_path / "clip.mp4").touch()
    (tmp_path / "link").symlink_to(tmp_path / "films")
    add_source(home, tmp_path / "films")
    with pytest.raises(ConfigurationError, match=words):
        add_source(home, tmp_path / path, name)
    assert len(list_sources(home)) == 1


def test_a_bucket_is_said_to_be_not_supported_yet(home: Path) -> None:
    with pytest.raises(ConfigurationError, match="s3:// are not yet supported"):
        add_source(home, "s3://bucket/prefix")


@pytest.mark.parametrize("act", [accept_source, remove_source])
def test_an_unknown_name_is_answered_with_the_known_ones(home: Path, tmp_path: Path, act) -> None:
    add_source(home, folder(tmp_path, "films"))
    with pytest.raises(ConfigurationError, match=r"no source flims\. Known: films"):
        act(home, "flims")
