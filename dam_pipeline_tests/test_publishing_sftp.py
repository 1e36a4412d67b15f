"""What is particular to SFTP: host keys, and logins by key and by password."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace

import paramiko
import pytest

from dam_pipeline.errors import ConfigurationError, DeliveryFailed
from dam_pipeline.publishing import Destination, open_transport, parse_destination, sftp
from dam_pipeline.publishing.credentials import variable
from dam_pipeline.publishing.host_keys import fingerprint
from dam_pipeline.publishing.parts import part_path
from dam_pipeline.settings import load_settings
from dam_pipeline_tests.targets import random_file

PASSWORD = "correct horse"
LOST_AT = 5 << 15  # a write of a client of paramiko's begins there


@pytest.fixture
def destination(sftp_server) -> Destination:
    return parse_destination(sftp_server.own_folder()[0])


class PasswordOnly(paramiko.ServerInterface):
    """Lets one password in. OpenSSH would ask for an account of the system's."""

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_auth_password(self, username: str, password: str) -> int:
        is_right = (username, password) == ("dam", PASSWORD)
        return paramiko.AUTH_SUCCESSFUL if is_right else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED


class FullForAMoment(paramiko.SFTPServerInterface):
    """Keeps files in memory, and has no room for one write in all."""

    def __init__(self, server: paramiko.ServerInterface) -> None:
        super().__init__(server)
        self.files: dict[str, bytearray] = {}
        self.lost: list[int] = []

    def chattr(self, path: str, attr: paramiko.SFTPAttributes) -> int:
        del self.files[path][attr.st_size :]
        return paramiko.SFTP_OK

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle:
        return FullHandle(self.files.setdefault(path, bytearray()), self.lost)

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        if path not in self.files:
            return paramiko.SFTP_NO_SUCH_FILE
        return FullHandle(self.files[path], self.lost).stat()

    def rename(self, oldpath: str, newpath: str) -> int:
        self.files[newpath] = self.files.pop(oldpath)
        return paramiko.SFTP_OK


class FullHandle(paramiko.SFTPHandle):
    def __init__(self, content: bytearray, lost: list[int]) -> None:
        super().__init__()
        self.content = content
        self.lost = lost

    def stat(self) -> paramiko.SFTPAttributes:
        found = paramiko.SFTPAttributes()
        found.st_size = len(self.content)
        return found

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self.content[offset : offset + length])

    def write(self, offset: int, data: bytes) -> int:
        if offset == LOST_AT and not self.lost:
            self.lost.append(offset)
            return paramiko.SFTP_FAILURE
        self.content.extend(bytes(max(0, offset - len(self.content))))
        self.content[offset : offset + len(data)] = data
        return paramiko.SFTP_OK


@pytest.fixture
def password_server(dam_home) -> Iterator[Destination]:
    """A server that takes a password, with its host key trusted in `dam_home`."""
    key = paramiko.ECDSAKey.generate()
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    dam_home.mkdir()
    (dam_home / "known_hosts").write_text(
        f"[127.0.0.1]:{port} {key.get_name()} {key.get_base64()}\n"
    )
    threads = []

    def serve() -> None:
        while True:
            try:
                line, _ = listening.accept()
            except OSError:
                return
            transport = paramiko.Transport(line)
            transport.add_server_key(key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, FullForAMoment)
            transport.start_server(threading.Event(), PasswordOnly())
            threads.append(transport)

    serving = threading.Thread(target=serve, daemon=True)
    serving.start()
    yield Destination("sftp", "127.0.0.1", port, "dam")
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    serving.join()
    for one in threads:
        one.close()


@pytest.mark.sftp
def test_an_unknown_server_is_told_with_its_fingerprint_and_how_to_trust_it(
    sftp_server, destination, dam_home
):
    (dam_home / "known_hosts").unlink()
    with pytest.raises(ConfigurationError) as refusal:
        open_transport(destination, load_settings())
    assert f"dam stock login {destination.url} --trust-host-key {sftp_server.fingerprint}" in str(
        refusal.value
    )


