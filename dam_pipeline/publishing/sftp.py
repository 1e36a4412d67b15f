"""Delivery over SFTP. The server's key is checked; logins by agent, key file or password."""

import errno
import logging
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from os import SEEK_CUR

import paramiko

from dam_pipeline.errors import ConfigurationError, DeliveryFailed
from dam_pipeline.publishing import Destination
from dam_pipeline.publishing.credentials import account, password, variable
from dam_pipeline.publishing.host_keys import Refusal, fingerprint, load_host_keys, refuse_other
from dam_pipeline.publishing.parts import PIECE_BYTES, FileTransport
from dam_pipeline.settings import Settings

# What it logs as an error is raised here, with words: nobody is to hear of it twice.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)

PORT = 22
KEEPALIVE_S = 30
READS_AHEAD = 512  # with 64 of 32 KiB, reading 50 MB took 6.1 s on loopback, with these 0.8 s
HASHED_WITHIN_S = 900.0
"""A server that hashes a large file says nothing meanwhile."""

ANSWERED_BYTES = 32 << 20
"""So much is written at most without asking whether the server could."""

NO_REASON = " The server gives no reason: a full disk, a quota?"

_LASTING = (errno.EACCES, errno.ENOENT)


def open_transport(
    destination: Destination, settings: Settings, login: str | None = None, trusted: str = ""
) -> FileTransport:
    """Connect and log in, by keys or the password that is known, or `login` where one is given.

    `trusted` is the fingerprint of a host key that is to be trusted from now on. Raises
    DeliveryFailed, and ConfigurationError for a host key that is unknown or another.
    """
    client = paramiko.SSHClient()
    try:
        with _told(destination.address):
            _connect(client, destination, settings, login, trusted)
            sftp = client.open_sftp()
            sftp.get_channel().settimeout(settings.publish_timeout_s)
    except BaseException:
        client.close()
        raise
    in_place = destination.host in settings.publish_in_place
    return FileTransport(destination, _Server(client, sftp, settings), in_place=in_place)


def _connect(
    client: paramiko.SSHClient,
    destination: Destination,
    settings: Settings,
    login: str | None,
    trusted: str,
) -> None:
    if not trusted:
        load_host_keys(settings, client.get_host_keys())
    client.set_missing_host_key_policy(Refusal(destination, settings, trusted))
    limit_s = settings.publish_timeout_s
    identity = settings.ssh_identity
    if identity is not None and not identity.is_file():
        raise ConfigurationError(f"DAM_SSH_IDENTITY: {identity} is not there. Name a private key.")
    try:
        client.connect(
            destination.host,
            destination.port or PORT,
            destination.user or None,
            login or password(destination),
            key_filename=None if identity is None else str(identity),
            allow_agent=identity is None,
            look_for_keys=identity is None,
            timeout=limit_s,
            banner_timeout=limit_s,
            auth_timeout=limit_s,
            channel_timeout=limit_s,
        )
    except paramiko.BadHostKeyException as error:
        refuse_other(destination, error.key, fingerprint(error.expected_key))
    except paramiko.SSHException as error:
        if not _is_refusal(error, client):
            raise
        raise DeliveryFailed(
            f"{account(destination)} does not let us in ({error}). Where it takes a key, name its file "
            f"in DAM_SSH_IDENTITY or load it into the agent; else `dam stock login {destination.url}` "
            f"or the variable {variable(destination)} gives the password.",
            is_lasting=True,
        ) from error
    if transport := client.get_transport():
        transport.set_keepalive(KEEPALIVE_S)


def _is_refusal(error: paramiko.SSHException, client: paramiko.SSHClient) -> bool:
    """Whether the server stands and does not let us in; a line that broke at the login is none."""
    # Of a broken line paramiko says by the same class: "transport shut down or saw EOF". A key that
    # it tried as one of another kind, or no key at all, it tells by no class of its own.
    transport = client.get_transport()
    is_up = transport is not None and transport.is_active() and transport.initial_kex_done
    is_told = isinstance(error, paramiko.AuthenticationException) and "EOF" not in str(error)
    return (is_up or is_told) and "timeout" not in str(error)


