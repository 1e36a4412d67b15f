"""What every way to deliver promises, on real servers: one body of tests over all of them."""

import random
from contextlib import ExitStack
from pathlib import Path
from threading import Thread, Timer

import pytest

from dam_pipeline.errors import DeliveryFailed, PackageInvalid
from dam_pipeline.publishing import parse_destination
from dam_pipeline.publishing.parts import part_path
from dam_pipeline_tests.targets import BucketTarget, FolderTarget, random_file, served

Target = FolderTarget | BucketTarget

SIZE = 3_000_000
PARTED = 18_000_000  # three parts of S3, the last a piece
LARGE = 32_000_000
NAME = "clips/drone ålesund – 👩\u200d🚀 عربي.mov"
SERVED = [
    pytest.param("sftp", marks=pytest.mark.sftp),
    pytest.param("ftps", marks=pytest.mark.ftps),
    pytest.param("ftp", marks=pytest.mark.ftps),
]
ALL = ["folder", *SERVED, pytest.param("s3", marks=pytest.mark.s3)]


@pytest.fixture(params=ALL)
def target(request: pytest.FixtureRequest, dam_home: Path, tmp_path: Path) -> Target:
    """An empty destination of each kind; the same test runs on all."""
    if request.param == "folder":
        (tmp_path / "out").mkdir()
        return FolderTarget(str(tmp_path / "out"), tmp_path / "out")
    if request.param == "s3":
        bucket = request.getfixturevalue("bucket")
        return BucketTarget(f"{bucket.uri}/from us", bucket, "from us/")
    return served(request.getfixturevalue(f"{request.param}_server"))


@pytest.fixture(params=SERVED)
def server_target(request: pytest.FixtureRequest, dam_home: Path) -> FolderTarget:
    """An empty folder of each kind of server that serves connections one by one."""
    return served(request.getfixturevalue(f"{request.param}_server"))


@pytest.fixture
def source(tmp_path: Path) -> tuple[Path, str, bytes]:
    return random_file(tmp_path / "source", SIZE)


class Stopped(Exception):
    """What a test stops a delivery by."""


def stop_after(size_bytes: int):
    sent = 0

    def progress(count: int) -> None:
        nonlocal sent
        sent += count
        if sent >= size_bytes:
            raise Stopped

    return progress


def test_a_file_arrives_whole_below_the_folder_and_nothing_else_stays_there(target, tmp_path):
    path, sha256, content = random_file(tmp_path / "source", LARGE)
    told: list[int] = []
    transport = target.open()
    receipt = transport.deliver(path, NAME, sha256, told.append)
    transport.close()
    assert target.names() == [NAME]
    assert target.content(NAME) == content
    assert receipt.remote == parse_destination(target.address).remote(NAME)
    assert receipt.verified == "sha256"
    assert receipt.size_bytes == receipt.sent_bytes == sum(told) == LARGE


def test_an_empty_file_arrives(target, tmp_path):
    path, sha256, _ = random_file(tmp_path / "empty", 0)
    receipt = target.open().deliver(path, "empty.txt", sha256, int)
    assert target.names() == ["empty.txt"]
    assert (receipt.size_bytes, receipt.verified) == (0, "sha256")


def test_many_files_go_through_one_connection(target, tmp_path):
    transport = target.open()
    sources = {f"{n}.jpg": random_file(tmp_path / str(n), n * 1000) for n in range(1, 13)}
    for name, (path, sha256, _) in sources.items():
        transport.deliver(path, name, sha256, int)
    assert {name: target.content(name) for name in target.names()} == {
        name: content for name, (_, _, content) in sources.items()
    }


def test_what_is_there_already_is_not_sent_again(target, source):
    path, sha256, content = source
    target.place("clip.mov", content)
    receipt = target.open().deliver(path, "clip.mov", sha256, int)
    assert (receipt.sent_bytes, receipt.verified) == (0, "sha256")
    assert target.names() == ["clip.mov"]


@pytest.mark.parametrize("size", [SIZE, 5])
def test_another_file_of_that_name_stays_as_it_is(target, source, size):
    path, sha256, _ = source
    target.place("clip.mov", bytes(size))
    with pytest.raises(DeliveryFailed, match=r"other content.* stays as it is") as failure:
        target.open().deliver(path, "clip.mov", sha256, int)
    assert failure.value.is_lasting
    assert target.names() == ["clip.mov"]
    assert target.content("clip.mov") == bytes(size)