@pytest.mark.sftp
def test_a_server_is_trusted_by_its_fingerprint_from_then_on(sftp_server, destination, dam_home):
    (dam_home / "known_hosts").unlink()
    sftp.open_transport(destination, load_settings(), trusted=sftp_server.fingerprint).close()
    open_transport(destination, load_settings()).close()


@pytest.mark.sftp
def test_a_server_with_another_fingerprint_than_told_is_refused(destination, dam_home):
    (dam_home / "known_hosts").unlink()
    with pytest.raises(ConfigurationError, match="SHA256:other is trusted"):
        sftp.open_transport(destination, load_settings(), trusted="SHA256:other")
    assert not (dam_home / "known_hosts").exists()


@pytest.mark.sftp
def test_a_changed_host_key_is_refused_until_the_new_one_is_trusted(
    sftp_server, destination, dam_home
):
    earlier = paramiko.ECDSAKey.generate()
    known = dam_home / "known_hosts"
    name = f"[127.0.0.1]:{destination.port}"
    known.write_text(f"{name} {earlier.get_name()} {earlier.get_base64()}\n")
    with pytest.raises(ConfigurationError, match="renewed or somebody stands between") as refusal:
        open_transport(destination, load_settings())
    assert fingerprint(earlier) in str(refusal.value)
    assert sftp_server.fingerprint in str(refusal.value)
    sftp.open_transport(destination, load_settings(), trusted=sftp_server.fingerprint).close()
    open_transport(destination, load_settings()).close()
    assert earlier.get_base64() not in known.read_text()


@pytest.mark.sftp
def test_host_keys_may_come_from_a_file_of_the_administrators(
    destination, dam_home, tmp_path, monkeypatch
):
    elsewhere = (dam_home / "known_hosts").rename(tmp_path / "hosts")
    monkeypatch.setenv("DAM_SSH_KNOWN_HOSTS", str(elsewhere))
    open_transport(destination, load_settings()).close()


@pytest.mark.sftp
@pytest.mark.parametrize("content", ["[127.0.0.1]:1 ssh-ed25519 AAAAC\n", None])
def test_a_file_of_host_keys_that_cannot_be_read_is_named(
    destination, tmp_path, monkeypatch, content
):
    broken = tmp_path / "hosts"
    if content:
        broken.write_text(content)
    monkeypatch.setenv("DAM_SSH_KNOWN_HOSTS", str(broken))
    with pytest.raises(ConfigurationError, match=str(broken)):
        open_transport(destination, load_settings())


@pytest.mark.sftp
def test_marks_and_other_kinds_of_keys_in_a_file_of_host_keys_are_passed_over(
    sftp_server, destination, dam_home, tmp_path, monkeypatch
):
    known = (dam_home / "known_hosts").rename(tmp_path / "hosts")
    earlier = f"[127.0.0.1]:{destination.port} sk-new@example.com AAAA\n"
    authority = f"@cert-authority *.example.com {known.read_text().split(' ', 1)[1]}\n"
    known.write_text(f"# of the team\n{earlier}{authority}{known.read_text()}")
    monkeypatch.setenv("DAM_SSH_KNOWN_HOSTS", str(known))
    open_transport(destination, load_settings()).close()
    known.write_text(f"{authority}@revoked {known.read_text().splitlines()[-1]}\n")
    with pytest.raises(ConfigurationError, match="is not known yet"):
        open_transport(destination, load_settings())


@pytest.mark.sftp
def test_a_key_that_the_server_does_not_know_is_refused_for_good(
    destination, tmp_path, monkeypatch
):
    paramiko.ECDSAKey.generate().write_private_key_file(str(tmp_path / "key"))
    monkeypatch.setenv("DAM_SSH_IDENTITY", str(tmp_path / "key"))
    with pytest.raises(DeliveryFailed, match="does not let us in") as failure:
        open_transport(destination, load_settings())
    assert failure.value.is_lasting


