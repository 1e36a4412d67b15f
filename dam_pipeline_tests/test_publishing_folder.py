"""What is particular to delivering into a folder, and to the addresses of all destinations."""

import pytest

from dam_pipeline.errors import ConfigurationError, DeliveryFailed, PackageInvalid
from dam_pipeline.publishing import Destination, open_transport, parse_destination
from dam_pipeline.publishing.parts import part_path
from dam_pipeline.settings import load_settings
from dam_pipeline_tests.targets import random_file


@pytest.fixture
def source(tmp_path, dam_home):
    return random_file(tmp_path / "source", 3_000_000)


def deliver(folder, source, progress=int):
    path, sha256, _ = source
    transport = open_transport(parse_destination(str(folder)), load_settings())
    return transport.deliver(path, "clip.mov", sha256, progress)


def test_a_full_disk_is_told_at_once_and_gone_on_with_later(source, tmp_path):
    (tmp_path / "out").mkdir()
    part = tmp_path / "out" / part_path("clip.mov", source[1])
    part.symlink_to("/dev/full")
    with pytest.raises(DeliveryFailed, match=r"No space left.* Make room there") as failure:
        deliver(tmp_path / "out", source)
    assert failure.value.is_lasting
    part.unlink()
    assert deliver(tmp_path / "out", source).verified == "sha256"


def test_the_folder_is_made_but_not_its_parent(source, tmp_path):
    deliver(tmp_path / "out", source)
    assert (tmp_path / "out" / "clip.mov").read_bytes() == source[2]
    with pytest.raises(
        DeliveryFailed, match=r"away is not there: a share .* not mounted"
    ) as failure:
        deliver(tmp_path / "away" / "out", source)
    assert failure.value.is_lasting
    assert not (tmp_path / "away").exists()


def test_a_file_in_place_of_the_folder_is_told(source, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(DeliveryFailed) as failure:
        deliver(tmp_path / "out", source)
    assert failure.value.is_lasting


def test_a_file_that_came_meanwhile_is_not_replaced(source, tmp_path):
    with pytest.raises(DeliveryFailed, match="exists"):
        deliver(tmp_path, source, lambda _: (tmp_path / "clip.mov").write_text("mine"))
    assert (tmp_path / "clip.mov").read_text() == "mine"


def test_a_damaged_part_is_found_out_by_its_hash(source, tmp_path):
    _, sha256, content = source
    part = tmp_path / part_path("clip.mov", sha256)
    part.write_bytes(bytes(5) + content[5:2_000_000])
    with pytest.raises(DeliveryFailed, match="not what was sent"):
        deliver(tmp_path, source)
    assert not part.exists()
    assert deliver(tmp_path, source).sent_bytes == len(content)


def test_a_package_without_the_file_is_told(source, tmp_path):
    source[0].unlink()
    with pytest.raises(PackageInvalid, match="cannot be read"):
        deliver(tmp_path, source)


@pytest.mark.parametrize(
    ("text", "destination"),
    [
        ("sftp://me@host/in box", Destination("sftp", "host", user="me", folder="/in box")),
        ("sftp://me@[::1]:22/a", Destination("sftp", "::1", 22, "me", "/a")),
        ("sftp://host:2222/a/b/", Destination("sftp", "host", 2222, folder="/a/b")),
        ("ftps://me@example.com@host", Destination("ftps", "host", user="me@example.com")),
        ("ftp://me%40example.com@host/", Destination("ftp", "host", user="me@example.com")),
        ("s3://bucket/take #1?/x", Destination("s3", "bucket", folder="/take #1?/x")),
        ("file:///mnt/out/", Destination("file", folder="/mnt/out")),
        ("/mnt/out", Destination("file", folder="/mnt/out")),
    ],
)
def test_addresses_are_read_as_people_write_them(text, destination):
    assert parse_destination(text) == destination
    assert parse_destination(destination.url) == destination


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ftps://me:secret@host/", "may not hold a password"),
        ("gopher://host/", "nothing is known of gopher"),
        ("sftp:///folder", "names no host"),
        ("sftp://host:x/", "host:port"),
        ("sftp://[::1/", "host:port"),
        ("gopher://me:secret@host/", "may not hold a password"),
        ("ftps://me:secret/4711@host/", "may not hold a password"),
        ("ftps://me:12/secret@host/", "may not hold a password"),
        ("ftp://me%0D%0ADELE a@host/", "line breaks"),
        ("ftp://me@host/a\r\nDELE b", "line breaks"),
        ("me@host:upload", "sftp://user@host/folder"),
        ("me:secret@host", "sftp://user@host/folder"),
        ("sftp:host/upload", "sftp://user@host/folder"),
    ],
)
def test_addresses_that_cannot_be_used_say_why(text, told):
    with pytest.raises(ConfigurationError, match=told) as refusal:
        parse_destination(text)
    assert "secret" not in str(refusal.value)