def test_a_stopped_delivery_shows_no_file_of_that_name_and_is_gone_on_with(target, tmp_path):
    path, sha256, content = random_file(tmp_path / "source", PARTED)
    transport = target.open()
    with pytest.raises(Stopped):
        transport.deliver(path, NAME, sha256, stop_after(PARTED * 3 // 4))
    transport.close()
    assert NAME not in target.names()
    receipt = target.open().deliver(path, NAME, sha256, int)
    assert 0 < receipt.sent_bytes < PARTED  # of what was under way some megabytes are lost
    assert target.names() == [NAME]
    assert target.content(NAME) == content


def test_a_package_that_changed_is_not_delivered(target, source):
    path, _, _ = source
    with pytest.raises(PackageInvalid, match="changed after it was packaged"):
        target.open().deliver(path, "clip.mov", "0" * 64, int)
    assert target.names() == []


@pytest.mark.parametrize(
    "name", ["../clip.mov", "/clip.mov", "..\\clip", "a//b", "a\r\nDELE b", "a\udc80", ""]
)
def test_a_name_that_would_leave_the_folder_or_its_line_is_refused(target, source, name):
    path, sha256, _ = source
    with pytest.raises(PackageInvalid, match="cannot be the name"):
        target.open().deliver(path, name, sha256, int)
    assert target.names() == []


@pytest.mark.parametrize("seed", range(2))
def test_a_line_that_breaks_at_random_moments_costs_no_byte(server_target, tmp_path, seed):
    path, sha256, content = random_file(tmp_path / "source", 4 * SIZE)
    moments = random.Random(seed)
    attempts = cuts = 0
    receipt = None
    while receipt is None and attempts < 30:
        attempts += 1
        left = moments.randrange(2 * SIZE)

        def cut(count: int) -> None:
            nonlocal left, cuts
            left -= count
            if left < 0:
                cuts += server_target.cut()
                left = 4 * SIZE

        transport = None
        try:
            transport = server_target.open()
            receipt = transport.deliver(path, NAME, sha256, cut)
        except DeliveryFailed as failure:
            assert not failure.is_lasting
            assert NAME not in server_target.names()
        finally:
            if transport is not None:
                transport.close()
    assert receipt is not None
    assert cuts >= 1
    assert receipt.sent_bytes < 4 * SIZE
    assert server_target.names() == [NAME]
    assert server_target.content(NAME) == content


def test_a_part_with_other_content_is_not_believed(server_target, source):
    path, sha256, content = source
    server_target.place(part_path("clip.mov", sha256), bytes(SIZE // 2))
    receipt = server_target.open().deliver(path, "clip.mov", sha256, int)
    assert receipt.sent_bytes == SIZE
    assert server_target.names() == ["clip.mov"]
    assert server_target.content("clip.mov") == content


def test_a_damaged_part_is_found_out_by_its_hash_and_sent_anew(server_target, source):
    path, sha256, content = source
    damaged = bytes(5) + content[5 : SIZE // 2]  # its end is right
    server_target.place(part_path("clip.mov", sha256), damaged)
    transport = server_target.open()
    with pytest.raises(DeliveryFailed, match="not what was sent") as failure:
        transport.deliver(path, "clip.mov", sha256, int)
    assert not failure.value.is_lasting
    assert server_target.names() == []
    transport.deliver(path, "clip.mov", sha256, int)
    assert server_target.content("clip.mov") == content


def test_a_part_that_is_too_long_is_sent_anew(server_target, source):
    path, sha256, content = source
    server_target.place(part_path("clip.mov", sha256), content + b"more")
    server_target.open().deliver(path, "clip.mov", sha256, int)
    assert server_target.content("clip.mov") == content


def test_a_whole_part_only_needs_its_name(server_target, source):
    path, sha256, content = source
    server_target.place(part_path("clip.mov", sha256), content)
    receipt = server_target.open().deliver(path, "clip.mov", sha256, int)
    assert (receipt.sent_bytes, receipt.verified) == (0, "sha256")
    assert server_target.names() == ["clip.mov"]


def test_of_a_file_too_large_to_be_read_back_size_and_end_are_compared(
    server_target, source, monkeypatch
):
    path, sha256, content = source
    monkeypatch.setenv("DAM_PUBLISH_READBACK_BYTES", str(SIZE - 1))
    receipt = server_target.open().deliver(path, "clip.mov", sha256, int)
    assert receipt.verified == "size"
    server_target.place("other.mov", content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DeliveryFailed, match="other content"):
        server_target.open().deliver(path, "other.mov", sha256, int)


@pytest.fixture
def in_place(server_target, monkeypatch) -> FolderTarget:
    """A server of which it is said that it cannot rename."""
    monkeypatch.setenv("DAM_PUBLISH_IN_PLACE", '["127.0.0.1"]')
    return server_target


def test_where_nothing_can_be_renamed_a_file_goes_under_its_own_name(in_place, source):
    path, sha256, content = source
    seen: set[str] = set()
    receipt = in_place.open().deliver(
        path, "clip.mov", sha256, lambda _: seen.update(in_place.names())
    )
    assert seen == {"clip.mov"}
    assert receipt.verified == "sha256"
    assert in_place.content("clip.mov") == content


def test_a_file_under_its_own_name_is_gone_on_with_and_another_is_not(in_place, source):
    path, sha256, content = source
    in_place.place("clip.mov", content[:2_000_000])
    assert in_place.open().deliver(path, "clip.mov", sha256, int).sent_bytes == SIZE - 2_000_000
    assert in_place.content("clip.mov") == content
    in_place.place("other.mov", bytes(1000))
    with pytest.raises(DeliveryFailed, match="other content") as failure:
        in_place.open().deliver(path, "other.mov", sha256, int)
    assert failure.value.is_lasting
    assert in_place.content("other.mov") == bytes(1000)


def test_a_file_that_the_agency_took_in_at_once_counts_as_delivered(in_place, source):
    path, sha256, _ = source
    sent = 0

    def take_in(count: int) -> None:
        nonlocal sent
        sent += count
        if sent == SIZE:
            (in_place.path / "clip.mov").rename(in_place.path.parent / in_place.path.name[::-1])

    receipt = in_place.open().deliver(path, "clip.mov", sha256, take_in)
    assert (receipt.sent_bytes, receipt.verified) == (SIZE, "")


def test_a_folder_that_may_not_be_written_to_is_said_at_once(server_target, source):
    path, sha256, _ = source
    server_target.path.chmod(0o555)
    with pytest.raises(DeliveryFailed) as failure:
        server_target.open().deliver(path, "clip.mov", sha256, int)
    assert failure.value.is_lasting
    assert server_target.names() == []


def test_the_destination_is_made_but_not_its_parents(server_target, source):
    path, sha256, content = source
    below = FolderTarget(f"{server_target.address}/new", server_target.path / "new")
    below.open().deliver(path, "clip.mov", sha256, int)
    assert below.content("clip.mov") == content
    nowhere = FolderTarget(f"{server_target.address}/typo/new", server_target.path)
    with pytest.raises(DeliveryFailed) as failure:
        nowhere.open()  # told once, and not of each file
    assert failure.value.is_lasting


@pytest.mark.parametrize("size", [SIZE, 3])
def test_a_file_that_came_meanwhile_is_not_replaced(server_target, source, size):
    path, sha256, _ = source
    with pytest.raises(DeliveryFailed):
        server_target.open().deliver(
            path, "clip.mov", sha256, lambda _: server_target.place("clip.mov", bytes(size))
        )
    assert server_target.content("clip.mov") == bytes(size)


def test_a_server_that_says_nothing_any_more_is_given_up(server_target, source, monkeypatch):
    path, sha256, _ = source
    monkeypatch.setenv("DAM_PUBLISH_TIMEOUT_S", "1")
    transport = server_target.open()
    with server_target.server.silent(), pytest.raises(DeliveryFailed) as failure:
        transport.deliver(path, "clip.mov", sha256, int)
    transport.close()
    assert not failure.value.is_lasting


@pytest.mark.parametrize("moment", ["before", "within"])
def test_closing_from_elsewhere_ends_a_delivery_that_waits(
    server_target, tmp_path, monkeypatch, moment
):
    monkeypatch.setenv("DAM_PUBLISH_TIMEOUT_S", "600")
    path, sha256, _ = random_file(tmp_path / "source", LARGE)
    transport = server_target.open()
    failures: list[DeliveryFailed] = []

    def fall_silent(_count: int = 0) -> None:
        if not timer.is_alive() and not timer.finished.is_set():
            silence.enter_context(server_target.server.silent())
            timer.start()

    def deliver() -> None:
        try:
            transport.deliver(path, "clip.mov", sha256, fall_silent)
        except DeliveryFailed as failure:
            failures.append(failure)

    timer, delivering = Timer(0.3, transport.close), Thread(target=deliver, daemon=True)
    with ExitStack() as silence:
        if moment == "before":
            fall_silent()
        delivering.start()
        delivering.join(60)
    assert len(failures) == 1