@pytest.mark.sftp
def test_a_line_that_breaks_at_the_login_is_no_refusal(sftp_server, destination, monkeypatch):
    monkeypatch.setenv("DAM_PUBLISH_TIMEOUT_S", "1")
    with sftp_server.silent_listener(), pytest.raises(DeliveryFailed) as failure:
        open_transport(destination, load_settings())
    assert not failure.value.is_lasting


@pytest.mark.sftp
def test_a_key_file_that_is_missing_is_named(destination, monkeypatch):
    monkeypatch.setenv("DAM_SSH_IDENTITY", "/nowhere/key")
    with pytest.raises(ConfigurationError, match="/nowhere/key"):
        open_transport(destination, load_settings())


@pytest.mark.sftp
def test_a_full_disk_is_guessed_and_may_be_mended(sftp_server, dam_home, tmp_path):
    address, there = sftp_server.own_folder()
    path, sha256, content = random_file(tmp_path / "source", 3_000_000)
    part = there / part_path("clip.mov", sha256)
    part.symlink_to("/dev/full")
    transport = open_transport(parse_destination(address), load_settings())
    with pytest.raises(DeliveryFailed, match="full disk") as failure:
        transport.deliver(path, "clip.mov", sha256, int)
    assert not failure.value.is_lasting
    part.unlink()
    transport.deliver(path, "clip.mov", sha256, int)
    transport.close()
    assert (there / "clip.mov").read_bytes() == content


@pytest.mark.sftp
def test_a_folder_may_be_named_from_the_logins_own(sftp_server, tmp_path):
    name = sftp_server.own_folder()[1].name
    (tmp_path / "source").write_bytes(b"x")
    sha256 = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    whole = parse_destination(sftp_server.url)
    for folder in (f"/~/{name}", ""):
        transport = open_transport(replace(whole, folder=folder), load_settings())
        transport.deliver(tmp_path / "source", f"{name} {len(folder)}.bin", sha256, int)
        transport.close()
    found = {one.name for one in sftp_server.root.rglob(f"{name}*.bin")}
    assert found == {f"{name} 0.bin", f"{name} {len(name) + 3}.bin"}
    assert (sftp_server.root / name / f"{name} {len(name) + 3}.bin").read_bytes() == b"x"


def test_a_password_from_the_environment_lets_in(password_server, monkeypatch):
    monkeypatch.setenv(variable(password_server), PASSWORD)
    open_transport(password_server, load_settings()).close()


def test_a_write_that_is_lost_on_the_way_is_told_whatever_came_after_it(
    password_server, tmp_path, monkeypatch
):
    monkeypatch.setenv(variable(password_server), PASSWORD)
    monkeypatch.setenv("DAM_PUBLISH_READBACK_BYTES", "0")
    path, sha256, _ = random_file(tmp_path / "source", 3_000_000)
    transport = open_transport(password_server, load_settings())
    with pytest.raises(DeliveryFailed, match="full disk"):
        transport.deliver(path, "clip.mov", sha256, int)
    receipt = transport.deliver(path, "clip.mov", sha256, int)  # not gone on with over the hole
    assert receipt.sent_bytes == 3_000_000
    transport.close()


def test_a_wrong_password_is_refused_for_good_and_never_told(password_server, monkeypatch):
    monkeypatch.setenv(variable(password_server), "guess-7Qk2")
    with pytest.raises(DeliveryFailed, match="does not let us in") as failure:
        open_transport(password_server, load_settings())
    assert failure.value.is_lasting
    assert "guess-7Qk2" not in str(failure.value)


def test_without_any_login_it_is_said_how_to_give_one(password_server, monkeypatch):
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(DeliveryFailed, match="dam stock login") as failure:
        open_transport(password_server, load_settings())
    assert failure.value.is_lasting
    assert "DAM_PASSWORD_127_0_0_1" in str(failure.value)


def test_a_server_that_is_not_there_may_be_tried_again(dam_home):
    with pytest.raises(DeliveryFailed) as failure:
        open_transport(Destination("sftp", "127.0.0.1", 1, "dam"), load_settings())
    assert not failure.value.is_lasting
