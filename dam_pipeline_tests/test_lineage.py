"""From any hit, edge, tag or word back to model, weights, code, settings, run and original."""

import hashlib
import json
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest

from dam_pipeline.dagster_home import open_instance
from dam_pipeline.identity import uri_to_path
from dam_pipeline.models import identify
from dam_pipeline.settings import load_settings
from dam_pipeline_tests.processed import Library, dam_json

KIND_OF = {"clip_embeddings": "image_text", "face_embeddings": "face", "transcript": "speech"}


def show(media_id: str) -> dict[str, Any]:
    found: dict[str, Any] = dam_json("show", media_id)
    return found


def follow(library: Library, media_id: str, stage: str) -> None:
    """Check that all places tell the same of what made a stage's result, and that it is true."""
    document = show(media_id)
    made_by = document["provenance"][stage]
    original = uri_to_path(document["locations"][0]["uri"]).read_bytes()
    assert document["sha256"] == hashlib.sha256(original).hexdigest()
    assert made_by["original_sha256"] == document["sha256"]
    settings = load_settings(library.home)
    if stage in KIND_OF:
        model = identify(settings)[KIND_OF[stage]]
        assert model is not None
        assert (made_by["model"], made_by["weights_sha256"]) == (model.name, model.weights_sha256)

    footer = pq.read_schema(next(library.home.glob(f"derived/*/{media_id}/{stage}.parquet")))
    stamped = json.loads(footer.metadata[b"dam_pipeline"])
    told = ("model", "weights_sha256", "code_version", "settings_hash", "settings", "run_id")
    assert {name: stamped[name] for name in told} == {name: made_by[name] for name in told}
    assert stamped["media_id"] == media_id
    assert stamped["original_sha256"] == document["sha256"]

    with open_instance(settings) as instance:
        run = instance.get_run_by_id(made_by["run_id"])
        assert run is not None
        records = instance.fetch_materializations(
            dg.AssetRecordsFilter(
                asset_key=dg.AssetKey(stage), asset_partitions=[document["partition_key"]]
            ),
            limit=1,
        ).records
        event_of = records[0].asset_materialization
        assert event_of is not None and event_of.tags is not None
        assert event_of.tags["dagster/code_version"] == made_by["code_version"]
        shown = {name: value.value for name, value in event_of.metadata.items()}
        assert shown["original_sha256"] == document["sha256"]
        assert shown["settings_hash"] == made_by["settings_hash"]
        assert shown["code_version"] == made_by["code_version"]
        assert shown.get("weights_sha256", "") == made_by["weights_sha256"]


@pytest.fixture
def entered(library: Library, monkeypatch: pytest.MonkeyPatch) -> Library:
    library.enter(monkeypatch)
    return library


def test_a_hit_in_a_picture_leads_to_model_code_run_and_original(entered: Library) -> None:
    found = dam_json("search", "one red circle")
    hit = found["hits"][0]
    document = show(hit["media_id"])
    model = document["provenance"]["clip_embeddings"]
    picture = next(one for one in hit["evidence"] if one["kind"] == "picture")
    assert picture["space"].startswith(f"{model['model']}@{model['weights_sha256'][:12]}")
    follow(entered, hit["media_id"], "clip_embeddings")


@pytest.mark.weights
def test_a_spoken_word_leads_to_the_speech_model_and_the_original(entered: Library) -> None:
    document = next(
        one
        for one in (show(media["media_id"]) for media in entered.ingest["media"])
        if one["transcript"]
    )
    follow(entered, document["media_id"], "transcript")


def test_a_tag_leads_to_the_space_that_gave_it_and_the_original(entered: Library) -> None:
    for media in entered.ingest["media"]:
        document = show(media["media_id"])
        if any(tag["source"] == "model" for tag in document["tags"]):
            assert document["provenance"]["tags"]["inputs"]["clip_embeddings"]
            follow(entered, document["media_id"], "tags")
            follow(entered, document["media_id"], "clip_embeddings")
            return
    pytest.fail("no file of the library has a tag of the model")


def test_an_edge_leads_to_the_results_of_both_sides(entered: Library) -> None:
    for media in entered.ingest["media"]:
        edges = dam_json("related", media["media_id"])
        alike = [edge for edge in edges if edge["kind"] == "looks_like"]
        if alike:
            space = alike[0]["evidence"]["space"]
            for side in (media["media_id"], alike[0]["other"]["media_id"]):
                made_by = show(side)["provenance"]["clip_embeddings"]
                assert space.startswith(f"{made_by['model']}@{made_by['weights_sha256'][:12]}")
                follow(entered, side, "clip_embeddings")
            return
    pytest.fail("no file of the library looks like another")


def test_originals_are_as_they_were_when_they_were_hashed(entered: Library) -> None:
    for media in entered.ingest["media"]:
        document = show(media["media_id"])
        if "sha256" in document:
            path = Path(uri_to_path(media["uri"]))
            assert hashlib.sha256(path.read_bytes()).hexdigest() == document["sha256"]
