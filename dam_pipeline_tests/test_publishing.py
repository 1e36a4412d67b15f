"""Publishing packages: what goes where, what is told, cuts, kills, two at once, limits."""

import logging
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from dam_pipeline.errors import DeliveryFailed, PackageInvalid
from dam_pipeline.publishing import Destination, parse_destination
from dam_pipeline.publishing.approving import approve, approved_packages, take_back
from dam_pipeline.publishing.lines import Trying
from dam_pipeline.publishing.plan import find_package, plan_delivery
from dam_pipeline.publishing.sending import Options, publish, unfinished
from dam_pipeline.publishing.turns import turn_at
from dam_pipeline.settings import Settings
from dam_pipeline.stock.deliveries import Deliveries, DeliveryState
from dam_pipeline_tests.delivery_servers import DeliveryServer
from dam_pipeline_tests.packed import AGENCY, pack, several, some_bytes
from dam_pipeline_tests.processed import run_dam
from dam_pipeline_tests.s3_server import Bucket

QUICK = Options(trying=Trying(tries=3, first_wait_s=0.01))

REMOTES = [
    pytest.param("sftp", marks=pytest.mark.sftp),
    pytest.param("ftps", marks=pytest.mark.ftps),
    pytest.param("s3", marks=pytest.mark.s3),
]


@dataclass(frozen=True)
class Remote:
    """A server of our own: where to send, what lies there, and how to cut its lines."""

    destination: Destination
    files: Callable[[], dict[str, bytes]]
    cut: Callable[[], int]


@pytest.fixture(params=REMOTES)
def remote(request: pytest.FixtureRequest) -> Remote:
    """Each kind of server in turn."""
    if request.param == "s3":
        bucket: Bucket = request.getfixturevalue("bucket")
        return Remote(
            parse_destination(f"{bucket.uri}/upload"), lambda: objects_in(bucket), lambda: 0
        )
    server: DeliveryServer = request.getfixturevalue(f"{request.param}_server")
    url, folder = server.own_folder()
    destination = parse_destination(url)
    return Remote(destination, lambda: files_below(folder), server.cut)


def objects_in(bucket: Bucket) -> dict[str, bytes]:
    """What lies below `upload` in a bucket, by name."""
    listed = bucket.client.list_objects_v2(Bucket=bucket.name, Prefix="upload/")
    return {
        entry["Key"].removeprefix("upload/"): bucket.client.get_object(
            Bucket=bucket.name, Key=entry["Key"]
        )["Body"].read()
        for entry in listed.get("Contents", [])
    }


@pytest.fixture
def there(tmp_path: Path) -> Destination:
    """A folder as the destination."""
    return parse_destination(str(tmp_path / "agency"))


def files_in(destination: Destination) -> dict[str, bytes]:
    """What lies in a destination folder, by path."""
    return files_below(Path(destination.folder))


def files_below(folder: Path) -> dict[str, bytes]:
    """All files of a folder, by path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def states(settings: Settings) -> dict[str, str]:
    """The ledger's last word on each file, by its name."""
    return {Path(one.file).name: one.state.value for one in Deliveries(settings).latest().values()}


