"""Publishing packages: what goes where, what is told, cuts, kills, two at once, limits."""

import re
import signal
import sqlite3
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from dam_pipeline.errors import ConfigurationError, DamError, DeliveryFailed, PackageInvalid
from dam_pipeline.publishing import (
    Destination,
    Progress,
    Receipt,
    Transport,
    open_transport,
    parse_destination,
)
from dam_pipeline.publishing.approving import (
    approve,
    approved_packages,
    carried_by_hand,
    take_back,
)
from dam_pipeline.publishing.lines import Lines, Listener, Trying
from dam_pipeline.publishing.plan import find_package, plan_delivery
from dam_pipeline.publishing.rate import Rate, parse_rate
from dam_pipeline.publishing.sending import Options, publish, unfinished
from dam_pipeline.publishing.turns import turn_at
from dam_pipeline.settings import Settings
from dam_pipeline.stock.deliveries import Deliveries, DeliveryState
from dam_pipeline_tests.breaking import (
    check_ledger,
    files_below,
    kill_again_and_again,
    publish_command,
    started,
)
from dam_pipeline_tests.packed import AGENCY, pack, several, some_bytes

QUICK = Options(trying=Trying(tries=3, first_wait_s=0.01))


@pytest.fixture
def there(tmp_path: Path) -> Destination:
    """A folder as the destination."""
    return parse_destination(str(tmp_path / "agency"))