class _Server:
    tells_sizes = True

    def __init__(
        self, client: paramiko.SSHClient, sftp: paramiko.SFTPClient, settings: Settings
    ) -> None:
        self.reads_back = settings.publish_readback_bytes
        self._client = client
        self._sftp = sftp
        self._limit_s = settings.publish_timeout_s
        self._hashes = True
        self._folders: set[str] = set()

    def told(self, path: str) -> AbstractContextManager[None]:
        """See `Place.told`."""
        return _told(path)

    def size(self, path: str) -> int | None:
        """See `Place.size`."""
        try:
            size: int | None = self._sftp.stat(path).st_size
        except FileNotFoundError:
            return None
        return size

    def append(self, path: str, offset: int, pieces: Iterable[bytes]) -> None:
        """Write without waiting for each answer; they are asked for now and then, and at the end."""
        at = written = offset
        piece = b""
        try:
            with self._sftp.open(path, "r+b" if offset else "wb") as file:
                file.seek(offset)
                file.set_pipelined(True)
                for piece in pieces:
                    file.write(piece)
                    at += len(piece)
                    if at - written >= ANSWERED_BYTES:
                        _wait_for_answers(file, piece)
                        written = at
                _wait_for_answers(file, piece)
        except TimeoutError:
            raise
        except OSError:
            # Behind the write that failed others may have come through: the part has a hole.
            with suppress(OSError, EOFError, paramiko.SSHException):
                self._sftp.truncate(path, written)
            raise

    def read(self, path: str, offset: int) -> Iterator[bytes] | None:
        """See `Place.read`."""
        try:
            file = self._sftp.open(path, "rb")
        except PermissionError:
            return None
        return _pieces(file, offset)

    def sha256(self, path: str) -> str | None:
        """The hash by the extension check-file, which OpenSSH has not."""
        if not self._hashes:
            return None
        channel = self._sftp.get_channel()
        channel.settimeout(HASHED_WITHIN_S)
        try:
            with self._sftp.open(path, "rb") as file:
                return bytes(file.check("sha256")).hex()
        except TimeoutError:
            raise
        except OSError:
            self._hashes = False
            return None
        finally:
            channel.settimeout(self._limit_s)

    def rename(self, path: str, new: str) -> None:
        """Rename as SFTP 3 has it, which never replaces a file; posix-rename would."""
        self._sftp.rename(path, new)

    def remove(self, path: str) -> None:
        """See `Place.remove`."""
        with suppress(FileNotFoundError):
            self._sftp.remove(path)

    def make_folder(self, path: str) -> None:
        """See `Place.make_folder`."""
        if path in self._folders or self.size(path) is not None:
            self._folders.add(path)
            return
        try:
            self._sftp.mkdir(path)
        except OSError:
            if self.size(path) is None:  # else somebody made it meanwhile
                raise
        self._folders.add(path)

    def close(self) -> None:
        """End the connection, whatever anybody waits for on it."""
        self._client.close()


def _wait_for_answers(file: paramiko.SFTPFile, piece: bytes) -> None:
    """Raise what became of all writes, the last of which was of this piece; closing would not."""
    file.set_pipelined(False)
    file.seek(-len(piece[-1:]), SEEK_CUR)
    file.write(piece[-1:])  # its last byte once more: a write that waits, also for those before it
    file.set_pipelined(True)


def _pieces(file: paramiko.SFTPFile, offset: int) -> Iterator[bytes]:
    with file:
        file.seek(offset)
        file.prefetch(max_concurrent_requests=READS_AHEAD)
        while piece := file.read(PIECE_BYTES):
            yield piece


@contextmanager
def _told(path: str) -> Iterator[None]:
    try:
        yield
    except (paramiko.SSHException, EOFError) as error:
        raise DeliveryFailed(f"{path}: the connection broke ({_words(error)}).") from error
    except OSError as error:
        advice = {
            errno.EACCES: " This login may not write there: ask for the right, or name another folder.",
            errno.ENOENT: " Its parent folder is not there: check the destination's spelling.",
        }.get(error.errno or 0, NO_REASON if str(error) == "Failure" else "")
        raise DeliveryFailed(
            f"{path}: {_words(error)}.{advice}", is_lasting=error.errno in _LASTING
        ) from error


def _words(error: BaseException) -> str:
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return words.rstrip(".") or type(error).__name__
