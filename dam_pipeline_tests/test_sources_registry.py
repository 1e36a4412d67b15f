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
from dam_pipeline.errors import ConfigurationError, SourceUnavailable
from dam_pipeline.identity import path_to_uri
from dam_pipeline.settings import Settings
from dam_pipeline_tests.s3_server import Bucket


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def folder(tmp_path: Path, name: str) -> Path:
    path = tmp_path / name
    path.mkdir(parents=True)
    return path


def test_a_source_is_named_after_its_folder_and_kept(settings: Settings, tmp_path: Path) -> None:
    path = folder(tmp_path, "Día 1")
    added = add_source(settings, path, exclude=["proxies"])
    assert (added.name, added.uri, added.exclude) == ("Día 1", path_to_uri(path), ("proxies",))
    assert list_sources(settings) == [added]
    assert added.place == str(path)


def test_a_second_folder_of_the_same_name_gets_a_number(settings: Settings, tmp_path: Path) -> None:
    names = [add_source(settings, folder(tmp_path, f"{n}/DCIM")).name for n in range(3)]
    assert names == ["DCIM", "DCIM-2", "DCIM-3"]


def test_a_file_address_is_a_folder_too(settings: Settings, tmp_path: Path) -> None:
    path = folder(tmp_path, "with space")
    assert add_source(settings, path_to_uri(path)).uri == path_to_uri(path)


def test_a_name_that_was_removed_is_free_again(settings: Settings, tmp_path: Path) -> None:
    path = folder(tmp_path, "films")
    add_source(settings, path)
    assert remove_source(settings, "films").uri == path_to_uri(path)
    assert list_sources(settings) == []
    assert add_source(settings, path).name == "films"


def test_an_acceptance_is_kept_with_its_moment(settings: Settings, tmp_path: Path) -> None:
    add_source(settings, folder(tmp_path, "films"))
    before = time.time()
    accept_source(settings, "films")
    (source,) = list_sources(settings)
    assert before - 0.001 <= source.accepted_s <= time.time()


def test_a_source_added_again_has_no_acceptance(settings: Settings, tmp_path: Path) -> None:
    path = folder(tmp_path, "films")
    add_source(settings, path)
    accept_source(settings, "films")
    remove_source(settings, "films")
    assert add_source(settings, path).accepted_s is None


def test_everything_that_was_said_stays_in_the_journal(settings: Settings, tmp_path: Path) -> None:
    add_source(settings, folder(tmp_path, "films"))
    accept_source(settings, "films")
    remove_source(settings, "films")
    lines = (settings.home / "journal" / "sources.jsonl").read_text().splitlines()
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
    settings: Settings, tmp_path: Path, path: str, name: str | None, words: str
) -> None:
    for one in ("films/deep", "home/derived", "other"):
        folder(tmp_path, one)
    (tmp_path / "clip.mp4").touch()
    (tmp_path / "link").symlink_to(tmp_path / "films")
    add_source(settings, tmp_path / "films")
    with pytest.raises(ConfigurationError, match=words):
        add_source(settings, tmp_path / path, name)
    assert len(list_sources(settings)) == 1


def test_an_address_of_another_kind_is_refused(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="ftp:// is not known"):
        add_source(settings, "ftp://host/films")


@pytest.mark.s3
def test_folders_of_a_bucket_are_watched_as_folders_of_a_disk_are(
    settings: Settings, bucket: Bucket
) -> None:
    bucket.put("films/a.mp4", b"film")
    films = add_source(settings, f"{bucket.uri}/films/", exclude=["proxies"])
    assert (films.name, films.uri, films.place) == ("films", f"{bucket.uri}/films", films.uri)
    assert add_source(settings, f"{bucket.uri}/films2").name == "films2"  # nothing there yet
    for place, words in (
        ("/films", "is watched already, as source films"),
        ("/films/deep", "lies in the source films"),
        ("", "holds the source films"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            add_source(settings, bucket.uri + place)
    assert accept_source(settings, "films").accepted_s
    assert remove_source(settings, "films").uri == films.uri
    assert [one.name for one in list_sources(settings)] == ["films2"]


@pytest.mark.s3
def test_what_the_pipeline_writes_to_a_bucket_cannot_be_watched(
    settings: Settings, bucket: Bucket
) -> None:
    team = settings.model_copy(update={"storage_url": f"{bucket.uri}/dam"})
    for place in ("/dam", "/dam/derived"):
        with pytest.raises(ConfigurationError, match="lies in DAM_STORAGE_URL"):
            add_source(team, bucket.uri + place)
    assert add_source(team, bucket.uri).uri == bucket.uri  # the listing leaves it out


@pytest.mark.s3
@pytest.mark.usefixtures("as_guest")
def test_a_bucket_that_may_not_be_listed_is_not_taken(settings: Settings, bucket: Bucket) -> None:
    with pytest.raises(SourceUnavailable, match="s3:ListBucket"):
        add_source(settings, bucket.uri)
    assert list_sources(settings) == []


@pytest.mark.parametrize("act", [accept_source, remove_source])
def test_an_unknown_name_is_answered_with_the_known_ones(
    settings: Settings, tmp_path: Path, act
) -> None:
    add_source(settings, folder(tmp_path, "films"))
    with pytest.raises(ConfigurationError, match=r"no source flims\. Known: films"):
        act(settings, "flims")
