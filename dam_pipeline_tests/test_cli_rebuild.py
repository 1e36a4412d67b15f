"""`dam rebuild`: the same library again from its derived files alone."""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest

from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.dagster_home import open_instance
from dam_pipeline.definitions import build_definitions
from dam_pipeline.partitions import PARTITIONS
from dam_pipeline.samples.contents import SampleFile
from dam_pipeline.settings import load_settings
from dam_pipeline.stages import STAGES
from dam_pipeline_tests.processed import SAMPLES, Library, dam, dam_json, processed_library

pytestmark = [pytest.mark.slow, pytest.mark.weights]

INDEXES = ("lancedb", "graph", "segments", "dagster")


@pytest.fixture(scope="module")
def library(shared_folder: Path, sample_library: dict[str, SampleFile]) -> Library:
    return processed_library(shared_folder, sample_library)


@dataclass(frozen=True)
class Rebuilt:
    """A library before and after its indexes were deleted and rebuilt."""

    library: Library
    before: dict[str, Any]
    said: dict[str, Any]


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def rebuilt(
    request: pytest.FixtureRequest, library: Library, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rebuilt]:
    """Rebuilt on SQLite as it was, then in an empty Postgres: the way from the one to the other."""
    own = library.copy(tmp_path_factory.mktemp("rebuilt") / "home")
    with ExitStack() as resources:
        monkeypatch = resources.enter_context(pytest.MonkeyPatch.context())
        own.enter(monkeypatch)
        before = answers(own)
        if request.param == "postgres":
            server = request.getfixturevalue("postgres_server")
            monkeypatch.setenv("DAM_POSTGRES_URL", resources.enter_context(server.own_database()))
            monkeypatch.setenv("DAGSTER_POSTGRES_URL", "")
        else:
            forget_indexes(own)
        done = own.run("rebuild", "--json")
        assert done.returncode == 0, done.stderr
        yield Rebuilt(own, before, json.loads(done.stdout))


def answers(library: Library) -> dict[str, Any]:
    """What the commands and Dagster answer of a library."""
    return {
        "status": json.loads(dam("status", "--json").stdout),
        "show": dam_json("show", "interview"),
        "related": dam_json("related", library.key("memo.flac")),
        "search": dam_json("search", "fishermen"),
        **in_dagster(),
    }


def in_dagster() -> dict[str, Any]:
    with open_instance(load_settings()) as instance:
        return {
            "partitions": set(instance.get_dynamic_partitions(PARTITIONS)),
            "materialized": {
                stage: set(instance.get_materialized_partitions(dg.AssetKey(stage)))
                for stage in STAGES
            },
        }


def forget_indexes(library: Library) -> None:
    for file in library.home.glob("catalogue.db*"):
        file.unlink()
    for name in INDEXES:
        shutil.rmtree(library.home / name)


def test_it_says_what_it_restored(rebuilt: Rebuilt) -> None:
    assert rebuilt.said["media"] == rebuilt.said["partitions"] == len(SAMPLES) + 1
    assert rebuilt.said["damaged"] == []


def test_the_same_library_is_there_again(rebuilt: Rebuilt) -> None:
    assert answers(rebuilt.library) == rebuilt.before


def test_nothing_is_stale_in_dagster_afterwards(rebuilt: Rebuilt) -> None:
    key = rebuilt.library.key("interview.mp4")
    with open_instance(load_settings()) as instance:
        resolver = CachingStaleStatusResolver(
            instance=instance,
            asset_graph=build_definitions(load_settings()).resolve_asset_graph(),
            loading_context=LoadingContextForTest(instance),
        )
        causes = {
            stage: [cause.reason for cause in resolver.get_stale_causes(dg.AssetKey(stage), key)]
            for stage in STAGES
        }
    assert causes == {stage: [] for stage in STAGES}


def test_a_second_rebuild_and_ingest_find_nothing_to_do(rebuilt: Rebuilt) -> None:
    again = dam_json("rebuild")
    counts = ("locations", "states", "partitions", "materializations")
    assert [again[name] for name in counts] == [0, 0, 0, 0]
    said = json.loads(dam("ingest", str(rebuilt.library.originals), "--json").stdout)
    assert (said["new"], said["run_ids"]) == (0, [])


def test_a_damaged_file_is_named_and_passed_over(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = library.copy(tmp_path / "home")
    own.enter(monkeypatch)
    media_id = dam_json("show", "memo")["media_id"]
    folder = own.home / "derived" / media_id[:2] / media_id
    (folder / "media.json").write_text("{")
    reel = dam_json("show", own.key("reel.mp4"))["media_id"]
    table = own.home / "derived" / reel[:2] / reel / "clip_embeddings.parquet"
    table.write_bytes(b"PAR1 damaged")
    forget_indexes(own)
    result = dam("rebuild", "--json")
    said = json.loads(result.stdout)
    assert result.exit_code == 3
    assert said["media"] == len(SAMPLES)
    assert len(said["damaged"]) == 2
    assert str(folder / "media.json") in said["damaged"][0]
    assert str(table) in said["damaged"][1]
    assert "dam retry --stage clip_embeddings" in said["damaged"][1]
    with open_catalogue(own.home) as catalogue:
        assert catalogue.media([media_id]) == {}
