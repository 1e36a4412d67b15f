"""Stock in Dagster: checks that block, jobs that package and publish, the schedule of what is approved."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from logging import WARNING
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from PIL import Image

from dam_pipeline.agencies.loading import OWN, shipped_files
from dam_pipeline.assets.stock import DELIVERABLE, DELIVERY, PACKAGE, SHORTLIST
from dam_pipeline.definitions import build_definitions
from dam_pipeline.packaging.making import package_media
from dam_pipeline.packaging.manifest import read_manifest
from dam_pipeline.partitions import add_keys
from dam_pipeline.publishing import parse_destination
from dam_pipeline.publishing.approving import approve
from dam_pipeline.publishing.sending import publish
from dam_pipeline.records import Media
from dam_pipeline.settings import Settings, load_settings
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stock import shortlist
from dam_pipeline.stock.deliveries import Deliveries, DeliveryState
from dam_pipeline.stock.people import edit_record
from dam_pipeline_tests.clips import place
from dam_pipeline_tests.drawings import add
from resources.library import LibraryResource, close_libraries
from sensors.publishing import build_publish_approved

AGENCY = "harbour-pictures"
FITS = "fits_harbour_pictures"
TONIGHT = datetime(2026, 11, 22, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Studio:
    """Two described photographs and one without a word, on the shortlist of a home, and a package.

    The home has an agency of its own, which takes everything that has a title. Made once, and only
    read: each test works on a copy.
    """

    home: Path
    package: Path
    media: dict[str, Media]
    definitions: dg.Definitions

    @staticmethod
    def make(folder: Path) -> "Studio":
        settings = load_settings(folder / "home")
        own = settings.home / OWN / f"{AGENCY}.toml"
        own.parent.mkdir(parents=True)
        generic = shipped_files()["generic"].read_text()
        own.write_text(f"{generic}\n[title]\nis_required = true\n")
        originals = folder / "originals"
        originals.mkdir()
        for seed, name in enumerate(("cliff", "harbour", "unsaid")):
            Image.fromarray(place(seed, 640, 480)).save(originals / f"{name}.jpg")
        with Toolbox.open(settings) as tools:
            found = add(tools, originals, ("probe", "checksum", "poster"))
            media = {one.first_name.removesuffix(".jpg"): one for one in found}
            for name in ("cliff", "harbour"):
                describe(settings, media[name], name)
            shortlist.add(settings, [media[name].asset_id for name in sorted(media)])
            package_media(tools, AGENCY, (), folder / "package")
        return Studio(settings.home, folder / "package", media, build_definitions(settings))


def describe(settings: Settings, media: Media, name: str) -> None:
    """Say of a photograph what the agency asks for."""
    said = {
        "title": f"The {name} at noon, seen from the sea",
        "description": f"The {name} at noon, seen from the sea, on a calm day",
        "keywords": [name, "sea", "noon", "coast", "water", "sky", "calm"],
        "usage": "commercial",
    }
    edit_record(settings, [media.asset_id], said)


class Desk:
    """A copy of the studio's home, with a Dagster of its own."""

    def __init__(self, studio: Studio, settings: Settings, folder: Path) -> None:
        shutil.copytree(studio.home, settings.home, ignore=shutil.ignore_patterns("scratch"))
        self.settings, self.folder, self._studio = settings, folder, studio
        self.media, self.definitions = studio.media, studio.definitions
        self.instance = dg.DagsterInstance.ephemeral()
        self.resource = LibraryResource(home=str(settings.home))
        self.here = {"resources": {"library": {"config": {"home": str(settings.home)}}}}
        add_keys(self.instance, sorted(one.partition_key for one in self.media.values()))

    def packaged(self) -> Path:
        """The package of what can be packaged, as the job has made it earlier."""
        ours = self.settings.home / "packages" / "spring"
        shutil.copytree(self._studio.package, ours)
        return ours

    @contextmanager
    def without_originals(self) -> Iterator[None]:
        """As when a disk is not mounted."""
        there = self._studio.home.parent / "originals"
        away = there.rename(there.with_name("away"))
        try:
            yield
        finally:
            away.rename(there)

    def run(self, job: str, **config: Any) -> dg.DagsterRun:
        """One run of a job of one op."""
        (op,) = (node.name for node in self.definitions.resolve_job_def(job).nodes)
        result = self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            run_config={"ops": {op: {"config": config}}} | self.here,
            raise_on_error=False,
        )
        run = self.instance.get_run_by_id(result.run_id)
        assert run is not None
        return run

    def failure(self, run: dg.DagsterRun) -> str:
        """What a failed run says first."""
        (event,) = (
            one.dagster_event
            for one in self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
        )
        assert event
        data = event.step_failure_data.user_failure_data
        return (data.description if data else None) or ""

    def keys_of(self, asset: str) -> set[str]:
        """First names of the media whose partitions of an asset were made."""
        made = self.instance.get_materialized_partitions(dg.AssetKey(asset))
        return {name for name, one in self.media.items() if one.partition_key in made}

    def last(self, asset: str, partition: str | None = None) -> dict[str, Any]:
        """The metadata of the last materialisation."""
        records = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(
                dg.AssetKey(asset), asset_partitions=[partition] if partition else None
            ),
            limit=1,
        ).records
        assert records[0].asset_materialization
        return {k: v.value for k, v in records[0].asset_materialization.metadata.items()}

    def check(self, asset: str, name: str) -> dg.AssetCheckEvaluation:
        """The last evaluation of a check."""
        key = dg.AssetCheckKey(dg.AssetKey(asset), name)
        (record,) = self.instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
        assert record.event and record.event.dagster_event
        return record.event.dagster_event.asset_check_evaluation_data

    def package(self) -> Path:
        """A package of what can be packaged."""
        run = self.run("package_for_stock", agency=AGENCY)
        assert run.status is dg.DagsterRunStatus.SUCCESS, self.failure(run)
        return Path(self.last(PACKAGE)["folder"])


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    folder = tmp_path_factory.mktemp("studio")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAM_PROFILE", "bundled")
        patch.setenv("DAM_SETTLE_S", "0")
        patch.setenv("DAM_TORCH_THREADS", "1")
        return Studio.make(folder)


