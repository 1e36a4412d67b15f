"""Publishing to real servers: lines that break and processes that are killed, at seeded moments."""

import logging
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from dam_pipeline.publishing import Destination, parse_destination
from dam_pipeline.publishing.lines import Trying
from dam_pipeline.publishing.sending import Options, publish, unfinished
from dam_pipeline.settings import Settings, load_settings
from dam_pipeline.stock.deliveries import Deliveries, DeliveryState
from dam_pipeline_tests.breaking import (
    SlowLine,
    check_ledger,
    files_below,
    kill_again_and_again,
)
from dam_pipeline_tests.delivery_servers import DeliveryServer
from dam_pipeline_tests.packed import pack, several
from dam_pipeline_tests.processed import run_dam
from dam_pipeline_tests.s3_server import Bucket, ask_as

QUICK = Options(trying=Trying(tries=3, first_wait_s=0.01))

REMOTES = [
    pytest.param("sftp", marks=pytest.mark.sftp),
    pytest.param("ftps", marks=pytest.mark.ftps),
    pytest.param("s3", marks=pytest.mark.s3),
]


@dataclass(frozen=True)
class Remote:
    """A server of our own: where to send, what lies there, how to cut its lines, who may use it."""

    settings: Settings
    destination: Destination
    files: Callable[[], dict[str, bytes]]
    cut: Callable[[], int]


@pytest.fixture(params=REMOTES)
def remote(
    request: pytest.FixtureRequest, dam_home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Remote]:
    """Each kind of server in turn, and a home in which it is known."""
    if request.param == "s3":
        bucket: Bucket = request.getfixturevalue("bucket")
        destination = parse_destination(f"{bucket.uri}/upload")
        with SlowLine(bucket.server.url, 4_000_000) as line:
            ask_as(monkeypatch, {"AWS_ENDPOINT_URL": line.url})
            yield Remote(load_settings(), destination, lambda: objects_in(bucket), line.cut)
        return
    server: DeliveryServer = request.getfixturevalue(f"{request.param}_server")
    url, folder = server.own_folder()
    destination = parse_destination(url)
    yield Remote(load_settings(), destination, lambda: files_below(folder), server.cut)


def objects_in(bucket: Bucket) -> dict[str, bytes]:
    """What lies below `upload` in a bucket, by name."""
    listed = bucket.client.list_objects_v2(Bucket=bucket.name, Prefix="upload/")
    return {
        entry["Key"].removeprefix("upload/"): bucket.client.get_object(
            Bucket=bucket.name, Key=entry["Key"]
        )["Body"].read()
        for entry in listed.get("Contents", [])
    }


class TestOverALine:
    def test_a_package_arrives_whole_and_a_second_publish_sends_nothing(
        self, remote: Remote, tmp_path: Path
    ) -> None:
        clips = several(4, 400_000)
        package = pack(tmp_path / "package", clips, over_there="videos")
        found = publish(remote.settings, package, remote.destination, QUICK)
        assert not unfinished(found)
        assert remote.files() == {f"videos/{name}": content for name, content in clips.items()}
        assert all(one.verified for one in found)
        told: list[int] = []
        publish(
            remote.settings,
            package,
            remote.destination,
            QUICK,
            lambda *words: told.append(words[0]),
        )
        assert max(told[-1:]) == 0

    def test_what_is_there_but_not_in_the_ledger_is_not_sent_again(
        self, remote: Remote, tmp_path: Path
    ) -> None:
        clips = several(3, 200_000)
        package = pack(tmp_path / "package", clips)
        publish(remote.settings, package, remote.destination, QUICK)
        (remote.settings.home / "journal" / "deliveries.jsonl").unlink()
        sent: list[tuple[int, str]] = []
        found = publish(
            remote.settings,
            package,
            remote.destination,
            replace(QUICK, limit_bytes_per_s=1),  # a file that is sent would take days
            lambda done, _total, name: sent.append((done, name)),
        )
        assert [one.state for one in found] == [DeliveryState.VERIFIED] * 3
        assert remote.files() == clips

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", [1, 2])
    def test_lines_that_break_at_random_moments_lose_nothing(
        self,
        remote: Remote,
        tmp_path: Path,
        seed: int,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
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
            found = publish(remote.settings, package, remote.destination, options)
        finally:
            done.set()
            breaking.join()
        assert sum(cuts) > 0
        assert not unfinished(found)
        assert remote.files() == clips
        check_ledger(remote.settings, clips)
        # S3's client tries again by itself.
        assert "Trying again" in caplog.text or remote.destination.scheme == "s3"

    @pytest.mark.slow
    def test_a_publish_that_is_killed_ten_times_ends_with_every_file_once(
        self, remote: Remote, tmp_path: Path
    ) -> None:
        clips = several(24, 1_500_000, seed=70)
        package = pack(tmp_path / "package", clips)
        kill_again_and_again(remote.settings, package, remote.destination, 11, limit="500kB/s")
        found = publish(remote.settings, package, remote.destination, QUICK)
        assert not unfinished(found)
        assert remote.files() == clips
        check_ledger(remote.settings, clips)

    @pytest.mark.ftps
    def test_no_password_is_in_ledger_logs_or_answers(
        self,
        ftps_server: DeliveryServer,
        settings: Settings,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        secrets = [
            value
            for name, value in ftps_server.variables.items()
            if name.startswith("DAM_PASSWORD")
        ]
        url, _ = ftps_server.own_folder()
        caplog.set_level(logging.DEBUG)
        package = pack(tmp_path / "package", {"a.mov": b"a"})
        done = run_dam(
            {"DAM_HOME": str(settings.home)},
            "stock",
            "publish",
            str(package),
            "--to",
            url,
            "--json",
        )
        publish(settings, package, parse_destination(url), replace(QUICK, again=True))
        kept = b"".join(p.read_bytes() for p in settings.home.rglob("*") if p.is_file()).decode()
        assert len(secrets) == 1
        assert secrets[0] not in done.stdout + done.stderr + caplog.text + kept


@pytest.mark.s3
def test_another_machine_of_the_library_knows_what_was_sent(bucket: Bucket, tmp_path: Path) -> None:
    one, other = (
        Settings(home=tmp_path / name, storage_url=f"{bucket.uri}/library")
        for name in ("one", "other")
    )
    package = pack(tmp_path / "package", several(3, 1000))
    publish(one, package, parse_destination(str(tmp_path / "agency")), QUICK)
    elsewhere = parse_destination(str(tmp_path / "elsewhere"))
    found = publish(other, package, elsewhere, QUICK)
    assert all("has it since" in delivery.reason for delivery in found)
    assert not Path(elsewhere.folder).exists()
    words = [word.state.value for word in Deliveries(other).history()]
    assert sorted(words) == ["planned"] * 3 + ["uploading"] * 3 + ["verified"] * 3