class TestWhatIsSent:
    def test_deliverables_lie_over_there_byte_for_byte_and_the_ledger_says_verified(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        clips = several(3, 300_000)
        package = pack(tmp_path / "package", clips)
        found = publish(settings, package, there, QUICK)
        assert files_in(there) == clips
        assert [(one.state, one.verified, one.size_bytes) for one in found] == [
            (DeliveryState.VERIFIED, "sha256", 300_000)
        ] * 3
        assert [one.remote for one in found] == [f"{there.folder}/{name}" for name in clips]
        assert states(settings) == dict.fromkeys(clips, "verified")

    def test_releases_and_tables_go_only_where_the_manifest_sends_them(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        clips, releases = {"a.jpg": b"picture"}, {"anna.pdf": b"signed"}
        portal = pack(tmp_path / "one", clips, releases=releases, over_there="photos")
        publish(settings, portal, there, QUICK)
        assert set(files_in(there)) == {"photos/a.jpg", "releases/anna.pdf"}
        upload = pack(
            tmp_path / "two", {"b.jpg": b"other"}, releases=releases, table_goes_by="upload"
        )
        found = publish(settings, upload, there, QUICK)
        assert set(files_in(there)) == {
            *("photos/a.jpg", "releases/anna.pdf", "b.jpg", "metadata.csv")
        }
        left_out = {one.file: one.reason for one in found if one.reason}
        assert set(left_out) == {"releases/anna.pdf"}

    def test_a_table_waits_until_all_files_that_it_names_are_there(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        package = pack(tmp_path / "p", {"a.mov": b"a", "b.mov": b"b"}, table_goes_by="upload")
        blocking = Path(there.folder) / "a.mov"
        blocking.parent.mkdir()
        blocking.write_bytes(b"another")
        found = {one.file: one for one in publish(settings, package, there, QUICK)}
        assert found["media/b.mov"].state is DeliveryState.VERIFIED
        assert found["metadata.csv"].state is DeliveryState.PLANNED
        assert "when all files" in found["metadata.csv"].reason
        blocking.unlink()
        found = {one.file: one for one in publish(settings, package, there, QUICK)}
        assert not unfinished(found.values())
        assert set(files_in(there)) == {"a.mov", "b.mov", "metadata.csv"}

    def test_one_failed_file_does_not_stop_the_others_and_says_why(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        clips = several(4, 1000)
        package = pack(tmp_path / "package", clips)
        blocking = Path(there.folder) / "clip-01.mov"
        blocking.parent.mkdir()
        blocking.write_bytes(b"of somebody else")
        found = publish(settings, package, there, QUICK)
        (failed,) = unfinished(found)
        assert failed.file == "media/clip-01.mov"
        assert failed.reason
        assert files_in(there) == clips | {"clip-01.mov": b"of somebody else"}
        word = [one for one in Deliveries(settings).latest().values() if one.reason]
        assert [(one.file, one.state) for one in word] == [(failed.file, DeliveryState.UPLOADING)]

    @pytest.mark.parametrize("spoil", ["change", "lose"])
    def test_a_package_that_is_not_what_its_manifest_says_is_refused_whole(
        self, settings: Settings, there: Destination, tmp_path: Path, spoil: str
    ) -> None:
        package = pack(tmp_path / "package", several(2, 1000))
        spoilt = package / "media" / "clip-01.mov"
        spoilt.write_bytes(some_bytes(1000, 99)) if spoil == "change" else spoilt.unlink()
        with pytest.raises(PackageInvalid, match=r"clip-01\.mov"):
            publish(settings, package, there, QUICK)
        assert not Path(there.folder).exists()
        assert states(settings) == {}

    def test_a_folder_without_a_manifest_is_no_package(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        pack(settings.home / "packages" / "spring", {"a.jpg": b"a"})
        assert find_package(settings, "spring") == settings.home / "packages" / "spring"
        with pytest.raises(PackageInvalid, match="spring"):
            find_package(settings, tmp_path)


class TestNeverTwice:
    def test_a_second_publish_sends_nothing_and_says_since_when_it_is_there(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        package = pack(tmp_path / "package", several(2, 1000))
        publish(settings, package, there, QUICK)
        before = {path: path.stat() for path in Path(there.folder).iterdir()}
        words = len(Deliveries(settings).history())
        found = publish(settings, package, there, QUICK)
        assert all("has it since" in one.reason and "--again" in one.reason for one in found)
        assert not unfinished(found)
        assert {path: path.stat() for path in Path(there.folder).iterdir()} == before
        assert len(Deliveries(settings).history()) == words

    def test_what_an_agency_has_from_elsewhere_is_left_out_unless_asked_for(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        publish(settings, pack(tmp_path / "package", {"a.mov": b"a"}), there, QUICK)
        elsewhere = parse_destination(str(tmp_path / "elsewhere"))
        mended = pack(tmp_path / "mended", {"a.mov": b"mended", "b.mov": b"b"})
        found = publish(settings, mended, elsewhere, QUICK)
        assert [bool(one.reason) for one in found] == [True, False]
        assert files_in(elsewhere) == {"b.mov": b"b"}
        publish(settings, mended, elsewhere, replace(QUICK, again=True))
        assert files_in(elsewhere) == {"a.mov": b"mended", "b.mov": b"b"}

    def test_another_agency_gets_the_same_media(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        publish(settings, pack(tmp_path / "one", {"a.mov": b"a"}), there, QUICK)
        other = parse_destination(str(tmp_path / "other"))
        publish(settings, pack(tmp_path / "two", {"a.mov": b"a"}, agency="pond5"), other, QUICK)
        assert files_in(other) == {"a.mov": b"a"}

    def test_rejected_bytes_stay_away_and_a_mended_file_goes(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        package = pack(tmp_path / "package", {"a.mov": b"blurred"})
        (sent,) = publish(settings, package, there, QUICK)
        Deliveries(settings).record(sent.now(DeliveryState.REJECTED, reason="out of focus"))
        Path(sent.remote).unlink()
        (left_out,) = publish(settings, package, there, QUICK)
        assert left_out.state is DeliveryState.REJECTED
        assert "out of focus" in left_out.reason
        mended = pack(tmp_path / "mended", {"a.mov": b"sharp"})
        (sent,) = publish(settings, mended, there, QUICK)
        assert (sent.state, files_in(there)) == (DeliveryState.VERIFIED, {"a.mov": b"sharp"})

    def test_a_file_that_came_there_unrecorded_is_found_and_not_sent(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        package = pack(tmp_path / "package", {"a.mov": b"bytes"})
        Path(there.folder).mkdir()
        arrived = Path(there.folder) / "a.mov"
        arrived.write_bytes(b"bytes")
        before, told = arrived.stat(), []
        (found,) = publish(settings, package, there, QUICK, lambda *words: told.append(words))
        assert (found.state, found.verified) == (DeliveryState.VERIFIED, "sha256")
        assert arrived.stat().st_mtime_ns == before.st_mtime_ns
        assert arrived.stat().st_ino == before.st_ino
        assert told[-1] == (5, 5, "a.mov")


class TestTwoAtOnce:
    def test_one_publishes_and_the_other_is_told_to_wait(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        package = pack(tmp_path / "package", {"a.mov": b"a"})
        with turn_at(settings, AGENCY):
            with pytest.raises(DeliveryFailed, match=f"is publishing to {AGENCY}"):
                publish(settings, package, there, QUICK)
            publish(settings, pack(tmp_path / "two", {"b.mov": b"b"}, agency="pond5"), there, QUICK)
        publish(settings, package, there, QUICK)
        assert files_in(there) == {"a.mov": b"a", "b.mov": b"b"}

    def test_two_processes_never_send_a_file_twice(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        clips = several(8, 100_000)
        package = pack(tmp_path / "package", clips)
        command = _command(package, there, "--limit", "2MB/s")
        both = [_start(settings, command) for _ in range(2)]
        codes = sorted(one.wait(timeout=60) for one in both)
        assert codes in ([0, 0], [0, 1])  # one after the other, or one was sent away
        assert files_in(there) == clips
        begun = [
            one.file
            for one in Deliveries(settings).history()
            if one.state is DeliveryState.UPLOADING
        ]
        assert sorted(begun) == [f"media/{name}" for name in clips]

    @pytest.mark.postgres
    def test_another_machine_of_the_team_is_waited_for(
        self, own_postgres: str, there: Destination, tmp_path: Path
    ) -> None:
        one, other = (
            Settings(home=tmp_path / name, postgres_url=own_postgres) for name in ("one", "other")
        )
        package = pack(tmp_path / "package", {"a.mov": b"a"})
        with turn_at(one, AGENCY), pytest.raises(DeliveryFailed, match="on another machine"):
            publish(other, package, there, QUICK)
        publish(other, package, there, QUICK)
        assert files_in(there) == {"a.mov": b"a"}


class TestApproving:
    def test_an_approved_package_waits_until_its_files_are_there(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        package = pack(tmp_path / "package", several(2, 1000))
        destination = Destination("sftp", "host.example", 2222, "me@mail.example", "/upload")
        approve(settings, package, destination)
        (waiting,) = approved_packages(settings)
        assert (waiting.folder, waiting.agency) == (package, AGENCY)
        assert (waiting.files, waiting.size_bytes) == (2, 2000)
        assert waiting.destination == destination
        approve(settings, package, there)
        assert [one.destination for one in approved_packages(settings)] == [destination, there]
        publish(settings, package, there, QUICK)
        assert [one.destination for one in approved_packages(settings)] == [destination]
        take_back(settings, package, destination)
        assert approved_packages(settings) == []

    def test_what_was_broken_off_stays_approved(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        package = pack(tmp_path / "package", {"a.mov": b"a", "b.mov": b"b"})
        approve(settings, package, there)
        Path(there.folder).mkdir()
        (Path(there.folder) / "b.mov").write_bytes(b"in the way")
        publish(settings, package, there, QUICK)
        (waiting,) = approved_packages(settings)
        assert waiting.files == 1
        (Path(there.folder) / "b.mov").unlink()
        publish(settings, waiting.folder, waiting.destination, QUICK)
        assert approved_packages(settings) == []

    def test_an_approval_to_send_again_stands_without_being_asked_for_again(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        package = pack(tmp_path / "package", {"a.mov": b"a"})
        publish(settings, package, there, QUICK)
        elsewhere = parse_destination(str(tmp_path / "elsewhere"))
        plan, approved = approve(settings, package, elsewhere)
        assert (len(plan.left_out), approved) == (1, [])
        approve(settings, package, elsewhere, again=True)
        publish(settings, package, elsewhere, QUICK)
        assert files_in(elsewhere) == {"a.mov": b"a"}
        assert approved_packages(settings) == []

    def test_the_plan_changes_nothing(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        package = pack(tmp_path / "package", several(2, 1000))
        before = sorted(tmp_path.rglob("*"))
        plan = plan_delivery(settings, package, there)
        assert [one.delivery.remote for one in plan.outgoing] == [
            f"{there.folder}/clip-00.mov",
            f"{there.folder}/clip-01.mov",
        ]
        assert sorted(tmp_path.rglob("*")) == before


class TestOverALine:
    def test_a_package_arrives_whole_and_a_second_publish_sends_nothing(
        self, settings: Settings, remote: Remote, tmp_path: Path
    ) -> None:
        clips = several(4, 400_000)
        package = pack(tmp_path / "package", clips, over_there="videos")
        found = publish(settings, package, remote.destination, QUICK)
        assert not unfinished(found)
        assert remote.files() == {f"videos/{name}": content for name, content in clips.items()}
        assert all(one.verified for one in found)
        told: list[int] = []
        publish(settings, package, remote.destination, QUICK, lambda *words: told.append(words[0]))
        assert max(told[-1:]) == 0

    def test_what_is_there_but_not_in_the_ledger_is_not_sent_again(
        self, settings: Settings, remote: Remote, tmp_path: Path
    ) -> None:
        clips = several(3, 200_000)
        package = pack(tmp_path / "package", clips)
        publish(settings, package, remote.destination, QUICK)
        (settings.home / "journal" / "deliveries.jsonl").unlink()
        sent: list[tuple[int, str]] = []
        found = publish(
            settings,
            package,
            remote.destination,
            replace(QUICK, limit_bytes_per_s=1),  # a file that is sent would take days
            lambda done, _total, name: sent.append((done, name)),
        )
        assert [one.state for one in found] == [DeliveryState.VERIFIED] * 3
        assert remote.files() == clips

    @pytest.mark.parametrize("seed", [1, 2])
    def test_lines_that_break_at_random_moments_lose_nothing(
        self,
        settings: Settings,
        remote: Remote,
        tmp_path: Path,
        seed: int,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        if remote.destination.scheme == "s3":
            pytest.skip("asks by requests, not over a line: see test_publishing_s3")
        clips = several(4, 3_000_000, seed=10 * seed)
        package = pack(tmp_path / "package", clips)
        moments, done = random.Random(seed), threading.Event()
        cuts: list[int] = []

        def break_lines() -> None:
            while not done.wait(moments.uniform(0.3, 1.0)) and len(cuts) < 6:
                cuts.append(remote.cut())

        breaking = threading.Thread(target=break_lines)
        breaking.start()
        options = Options(limit_bytes_per_s=3_000_000, trying=Trying(tries=8, first_wait_s=0.05))
        try:
            found = publish(settings, package, remote.destination, options)
        finally:
            done.set()
            breaking.join()
        assert sum(cuts) > 0
        assert not unfinished(found)
        assert remote.files() == clips
        check_ledger(settings, clips)
        assert "Trying again" in caplog.text

    def test_a_publish_that_is_killed_ten_times_ends_with_every_file_once(
        self, settings: Settings, remote: Remote, tmp_path: Path
    ) -> None:
        clips = several(8, 1_500_000, seed=70)
        package = pack(tmp_path / "package", clips)
        kill_again_and_again(settings, package, remote.destination, 11, limit="1MB/s")
        found = publish(settings, package, remote.destination, QUICK)
        assert not unfinished(found)
        assert remote.files() == clips
        check_ledger(settings, clips)

    def test_no_password_is_in_ledger_logs_or_answers(
        self,
        settings: Settings,
        tmp_path: Path,
        request: pytest.FixtureRequest,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        server: DeliveryServer = request.getfixturevalue("ftps_server")
        secrets = [
            value for name, value in server.variables.items() if name.startswith("DAM_PASSWORD")
        ]
        url, _ = server.own_folder()
        caplog.set_level(logging.DEBUG)
        package = pack(tmp_path / "package", {"a.mov": b"a"})
        done = run_dam({}, "stock", "publish", str(package), "--to", url, "--json")
        publish(settings, package, parse_destination(url), replace(QUICK, again=True))
        kept = b"".join(p.read_bytes() for p in settings.home.rglob("*") if p.is_file()).decode()
        assert len(secrets) == 1
        assert secrets[0] not in done.stdout + done.stderr + caplog.text + kept


class TestKills:
    """`kill -9` at a random moment, again and again; then everything is there once, and true."""

    SEED = 7

    def test_a_publish_that_is_killed_ten_times_ends_with_every_file_once(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        clips = several(8, 1_500_000, seed=50)
        package = pack(tmp_path / "package", clips)
        kill_again_and_again(settings, package, there, self.SEED, limit="1MB/s")
        found = publish(settings, package, there, QUICK)
        assert not unfinished(found)
        assert files_in(there) == clips
        check_ledger(settings, clips)
        arrived = {path: path.stat().st_ino for path in Path(there.folder).iterdir()}
        publish(settings, package, there, QUICK)
        assert {path: path.stat().st_ino for path in Path(there.folder).iterdir()} == arrived


def kill_again_and_again(
    settings: Settings,
    package: Path,
    destination: Destination,
    seed: int,
    limit: str,
    environment: Mapping[str, str] | None = None,
    kills: int = 10,
) -> None:
    """Start `dam stock publish` and kill it within its sending, so often."""
    moments = random.Random(seed)
    command = _command(package, destination, "--limit", limit)
    for _ in range(kills):
        words = len(Deliveries(settings).history())
        process = _start(settings, command, environment)
        until_s = time.monotonic() + 60
        while len(Deliveries(settings).history()) == words and process.poll() is None:
            assert time.monotonic() < until_s
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.5))
        process.kill()
        assert process.wait() == -signal.SIGKILL, "it ended before it was killed: send slower"


def check_ledger(settings: Settings, clips: Mapping[str, bytes]) -> None:
    """The ledger says of each file that it is there, with its size and hash, once."""
    import hashlib

    history = Deliveries(settings).history()
    latest = {Path(one.file).name: one for one in Deliveries(settings).latest().values()}
    assert set(latest) == set(clips)
    for name, content in clips.items():
        word = latest[name]
        assert word.state in (DeliveryState.VERIFIED, DeliveryState.DELIVERED)
        assert word.sha256 == hashlib.sha256(content).hexdigest()
        assert sum(one.state is word.state for one in history if one.file == word.file) == 1


def _command(package: Path, destination: Destination, *more: str) -> list[str]:
    return ["stock", "publish", str(package), "--to", destination.url, *more]


def _start(
    settings: Settings, command: list[str], environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    code = "from dam_pipeline.cli.main import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *command],
        env={**os.environ, "DAM_HOME": str(settings.home), **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