@pytest.fixture
def desk(studio: Studio, settings: Settings, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(studio, settings, tmp_path)
    yield made
    close_libraries()
    made.instance.dispose()


def test_a_package_is_made_of_what_fits_and_names_what_does_not(desk: Desk) -> None:
    folder = desk.package()
    manifest = read_manifest(folder)
    titles = {one.title for one in manifest.items}
    assert titles == {f"The {name} at noon, seen from the sea" for name in ("cliff", "harbour")}
    assert [one.media_id for one in manifest.left_out] == [desk.media["unsaid"].media_id]
    assert desk.keys_of(DELIVERABLE) == {"cliff", "harbour"}
    shown = desk.last(DELIVERABLE, desk.media["cliff"].partition_key)
    item = next(
        one for one in manifest.items if one.partition_key == desk.media["cliff"].partition_key
    )
    assert shown["sha256"] == hashlib.sha256((folder / item.file).read_bytes()).hexdigest()
    assert shown["lineage"]["probe"]["code_version"]


def test_the_check_of_the_agency_is_red_for_an_item_with_an_error_and_names_it(desk: Desk) -> None:
    desk.package()
    found = desk.check(SHORTLIST, FITS)
    assert not found.passed
    assert desk.media["unsaid"].partition_key in (found.description or "")
    describe(desk.settings, desk.media["unsaid"], "island")
    desk.package()
    assert desk.check(SHORTLIST, FITS).passed


def test_errors_block_a_strict_package_and_one_of_nothing_else(desk: Desk) -> None:
    strict = desk.run("package_for_stock", agency=AGENCY, strict=True)
    key = desk.media["unsaid"].partition_key
    alone = desk.run("package_for_stock", agency=AGENCY, media=[key])
    for run in (strict, alone):
        assert run.status is dg.DagsterRunStatus.FAILURE
        assert key in desk.failure(run)
    assert desk.keys_of(DELIVERABLE) == set()


def test_masters_that_are_gone_fail_the_run_by_name(desk: Desk) -> None:
    with desk.without_originals():
        run = desk.run("package_for_stock", agency=AGENCY)
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert desk.media["cliff"].partition_key in desk.failure(run)
    assert desk.keys_of(DELIVERABLE) == set()


def test_an_agency_that_is_none_is_told_with_those_there_are(desk: Desk) -> None:
    run = desk.run("package_for_stock", agency="adobe")
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert "adobe-stock" in desk.failure(run)


def test_checks_run_by_themselves_one_an_agency(desk: Desk) -> None:
    job = desk.definitions.resolve_job_def("check_shortlist")
    assert job.execute_in_process(instance=desk.instance, run_config=desk.here).success
    assert not desk.check(SHORTLIST, FITS).passed
    made = desk.check(SHORTLIST, FITS).target_materialization_data
    desk.package()
    told = desk.check(SHORTLIST, FITS)
    assert not told.passed
    assert made
    assert told.target_materialization_data == made  # else the UI calls it not evaluated
    found = desk.check(SHORTLIST, "fits_adobe_stock")
    assert found.metadata["items"].value == 3
    assert desk.last(SHORTLIST)["media"] == 3


def test_a_package_is_published_once_and_each_file_told_on_its_partition(desk: Desk) -> None:
    folder, there = desk.packaged(), desk.folder / "agency"
    there.mkdir()
    run = desk.run("publish_packages", packages=[folder.name], to=str(there))
    assert run.status is dg.DagsterRunStatus.SUCCESS, desk.failure(run)
    manifest = read_manifest(folder)
    sent = {path.name: path.read_bytes() for path in there.rglob("*") if path.is_file()}
    for item in manifest.items:
        assert hashlib.sha256(sent[Path(item.file).name]).hexdigest() == item.sha256
    assert desk.keys_of(DELIVERY) == {"cliff", "harbour"}
    assert desk.last(DELIVERY, manifest.items[0].partition_key)["state"] == "verified"
    before = {path: path.stat().st_mtime_ns for path in there.rglob("*")}
    again = desk.run("publish_packages", packages=[str(folder)], to=str(there))
    assert again.status is dg.DagsterRunStatus.SUCCESS
    assert {path: path.stat().st_mtime_ns for path in there.rglob("*")} == before


def test_what_an_agency_has_refused_is_no_delivery(desk: Desk) -> None:
    folder, there = desk.packaged(), desk.folder / "agency"
    there.mkdir()
    ledger = Deliveries(desk.settings)
    sent = publish(desk.settings, folder, parse_destination(str(there)))
    ledger.record(sent[0].now(DeliveryState.REJECTED, reason="noise"))
    run = desk.run("publish_packages", packages=[folder.name], to=str(there))
    assert run.status is dg.DagsterRunStatus.SUCCESS, desk.failure(run)
    keys = {one.partition_key for one in desk.media.values() if one.media_id == sent[1].media_id}
    assert desk.instance.get_materialized_partitions(dg.AssetKey(DELIVERY)) == keys


def test_an_address_that_does_not_suit_the_agency_is_warned_of(desk: Desk) -> None:
    folder = desk.packaged()
    to = "ftp://me@host.invalid/upload"
    run = desk.run("publish_packages", packages=[folder.name], to=to, dry_run=True)
    warnings = [
        one.user_message for one in desk.instance.all_logs(run.run_id) if one.level == WARNING
    ]
    assert any("readable to anyone" in one for one in warnings)
    assert any("takes sftp as well" in one for one in warnings)


def test_a_dry_run_sends_nothing_and_says_what_it_would(desk: Desk) -> None:
    folder, there = desk.packaged(), desk.folder / "agency"
    there.mkdir()
    run = desk.run("publish_packages", packages=[str(folder)], to=str(there), dry_run=True)
    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert list(there.rglob("*")) == []
    assert Deliveries(desk.settings).history() == []
    messages = [one.message for one in desk.instance.all_logs(run.run_id)]
    for item in read_manifest(folder).items:
        assert any(f"would be sent: {item.file}" in one for one in messages)


def test_a_package_that_was_changed_is_refused(desk: Desk) -> None:
    folder, there = desk.packaged(), desk.folder / "agency"
    there.mkdir()
    item = read_manifest(folder).items[0]
    with open(folder / item.file, "ab") as file:
        file.write(b"more")
    run = desk.run("publish_packages", packages=[str(folder)], to=str(there))
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert item.file in desk.failure(run)
    assert list(there.rglob("*")) == []


def test_half_an_order_is_refused(desk: Desk) -> None:
    run = desk.run("publish_packages", to="/somewhere")
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert "`packages`" in desk.failure(run)


def test_a_password_in_an_address_is_refused_and_not_repeated(desk: Desk) -> None:
    folder = desk.packaged()
    run = desk.run("publish_packages", packages=[str(folder)], to="sftp://me:swordfish@host/dir")
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert "password" in desk.failure(run)
    assert "swordfish" not in desk.failure(run)


def test_the_schedule_publishes_what_is_approved_and_nothing_else(desk: Desk) -> None:
    schedule = build_publish_approved(desk.settings)
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    folder, there = desk.packaged(), desk.folder / "agency"
    there.mkdir()
    assert isinstance(tick(desk, schedule), dg.SkipReason)
    approve(desk.settings, folder, parse_destination(str(there)))
    request = tick(desk, schedule)
    assert isinstance(request, dg.RunRequest)
    assert json.dumps(request.run_config) == "{}"
    run = desk.run("publish_packages")
    assert run.status is dg.DagsterRunStatus.SUCCESS, desk.failure(run)
    states = {one.state for one in Deliveries(desk.settings).latest().values()}
    assert states == {DeliveryState.VERIFIED}
    assert isinstance(tick(desk, schedule), dg.SkipReason)


def tick(desk: Desk, schedule: dg.ScheduleDefinition) -> Any:
    with dg.build_schedule_context(
        instance=desk.instance,
        resources={"library": desk.resource},
        scheduled_execution_time=TONIGHT,
    ) as context:
        return schedule(context)
