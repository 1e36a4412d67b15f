"""`dam show`: the documented document of one file, and its view for people."""

from typing import Any

import pytest

from dam_pipeline.samples.contents import SampleFile
from dam_pipeline_tests.processed import Library, dam, dam_json

pytestmark = [pytest.mark.slow, pytest.mark.weights]

STATUS = {"media_id", "partition_key", "kind", "locations", "stages"}
LISTS = {"shots", "keyframes", "faces", "transcript", "tags", "scenes", "deliveries"}


def shown(library: Library, name: str, *options: str) -> dict[str, Any]:
    document = dam_json("show", library.key(name), *options)
    assert isinstance(document, dict)
    return document


def test_a_clip_has_every_documented_key(library: Library) -> None:
    document = shown(library, "interview.mp4")
    assert set(document) == STATUS | LISTS | {"probe", "provenance", "sha256", "fixity"}


def test_shots_stand_where_the_clip_was_cut(
    library: Library, sample_library: dict[str, SampleFile]
) -> None:
    document = shown(library, "interview.mp4")
    cuts = sample_library["clips/interview.mp4"].cuts_s
    assert [one["start_s"] for one in document["shots"]][1:] == pytest.approx(cuts, abs=0.1)
    assert [one["transition"] for one in document["shots"]] == ["start"] + ["cut"] * len(cuts)


def test_keyframe_paths_lead_from_the_home_to_pictures_and_one_is_the_hero(
    library: Library,
) -> None:
    keyframes = shown(library, "reel.mp4")["keyframes"]
    assert all(set(one) == {"time_s", "start_s", "end_s", "path", "is_hero"} for one in keyframes)
    assert all((library.home / one["path"]).is_file() for one in keyframes)
    assert sum(one["is_hero"] for one in keyframes) == 1


def test_spoken_words_stand_at_their_times(library: Library) -> None:
    transcript = shown(library, "interview.mp4")["transcript"]
    assert all(set(one) == {"start_s", "end_s", "text"} for one in transcript)
    second = next(one for one in transcript if "fishermen" in one["text"])
    assert second["start_s"] == pytest.approx(7.0, abs=1.0)


def test_a_face_has_a_vector_only_when_asked_for(library: Library) -> None:
    (face,) = shown(library, "astronaut.jpg")["faces"]
    assert set(face) == {"time_s", "box", "confidence", "track", "is_best"}
    assert face["time_s"] == 0.0
    (with_vector,) = shown(library, "astronaut.jpg", "--vectors")["faces"]
    assert sum(value * value for value in with_vector["vector"]) == pytest.approx(1.0, abs=1e-3)


def test_provenance_names_the_model_its_weights_and_the_inputs(library: Library) -> None:
    provenance = shown(library, "interview.mp4")["provenance"]
    keys = {
        *("model", "revision", "weights_sha256", "settings_hash", "code_version"),
        *("settings", "run_id", "when", "inputs", "also", "original_sha256"),
    }
    assert all(set(one) == keys for one in provenance.values())
    assert provenance["transcript"]["model"] == "whisper-base-ct2"
    assert len(provenance["transcript"]["weights_sha256"]) == 64
    assert set(provenance["keyframes"]["inputs"]) >= {"probe", "shots"}
    assert provenance["probe"]["settings_hash"]
    assert provenance["probe"]["run_id"] == library.ingest["run_ids"][0]


def test_a_file_without_results_has_empty_lists_and_no_probe(library: Library) -> None:
    document = shown(library, "empty.mp4")
    assert "probe" not in document
    assert all(document[name] == [] for name in LISTS)
    assert document["stages"]["probe"]["state"] == "failed"
    assert document["stages"]["shots"]["reason"] == "waits for probe"


def test_the_view_for_people_tells_what_is_said_and_when(library: Library) -> None:
    told = dam("show", library.key("interview.mp4")).stdout
    assert "2 shots" in told
    assert "orchestra" in told
    assert "video, 0:12" in told


def test_media_is_known_by_path_id_and_unique_prefix(library: Library) -> None:
    key = library.key("memo.flac")
    by_path = dam_json("show", str(library.originals / "sound" / "memo.flac"))
    assert by_path["partition_key"] == key
    assert dam_json("show", by_path["media_id"])["partition_key"] == key
    assert dam_json("show", "memo")["partition_key"] == key


def test_an_unknown_or_ambiguous_name_is_wrong_use(library: Library) -> None:
    unknown = dam("show", "nothing-like-it")
    assert (unknown.exit_code, unknown.stdout) == (2, "")
    assert "nothing-like-it" in unknown.stderr
    ambiguous = dam("show", "astronaut")
    assert ambiguous.exit_code == 2
    assert "astronaut-mirrored" in ambiguous.stderr.replace("\n", "")
