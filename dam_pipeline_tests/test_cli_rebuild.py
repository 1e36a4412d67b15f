"""`dam rebuild`: the same library again from its derived files alone."""

import json
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.dagster_home import open_instance
from dam_pipeline.partitions import PARTITIONS
from dam_pipeline.samples.contents import SampleFile
from dam_pipeline.settings import load_settings
from dam_pipeline.stages import STAGES
from dam_pipeline_tests.processed import SAMPLES, Library, dam, dam_json, processed_library

pytestmark = [pytest.mark.slow, pytest.mark.weights]

INDEXES = ("lancedb", "graph", "dagster")


@pytest.fixture
def library(shared_folder: Path, sample_library: dict[str, SampleFile]) -> Library:
    return processed_library(shared_folder, sample_library)


@pytest.fixture
def own(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    copied = library.copy(tmp_path / "home")
    copied.enter(monkeypatch)
    return copied


def forget_indexes(library: Library) -> None:
    for file in library.home.glob("catalogue.db*"):
        file.unlink()
    for name in INDEXES:
        shutil.rmtree(library.home / name)


def materialized() -> dict[str, set[str]]:
    with open_instance(load_settings()) as instance:
        return {
            stage: set(instance.get_materialized_partitions(dg.AssetKey(stage))) for stage in STAGES
        }


def partitions() -> list[str]:
    with open_instance(load_settings()) as instance:
        return list(instance.get_dynamic_partitions(PARTITIONS))


def rebuild(library: Library) -> dict[str, Any]:
    done = library.run("rebuild", "--json")
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_the_same_library_is_there_again(own: Library) -> None:
    status, shown = json.loads(dam("status", "--json").stdout), dam_json("show", "interview")
    related = dam_json("related", own.key("memo.flac"))
    found = dam_json("search", "fishermen")
    in_dagster, keys = materialized(), partitions()
    forget_indexes(own)
    said = rebuild(own)
    assert said["media"] == said["partitions"] == len(SAMPLES) + 1
    assert said["damaged"] == []
    assert json.loads(dam("status", "--json").stdout) == status
    assert dam_json("show", "interview") == shown
    assert dam_json("related", own.key("memo.flac")) == related
    assert dam_json("search", "fishermen") == found
    assert materialized() == in_dagster
    assert sorted(partitions()) == sorted(keys)


def test_nothing_is_stale_in_dagster_afterwards(own: Library) -> None:
    from dagster._core.definitions.data_version import CachingStaleStatusResolver
    from dagster._core.loader import LoadingContextForTest

    from dam_pipeline.definitions import build_definitions

    forget_indexes(own)
    rebuild(own)
    with open_instance(load_settings()) as instance:
        resolver = CachingStaleStatusResolver(
            instance=instance,
            asset_graph=build_definitions(load_settings()).resolve_asset_graph(),
            loading_context=LoadingContextForTest(instance),
        )
        key = own.key("interview.mp4")
        causes = {
            stage: [cause.reason for cause in resolver.get_stale_causes(dg.AssetKey(stage), key)]
            for stage in STAGES
        }
    assert causes == {stage: [] for stage in STAGES}


def test_a_second_rebuild_and_ingest_find_nothing_to_do(own: Library) -> None:
    forget_indexes(own)
    rebuild(own)
    again = rebuild(own)
    counts = {
        name: again[name] for name in ("locations", "states", "partitions", "materializations")
    }
    assert counts == dict.fromkeys(counts, 0)
    said = json.loads(own.run("ingest", str(own.originals), "--json").stdout)
    assert (said["new"], said["run_ids"]) == (0, [])


def test_a_damaged_file_is_named_and_passed_over(own: Library) -> None:
    media_id = dam_json("show", "memo")["media_id"]
    folder = own.home / "derived" / media_id[:2] / media_id
    (folder / "media.json").write_text("{")
    forget_indexes(own)
    done = own.run("rebuild", "--json")
    said = json.loads(done.stdout)
    assert done.returncode == 3
    assert said["media"] == len(SAMPLES)
    assert len(said["damaged"]) == 1
    assert str(folder / "media.json") in said["damaged"][0]
    with open_catalogue(own.home) as catalogue:
        assert catalogue.media([media_id]) == {}
