"""What Dagster knows after a run: materialised, failed and stale partitions, and their words."""

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.partition_status_cache import (
    get_and_update_asset_status_cache_value,
)

from dam_pipeline.assets.lineage import observe_sidecars, tell_dagster
from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.dagster_home import open_instance
from dam_pipeline.definitions import build_definitions
from dam_pipeline.launch import end_lost_runs, run_graph, run_media
from dam_pipeline.partitions import add_keys
from dam_pipeline.records import Media
from dam_pipeline.run_tags import PROCESS_TAG
from dam_pipeline.settings import Settings
from dam_pipeline.stages import STAGES
from dam_pipeline_tests.clips import encode, shots
from resources.library import LibraryResource, close_libraries


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    with open_instance(settings) as opened:
        yield opened
    close_libraries()


@pytest.fixture
def originals(tmp_path: Path) -> Path:
    folder = tmp_path / "originals"
    folder.mkdir()
    encode(folder / "a.mp4", shots([20, 20]))
    encode(folder / "b.mp4", shots([15, 25]))
    (folder / "c.mp4").write_text("no film")
    return folder


def find(settings: Settings, folder: Path) -> dict[str, Media]:
    """Register what is there; media by name, and those with new sidecars told to Dagster."""
    with LibraryResource(home=str(settings.home)).open() as tools:
        found = discover([folder], tools.catalogue, tools.derived, tools.settings)
        with open_instance(settings) as instance:
            observe_sidecars(instance, found.sidecars)
        return {one.first_name: one for one in tools.catalogue.all_media()}


def run(settings: Settings, instance: dg.DagsterInstance, media: dict[str, Media]) -> dg.DagsterRun:
    by_key = {one.partition_key: one for one in media.values()}
    run_id = list(run_media(settings, instance, by_key))[-1]
    found = instance.get_run_by_id(run_id)
    assert found is not None
    return found


def materialized(instance: dg.DagsterInstance, stage: str) -> set[str]:
    return set(instance.get_materialized_partitions(dg.AssetKey(stage)))


def failed(settings: Settings, instance: dg.DagsterInstance, stage: str) -> set[str]:
    """The keys that the UI paints red."""
    definitions = build_definitions(settings)
    asset = definitions.resolve_asset_graph().get(dg.AssetKey(stage))
    cache = get_and_update_asset_status_cache_value(
        instance, dg.AssetKey(stage), asset.partitions_def, dynamic_partitions_loader=instance
    )
    assert cache is not None
    subset = cache.deserialize_failed_partition_subsets(asset.partitions_def)
    return set(subset.get_partition_keys())


def stale(settings: Settings, instance: dg.DagsterInstance, key: str) -> set[str]:
    """The stages that Dagster calls stale for a key."""
    graph = build_definitions(settings).resolve_asset_graph()
    context = LoadingContextForTest(instance)
    resolver = CachingStaleStatusResolver(instance, graph, context)
    return {
        stage
        for stage in STAGES
        if resolver.get_status(dg.AssetKey(stage), key) is StaleStatus.STALE
    }


def test_one_bad_file_is_failed_alone_and_the_reason_is_in_the_failure(
    settings: Settings, instance: dg.DagsterInstance, originals: Path
) -> None:
    media = find(settings, originals)
    bad, good = (
        media["c.mp4"].partition_key,
        {media[name].partition_key for name in ("a.mp4", "b.mp4")},
    )
    ended = run(settings, instance, media)
    assert ended.status is dg.DagsterRunStatus.FAILURE
    assert materialized(instance, "keyframes") == good
    assert failed(settings, instance, "keyframes") == {bad}
    assert failed(settings, instance, "checksum") == set()
    failure = next(
        event.dagster_event.step_failure_data
        for event in instance.all_logs(ended.run_id)
        if event.dagster_event and event.dagster_event.is_step_failure
    )
    assert failure.user_failure_data is not None
    assert failure.user_failure_data.description.startswith(f"{bad} at probe: ")