def files_in(destination: Destination) -> dict[str, bytes]:
    """What lies in a destination folder, by path."""
    return files_below(Path(destination.folder))


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

    def test_an_address_that_is_not_there_leaves_nothing_in_the_ledger(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        package = pack(tmp_path / "package", several(2, 1000))
        with pytest.raises(DeliveryFailed):
            publish(settings, package, parse_destination(str(tmp_path / "no" / "such")), QUICK)
        assert states(settings) == {}

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

    @pytest.mark.parametrize("over_there", ["../other", "/etc", "a\\..\\b", "a\nb"])
    def test_a_manifest_that_names_files_outside_of_the_destination_is_refused_whole(
        self, settings: Settings, there: Destination, tmp_path: Path, over_there: str
    ) -> None:
        package = pack(tmp_path / "package", {"a.mov": b"a"}, over_there=over_there)
        with pytest.raises(PackageInvalid, match="cannot be the name"):
            publish(settings, package, there, QUICK)
        with pytest.raises(PackageInvalid, match="cannot be the name"):
            plan_delivery(settings, package, there)
        assert states(settings) == {}

    def test_two_files_that_would_be_one_over_there_are_refused(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        releases = {"A.JPG": b"signed"}
        package = pack(
            tmp_path / "p", {"a.jpg": b"a", "b.jpg": b"b"}, releases=releases, over_there="releases"
        )
        with pytest.raises(PackageInvalid, match=r"releases/A\.JPG, media/a\.jpg"):
            publish(settings, package, there, QUICK)
        assert not Path(there.folder).exists()

    def test_a_folder_without_a_manifest_is_no_package(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        pack(settings.home / "packages" / "spring", {"a.jpg": b"a"})
        assert find_package(settings, "spring") == settings.home / "packages" / "spring"
        with pytest.raises(PackageInvalid, match="spring"):
            find_package(settings, tmp_path)
        with pytest.raises(
            ConfigurationError, match=r"packages/summer is there. There are: spring"
        ):
            find_package(settings, "summer")


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

    def test_sending_again_to_what_cannot_be_reached_does_not_forget_that_it_is_there(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        share = tmp_path / "share"
        share.mkdir()
        there = parse_destination(str(share / "agency"))
        package = pack(tmp_path / "package", {"a.mov": b"a"})
        publish(settings, package, there, QUICK)
        share.rename(tmp_path / "unmounted")
        with pytest.raises(DeliveryFailed, match="not mounted"):
            publish(settings, package, there, replace(QUICK, again=True))
        assert plan_delivery(settings, package, there).outgoing == ()

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

    def test_what_arrived_is_in_the_ledger_though_nobody_could_be_told_of_it(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        settings = settings.model_copy(update={"webhook_url": "http://127.0.0.1:9/nobody"})
        package = pack(tmp_path / "package", {"a.mov": b"bytes"})

        def lost(_sent: int, _total: int, file: str) -> None:
            if file == "a.mov":  # while it is sent, the catalogue loses its table of media
                with sqlite3.connect(settings.home / "catalogue.db") as database:
                    database.execute("ALTER TABLE media RENAME TO lost")

        with pytest.raises(DamError):
            publish(settings, package, there, QUICK, lost)
        assert states(settings) == {"a.mov": "verified"}
        assert plan_delivery(settings, package, there).outgoing == ()

    def test_an_approval_to_send_again_does_not_open_other_ways_to_the_agency(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        package = pack(tmp_path / "package", {"a.mov": b"a"})
        publish(settings, package, there, QUICK)
        approve(settings, package, there, again=True)
        assert plan_delivery(settings, package, parse_destination("/elsewhere")).outgoing == ()
        assert len(plan_delivery(settings, package, there).outgoing) == 1


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
        command = publish_command(package, there, "--limit", "2MB/s")
        both = [started(settings, command) for _ in range(2)]
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
        for _ in range(2):
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

    def test_taking_back_an_approval_to_send_again_does_not_forget_that_it_is_there(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        package = pack(tmp_path / "package", {"a.mov": b"a"})
        publish(settings, package, there, QUICK)
        approve(settings, package, there, again=True)
        (taken,) = take_back(settings, package, there)
        assert taken.state is DeliveryState.PLANNED
        assert plan_delivery(settings, package, there).outgoing == ()
        assert plan_delivery(settings, package, parse_destination("/elsewhere")).outgoing == ()

    def test_nobody_approves_while_the_agency_is_sent_to(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        package = pack(tmp_path / "package", {"a.mov": b"a"})
        with turn_at(settings, AGENCY):
            for change in (
                lambda: approve(settings, package, there),
                lambda: take_back(settings, package, there),
                lambda: carried_by_hand(settings, package),
            ):
                with pytest.raises(DeliveryFailed, match=f"is publishing to {AGENCY}"):
                    change()
        assert states(settings) == {}

    def test_what_was_carried_by_hand_waits_no_longer_for_the_schedule(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        package = pack(tmp_path / "package", {"a.mov": b"a"})
        other = pack(tmp_path / "other", {"b.mov": b"b"})
        approve(settings, package, there)
        approve(settings, other, there)
        carried_by_hand(settings, package)
        assert [one.folder for one in approved_packages(settings)] == [other]
        assert plan_delivery(settings, package, there).outgoing == ()

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


class TestKills:
    """`kill -9` at a random moment, again and again; then everything is there once, and true."""

    SEED = 7

    @pytest.mark.slow
    def test_a_publish_that_is_killed_ten_times_ends_with_every_file_once(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        clips = several(16, 1_500_000, seed=50)
        package = pack(tmp_path / "package", clips)
        kill_again_and_again(settings, package, there, self.SEED, limit="500kB/s")
        found = publish(settings, package, there, QUICK)
        assert not unfinished(found)
        assert files_in(there) == clips
        check_ledger(settings, clips)
        arrived = {path: path.stat().st_ino for path in Path(there.folder).iterdir()}
        publish(settings, package, there, QUICK)
        assert {path: path.stat().st_ino for path in Path(there.folder).iterdir()} == arrived

    def test_ctrl_c_ends_soon_and_the_next_publish_goes_on(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        clips = several(2, 4_000_000)
        package = pack(tmp_path / "package", clips)
        process = started(settings, publish_command(package, there, "--limit", "500kB/s"))
        until_s = time.monotonic() + 60
        while "uploading" not in states(settings).values() and time.monotonic() < until_s:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert "uploading" in states(settings).values()
        publish(settings, package, there, QUICK)
        assert files_in(there) == clips
        check_ledger(settings, clips)


class TestConnections:
    """Servers that let in few connections, or go away, by the folder transport behind a door."""

    def test_a_server_that_lets_in_one_connection_gets_everything_over_it(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        door = Door(settings, there, lets_in=1)
        ends = door.send(pack(tmp_path / "package", several(6, 1000)), jobs=4)
        assert files_in(there) == several(6, 1000)
        assert set(ends.values()) == {""}

    def test_a_server_that_went_away_is_not_asked_anew_for_each_file(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        door = Door(settings, there, lets_in=1, breaks_after=2)
        ends = door.send(pack(tmp_path / "package", several(30, 1000)), jobs=1)
        assert sum(reason == "" for reason in ends.values()) == 2
        assert {reason for reason in ends.values() if reason} == {"No room for you."}
        assert door.asked == 1 + QUICK.trying.tries - 1

    def test_a_login_that_is_refused_ends_it_before_anything_is_begun(
        self, settings: Settings, there: Destination, tmp_path: Path
    ) -> None:
        door = Door(settings, there, lets_in=0)
        with pytest.raises(DeliveryFailed, match="No room"):
            door.send(pack(tmp_path / "package", several(3, 1000)), jobs=2)
        assert door.asked == QUICK.trying.tries
        assert door.begun == []


class TestRates:
    @pytest.mark.parametrize(
        ("text", "bytes_per_s"),
        [
            ("2MB/s", 2_000_000),
            ("500 kB/s", 500_000),
            ("1.5MiB/s", 1_572_864),
            ("16Mbit/s", 2_000_000),
            ("1g", 1_000_000_000),
            ("1234", 1234),
            ("0", 0),
            ("", 0),
        ],
    )
    def test_rates_are_read_as_people_write_them(self, text: str, bytes_per_s: int) -> None:
        assert parse_rate(text) == bytes_per_s

    @pytest.mark.parametrize("text", ["fast", "-1", "MB/s", "0.1", "16Mbps", "1 parsec/s", "nan"])
    def test_other_texts_are_refused_by_name(self, text: str) -> None:
        with pytest.raises(ConfigurationError, match=re.escape(text)):
            parse_rate(text)

    def test_all_connections_together_keep_to_the_limit(self) -> None:
        waits: list[float] = []
        rate = Rate(1_000_000, waits.append)
        for _ in range(100):
            rate.spend(100_000)
        # Nobody waited in truth, so the last would have to wait for all the others.
        assert 9.0 < waits[-1] <= 10.0
        Rate(0, waits.append).spend(1 << 40)
        assert len(waits) <= 100


class Door:
    """Connects to a folder as a server does that lets in so many at a time, and may go away."""

    def __init__(
        self, settings: Settings, destination: Destination, lets_in: int, breaks_after: int = 1000
    ) -> None:
        self._settings, self._destination = settings, destination
        self._lets_in, self._left = lets_in, breaks_after
        self.asked = 0
        self.begun: list[str] = []

    def send(self, package: Path, jobs: int) -> dict[str, str]:
        """Send a package; by file why it is not there."""
        ends: dict[str, str] = {}
        listener = Listener(
            lambda file: self.begun.append(file.name),
            lambda _file, _count: None,
            lambda file, _receipt, reason: ends.update({file.name: reason}),
        )
        files = plan_delivery(self._settings, package, self._destination).outgoing
        Lines(self._connect, listener, QUICK.trying).send(files, jobs)
        return ends

    def _connect(self) -> Transport:
        self.asked += 1
        if not self._lets_in:
            raise DeliveryFailed("No room for you.")
        self._lets_in -= 1
        return Inside(open_transport(self._destination, self._settings), self)

    def passes(self) -> None:
        """One more file comes through; raises DeliveryFailed when none does any more."""
        self._left -= 1
        if self._left < 0:
            raise DeliveryFailed("The line broke.")


@dataclass
class Inside:
    """A connection that came through the door."""

    transport: Transport
    door: Door
    warning: str = ""

    def deliver(self, source: Path, name: str, sha256: str, progress: Progress) -> Receipt:
        """As the folder does, unless the line breaks."""
        self.door.passes()
        return self.transport.deliver(source, name, sha256, progress)

    def make_folder(self) -> None:
        """As the folder does."""
        self.transport.make_folder()

    def close(self) -> None:
        """As the folder does."""
        self.transport.close()
