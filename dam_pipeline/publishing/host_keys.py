"""Which SSH servers are trusted: the host keys in DAM_HOME/known_hosts and the person's own file."""

import base64
import hashlib
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import paramiko
from paramiko.hostkeys import HostKeyEntry, HostKeys, InvalidHostKey

from dam_pipeline.errors import ConfigurationError
from dam_pipeline.publishing import Destination
from dam_pipeline.settings import Settings

FILE = "known_hosts"
PERSONS_OWN = Path("~/.ssh/known_hosts")


def fingerprint(key: paramiko.PKey) -> str:
    """A key as `ssh` shows it: SHA256:…"""
    digest = hashlib.sha256(key.asbytes()).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def load_host_keys(settings: Settings, into: HostKeys) -> None:
    """Read all files of trusted keys; for one host the first counts, ours before the person's."""
    own = settings.home / FILE
    for path in (own, settings.ssh_known_hosts, PERSONS_OWN.expanduser()):
        if path is None or (path != settings.ssh_known_hosts and not path.exists()):
            continue
        try:
            _load(path, into)
        except (OSError, InvalidHostKey, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"{path} cannot be read ({error}). Mend or remove it."
            ) from error


def _load(path: Path, into: HostKeys) -> None:
    for line in map(str.strip, path.read_text().splitlines()):
        if line[:1] in ("", "#", "@"):  # paramiko takes marks (of authorities) for broken keys
            continue
        with suppress(paramiko.SSHException):  # a kind of key that is unknown here
            entry = HostKeyEntry.from_line(line)
            for host in entry.hostnames if entry else ():
                if entry.key.get_name() not in (into.lookup(host) or {}):
                    into.add(host, entry.key.get_name(), entry.key)


def trust(settings: Settings, host: str, key: paramiko.PKey) -> Path:
    """Note in DAM_HOME that a key is the host's, instead of an earlier one; returns the file."""
    path = settings.home / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = HostKeys(str(path) if path.exists() else None)
    while host in keys:
        del keys[host]
    keys.add(host, key.get_name(), key)
    keys.save(str(path))
    return path


class Refusal:
    """A policy of paramiko's: an unknown host is refused with what to do about it.

    One whose key has the fingerprint that is to be trusted is trusted from now on.
    """

    def __init__(self, destination: Destination, settings: Settings, trusted: str = "") -> None:
        self._destination = destination
        self._settings = settings
        self._trusted = trusted

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        """See paramiko; raises ConfigurationError."""
        if self._trusted and self._trusted == fingerprint(key):
            trust(self._settings, hostname, key)
            return
        if self._trusted:
            refuse_other(self._destination, key, self._trusted)
        raise ConfigurationError(
            f"{hostname} is not known yet: its {key.get_name()} key is {fingerprint(key)}. If that is "
            "what its owner tells, trust it: "
            f"dam stock login {self._destination.url} --trust-host-key {fingerprint(key)}"
        )


def refuse_other(destination: Destination, found: paramiko.PKey, expected: str) -> NoReturn:
    """Raise ConfigurationError: the server showed another key than the one that is trusted."""
    raise ConfigurationError(
        f"{destination.host} shows the {found.get_name()} key {fingerprint(found)}, but {expected} is "
        "trusted. Either the server was renewed or somebody stands between: nothing was sent. Ask its "
        f"owner; if the new key is right: dam stock login {destination.url} "
        f"--trust-host-key {fingerprint(found)}"
    )