def test_running_again_keeps_what_is_done_green(
    settings: Settings, instance: dg.DagsterInstance, originals: Path
) -> None:
    media = find(settings, originals)
    run(settings, instance, media)
    run(settings, instance, media)
    good = {media[name].partition_key for name in ("a.mp4", "b.mp4")}
    assert materialized(instance, "keyframes") == good
    assert failed(settings, instance, "keyframes") == {media["c.mp4"].partition_key}


def test_the_graph_follows_although_a_file_failed(
    settings: Settings, instance: dg.DagsterInstance, originals: Path
) -> None:
    run(settings, instance, find(settings, originals))
    run_graph(settings, instance)
    event = instance.get_latest_materialization_event(dg.AssetKey("media_graph"))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["nodes/media"].value == 3


def test_a_changed_setting_makes_exactly_its_dependants_stale_in_dagster(
    settings: Settings, instance: dg.DagsterInstance, originals: Path
) -> None:
    media = find(settings, originals)
    run(settings, instance, media)
    key = media["a.mp4"].partition_key
    assert stale(settings, instance, key) == set()
    changed = settings.model_copy(update={"keyframe_gap_s": 2.0})
    assert stale(changed, instance, key) == {
        *("keyframes", "clip_embeddings", "tags", "face_embeddings", "scenes"),
        "search_index",
    }


def test_a_new_sidecar_makes_the_probe_stale_and_nothing_else(
    settings: Settings, instance: dg.DagsterInstance, originals: Path
) -> None:
    media = find(settings, originals)
    run(settings, instance, media)
    (originals / "a.xmp").write_text(SIDECAR)
    again = find(settings, originals)
    key = media["a.mp4"].partition_key
    assert stale(settings, instance, key) == {"probe"}
    run(settings, instance, again)
    assert stale(settings, instance, key) == set()
    with LibraryResource(home=str(settings.home)).open() as tools:
        media_id = again["a.mp4"].media_id
        stored = tools.derived.outcome(media_id, "probe")
        assert stored is not None
        assert stored.result["title"] == "Harbour at dawn"
        rows = tools.catalogue.states.of([media_id])[media_id]
        assert rows["shots"].run_id != rows["probe"].run_id


def test_a_superseded_file_is_no_partition_any_more_and_its_content_can_come_back(
    settings: Settings, instance: dg.DagsterInstance, originals: Path
) -> None:
    bad = originals / "c.mp4"
    keys = [find(settings, originals)["c.mp4"].partition_key]
    encode(originals / "c2.mp4", shots([30]))
    before = bad.read_bytes()
    with LibraryResource(home=str(settings.home)).open() as tools:

        def look() -> set[str]:
            found = discover([originals], tools.catalogue, tools.derived, tools.settings)
            tell_dagster(instance, found)
            return set(instance.get_dynamic_partitions("media"))

        add_keys(instance, keys)
        bad.write_bytes((originals / "c2.mp4").read_bytes() + b"more")
        assert keys[0] not in look()
        bad.write_bytes(before)
        assert keys[0] in look()


def test_a_run_whose_process_was_killed_is_ended(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    job = build_definitions(settings).resolve_job_def("graph")
    owner = f"{os.uname().nodename}/999999/1"
    lost = instance.create_run_for_job(
        job, tags={PROCESS_TAG: owner}, status=dg.DagsterRunStatus.STARTED
    )
    assert end_lost_runs(instance) == [lost.run_id]
    ended = instance.get_run_by_id(lost.run_id)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.FAILURE


SIDECAR = """<?xpacket begin='' id='W5M0MpCehiHzreSzNTczkc9d'?>
<x:xmpmeta xmlns:x='adobe:ns:meta/'>
 <rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>
  <rdf:Description rdf:about='' xmlns:dc='http://purl.org/dc/elements/1.1/'>
   <dc:title><rdf:Alt><rdf:li xml:lang='x-default'>Harbour at dawn</rdf:li></rdf:Alt></dc:title>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end='w'?>
"""
