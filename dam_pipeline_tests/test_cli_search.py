"""`dam search` and `dam related`: what they answer, warn of and refuse."""

import json
from pathlib import Path

import pytest

from dam_pipeline_tests.processed import Library, dam, dam_json

pytestmark = [pytest.mark.slow, pytest.mark.weights]


def names(hits: list[dict[str, str]]) -> list[str]:
    return [hit["uri"].rsplit("/", 1)[1] for hit in hits]


def test_a_spoken_word_is_found_to_the_second(library: Library) -> None:
    found = dam_json("search", "fishermen")
    assert names(found["hits"]) == ["interview.mp4"]
    (hit,) = found["hits"]
    assert set(hit) >= {
        *("media_id", "partition_key", "uri", "kind", "start_s", "end_s", "score", "space"),
        *("keyframe", "evidence"),
    }
    assert hit["start_s"] == pytest.approx(7.0, abs=1.0)
    assert (library.home / hit["keyframe"]).is_file()


def test_hits_for_people_have_times_as_minutes_and_seconds(library: Library) -> None:
    result = dam("search", "fishermen")
    assert "0:06–0:" in result.stdout or "0:07–0:" in result.stdout
    assert "interview.mp4" in result.stdout.replace("\n", "").replace(" ", "")


def test_kind_and_limit_narrow_the_hits(library: Library) -> None:
    assert set(names(dam_json("search", "orchestra")["hits"])) == {"interview.mp4", "memo.flac"}
    assert names(dam_json("search", "orchestra", "--kind", "audio")["hits"]) == ["memo.flac"]
    assert len(dam_json("search", "orchestra", "--limit", "1")["hits"]) == 1


def test_path_date_duration_and_sound_narrow_the_hits(library: Library) -> None:
    picture = str(library.originals / "faces" / "astronaut.jpg")
    assert "astronaut-mirrored.png" in names(dam_json("search", "--image", picture)["hits"])
    for narrowing in (
        ("--path", "clips/*"),
        ("--after", "2999"),
        ("--before", "1900-01-01"),
        ("--min-duration", "3600"),
        ("--camera", "no such camera"),
    ):
        hits = names(dam_json("search", "--image", picture, *narrowing)["hits"])
        assert not [name for name in hits if name.startswith("astronaut")], narrowing
    assert not names(dam_json("search", "orchestra", "--no-audio")["hits"])


def test_what_the_model_does_not_understand_is_said_on_standard_error(library: Library) -> None:
    result = dam("search", "fishermen", "--json")
    warnings = json.loads(result.stdout)["warnings"]
    assert warnings
    told = " ".join(result.stderr.split())
    assert all(" ".join(warning.split()) in told for warning in warnings)


def test_nothing_found_is_no_error_and_is_said(library: Library) -> None:
    result = dam("search", "xylophone")
    assert result.exit_code == 0
    assert "Nothing found." in result.stderr
    assert dam_json("search", "xylophone")["hits"] == []


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--image", "/no/such.jpg"),
        ("word", "--after", "yesterday"),
        ("word", "--kind", "smell"),
    ],
)
def test_wrong_use_is_told_apart(library: Library, words: tuple[str, ...]) -> None:
    result = dam("search", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr


def test_a_picture_that_cannot_be_read_is_an_error_in_words(
    library: Library, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    result = dam("search", "--image", str(bad))
    assert result.exit_code == 1
    assert "bad.jpg" in result.stderr.replace("\n", "")


def test_files_with_one_face_or_the_same_words_are_related(library: Library) -> None:
    (edge,) = dam_json("related", library.key("astronaut.jpg"), "--kind", "same_face")
    assert set(edge) == {"kind", "weight", "start_s", "end_s", "other", "evidence"}
    assert edge["other"]["uri"].endswith("/astronaut-mirrored.png")
    words = dam_json("related", library.key("memo.flac"), "--kind", "same_words")
    assert [one["other"]["uri"].rsplit("/", 1)[1] for one in words] == ["interview.mp4"]


def test_a_re_encoded_copy_looks_like_its_original(library: Library) -> None:
    edges = dam_json("related", library.key("reel.mp4"), "--kind", "looks_like")
    assert edges[0]["other"]["uri"].endswith("/reel-for-web.mp4")
    told = dam("related", library.key("reel.mp4")).stdout
    assert "looks_like" in told


def test_an_unknown_kind_of_relation_is_wrong_use(library: Library) -> None:
    result = dam("related", library.key("reel.mp4"), "--kind", "smells_like")
    assert result.exit_code == 2
    assert "same_face" in result.stderr


def test_a_file_without_relations_says_so(library: Library) -> None:
    key = library.key("empty.mp4")
    assert dam_json("related", key) == []
    assert key in dam("related", key).stderr
