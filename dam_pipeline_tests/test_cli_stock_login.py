"""`dam stock login` on real servers, and the keyring at its protocol: none can be started here."""

import json

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

from dam_pipeline.errors import ConfigurationError
from dam_pipeline.publishing import Destination, open_transport, parse_destination
from dam_pipeline.publishing.credentials import (
    SERVICE,
    account,
    needed_password,
    password,
    variable,
)
from dam_pipeline.settings import load_settings
from dam_pipeline_tests.processed import run_dam


class MemoryKeyring(KeyringBackend):
    """A keyring that holds passwords as long as the test runs; it can be locked."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.is_locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.is_locked:
            raise KeyringLocked("locked")
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.is_locked:
            raise KeyringLocked("locked")
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if (service, username) not in self.kept:
            raise PasswordDeleteError("unknown")
        del self.kept[service, username]


@pytest.fixture
def own_keyring():
    """An empty keyring as the one of this process."""
    before = keyring.get_keyring()
    made = MemoryKeyring()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


@pytest.fixture
def ftps(ftps_server, dam_home, monkeypatch) -> tuple[Destination, str]:
    """A destination whose password nobody knows yet, and that password."""
    destination = parse_destination(ftps_server.own_folder()[0])
    secret = ftps_server.variables[variable(destination)]
    monkeypatch.delenv(variable(destination))
    return destination, secret


def login(*words: str, stdin: str = "") -> tuple[int, str, str]:
    """Run `dam stock login` in this process; exit code, output, error output."""
    from typer.testing import CliRunner

    from dam_pipeline.cli.main import app

    result = CliRunner().invoke(app, ["stock", "login", *words], input=stdin)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.ftps
def test_a_password_is_tried_kept_used_and_forgotten(ftps, own_keyring):
    destination, secret = ftps
    code, output, words = login(destination.url, "--json", stdin=f"{secret}\n")
    assert code == 0
    assert json.loads(output) == {
        "destination": account(destination),
        "variable": "DAM_PASSWORD_127_0_0_1",
        "login": "works",
        "kept_in": "keyring",
    }
    assert secret not in output + words
    assert own_keyring.kept == {(SERVICE, account(destination)): secret}
    open_transport(destination, load_settings()).close()
    assert login(destination.url, "--forget")[0] == 0
    assert own_keyring.kept == {}
    with pytest.raises(ConfigurationError, match="No password is known"):
        open_transport(destination, load_settings())


@pytest.mark.ftps
def test_a_wrong_password_is_not_kept_and_not_told(ftps, own_keyring):
    code, output, words = login(ftps[0].url, stdin="guess-7Qk2\n")
    assert code == 1
    assert "does not let us in" in words
    assert "guess-7Qk2" not in output + words
    assert own_keyring.kept == {}


@pytest.mark.ftps
def test_without_a_keyring_it_is_said_which_variable_to_set(ftps, own_keyring):
    own_keyring.is_locked = True
    code, _, words = login(ftps[0].url, stdin=f"{ftps[1]}\n")
    assert code == 2
    assert "The login works." in words
    assert "Set the variable DAM_PASSWORD_127_0_0_1" in words


@pytest.mark.ftps
def test_a_variable_wins_over_the_keyring_and_is_tried(ftps, own_keyring, monkeypatch):
    destination, secret = ftps
    keyring.set_password(SERVICE, account(destination), "another")
    monkeypatch.setenv(variable(destination), secret)
    code, output, _ = login(destination.url, "--json")
    assert (code, json.loads(output)["kept_in"]) == (0, "environment")


@pytest.mark.ftps
def test_no_password_given_keeps_nothing(ftps, own_keyring):
    code, _, words = login(ftps[0].url)
    assert (code, own_keyring.kept) == (2, {})
    assert "No password was given" in words


@pytest.mark.sftp
def test_a_key_needs_no_password_and_an_unknown_server_is_trusted_on_demand(
    sftp_server, dam_home, own_keyring
):
    (dam_home / "known_hosts").unlink()
    url = sftp_server.own_folder()[0]
    code, _, words = login(url)
    assert code == 2
    assert f"--trust-host-key {sftp_server.fingerprint}" in words
    code, _, words = login(url, "--trust-host-key", sftp_server.fingerprint[:20])
    assert (code, "is no fingerprint" in words) == (2, True)
    code, output, _ = login(url, "--trust-host-key", sftp_server.fingerprint, "--json")
    assert (code, json.loads(output)["kept_in"]) == (0, None)
    assert login(url)[0] == 0
    assert own_keyring.kept == {}


def test_forgetting_where_no_keyring_is_says_so(dam_home):
    environment = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    done = run_dam(environment, "stock", "login", "ftps://me@127.0.0.1:1/", "--forget")
    assert done.returncode == 2
    assert "no open keyring" in done.stderr


@pytest.mark.parametrize("address", ["s3://bucket/x", "/mnt/out"])
def test_a_destination_without_a_password_of_ours_says_so(dam_home, address):
    code, _, words = login(address)
    assert code == 2
    assert "needs no password of ours" in words


def test_a_password_belongs_to_a_login_at_a_host_whatever_the_folder(own_keyring):
    keyring.set_password(SERVICE, "sftp://me@h.example:2222", "one")
    here = parse_destination("sftp://me@h.example:2222/a")
    assert needed_password(here) == "one"
    assert variable(here) == "DAM_PASSWORD_H_EXAMPLE"
    for other in ("sftp://you@h.example:2222", "sftp://me@h.example", "ftps://me@h.example:2222"):
        assert password(parse_destination(other)) is None
