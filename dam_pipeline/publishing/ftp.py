"""Delivery over FTP: with TLS asked for on the usual port (`ftps`), or without any (`ftp`).

The server's certificate is checked, and data connections go on with the TLS session of the login,
which strict servers demand. Nothing is sent by implicit TLS on port 990.
"""

import ftplib
import re
import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

from dam_pipeline.errors import ConfigurationError, DeliveryFailed
from dam_pipeline.publishing import Destination
from dam_pipeline.publishing.credentials import account, needed_password
from dam_pipeline.publishing.parts import PIECE_BYTES, FileTransport
from dam_pipeline.settings import Settings

PORT = 21
HASHED_WITHIN_S = 900.0
"""A server that hashes a large file says nothing meanwhile."""

REASON_WITHIN_S = 5.0
"""When a server has ended an upload, it may say why."""

KEEPALIVE_S = 60
"""While a long upload goes on, nothing goes over the login's connection, and routers forget it."""

NO_SUCH_COMMAND = ("500", "502", "504")


def warning(destination: Destination) -> str:
    """What to know before anything is sent."""
    if destination.scheme == "ftps":
        return ""
    return (
        f"{destination.address}: plain FTP sends the password and the files readable to anyone on "
        "the way. Use ftps:// or sftp:// where the agency has it."
    )


def open_transport(
    destination: Destination, settings: Settings, login: str | None = None
) -> FileTransport:
    """Connect and log in, by the password that is known, or `login`, where one is given.

    Raises DeliveryFailed, and ConfigurationError without a password.
    """
    login = login or needed_password(destination)
    connection = _Encrypted(settings) if destination.scheme == "ftps" else ftplib.FTP()
    try:
        with _told(destination.address):
            limit_s = settings.publish_timeout_s
            connection.connect(destination.host, destination.port or PORT, limit_s)
            _keep_alive(connection)
            _log_in(connection, destination, login)
            server = _Server(connection, settings)
    except BaseException:
        connection.close()
        raise
    in_place = destination.host in settings.publish_in_place
    return FileTransport(destination, server, warning(destination), in_place)


class _Encrypted(ftplib.FTP_TLS):
    """FTP_TLS whose data connections go on with the login's TLS session."""

    def __init__(self, settings: Settings) -> None:
        trusted = ssl.create_default_context()
        if settings.tls_ca_file:
            try:
                trusted.load_verify_locations(settings.tls_ca_file)
            except OSError as error:  # also ssl.SSLError
                raise ConfigurationError(
                    f"DAM_TLS_CA_FILE: {settings.tls_ca_file} holds no certificates ({error})."
                ) from error
        super().__init__(context=trusted)

    def ntransfercmd(
        self, cmd: str, rest: int | str | None = None
    ) -> tuple[socket.socket, int | None]:
        """See ftplib."""
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        if isinstance(self.sock, ssl.SSLSocket):
            connection = self.context.wrap_socket(
                connection, server_hostname=self.host, session=self.sock.session
            )
        return connection, size


def _log_in(connection: ftplib.FTP, destination: Destination, login: str) -> None:
    try:
        connection.login(destination.user, login)
    except ftplib.error_perm as error:
        raise DeliveryFailed(
            f"{account(destination)} does not let us in ({error}). Check user and password; "
            f"`dam stock login {destination.url}` keeps another.",
            is_lasting=True,
        ) from error
    if isinstance(connection, ftplib.FTP_TLS):
        connection.prot_p()


def _keep_alive(connection: ftplib.FTP) -> None:
    line: Any = connection.sock
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):
        if hasattr(socket, option):
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), KEEPALIVE_S)


class _Server:
    def __init__(self, connection: ftplib.FTP, settings: Settings) -> None:
        self.reads_back = settings.publish_readback_bytes
        self.tells_sizes = True
        self._ftp = connection
        self._data: socket.socket | None = None
        self._limit_s = settings.publish_timeout_s
        self._folders: set[str] = set()
        self._features = self._asked("FEAT").upper()
        if "UTF8" in self._features:
            self._asked("OPTS UTF8 ON")
        connection.voidcmd("TYPE I")
        self._start = connection.pwd()

    def told(self, path: str) -> AbstractContextManager[None]:
        """See `Place.told`."""
        return _told(path)

    def size(self, path: str) -> int | None:
        """See `Place.size`."""
        try:
            answer = self._ftp.sendcmd(f"SIZE {self._whole(path)}")
        except ftplib.error_perm as error:
            if str(error)[:3] in NO_SUCH_COMMAND:
                self.tells_sizes = False
            return None
        found = re.fullmatch(r"213\s+(\d+)\s*", answer)
        return int(found[1]) if found else None

    def append(self, path: str, offset: int, pieces: Iterable[bytes]) -> None:
        """See `Place.append`."""
        with self._ftp.transfercmd(f"STOR {self._whole(path)}", offset or None) as line:
            self._data = line
            try:
                for piece in pieces:
                    line.sendall(piece)
                _end(line)
            except OSError:
                self._wait(REASON_WITHIN_S)
                self._ftp.voidresp()  # raises what the server has to say about it
                raise
        self._ftp.voidresp()

    def read(self, path: str, offset: int) -> Iterator[bytes] | None:
        """See `Place.read`."""
        try:
            line = self._ftp.transfercmd(f"RETR {self._whole(path)}", offset or None)
        except ftplib.error_perm:
            return None
        return self._pieces(line)

    def _pieces(self, line: socket.socket) -> Iterator[bytes]:
        with line:
            self._data = line
            while piece := line.recv(PIECE_BYTES):
                yield piece
            _end(line)
        self._ftp.voidresp()

    def sha256(self, path: str) -> str | None:
        """The hash by XSHA256 or HASH, where the server has one of them."""
        if "XSHA256" in self._features:
            command = f"XSHA256 {self._whole(path)}"
        elif re.search(r"\bHASH\b.*SHA-256", self._features):
            self._asked("OPTS HASH SHA-256")
            command = f"HASH {self._whole(path)}"
        else:
            return None
        self._wait(HASHED_WITHIN_S)
        try:
            return hash_in(self._asked(command))
        finally:
            self._wait(self._limit_s)

    def rename(self, path: str, new: str) -> None:
        """Rename. Servers replace a file of that name without a word, so it is looked for first."""
        if self.size(new) is not None:
            raise DeliveryFailed(f"{new} came to be there while this was sent. Publish again.")
        self._ftp.rename(self._whole(path), self._whole(new))

    def remove(self, path: str) -> None:
        """See `Place.remove`."""
        if self.size(path) is not None:
            self._ftp.delete(self._whole(path))

    def make_folder(self, path: str) -> None:
        """See `Place.make_folder`."""
        whole = self._whole(path)
        if whole not in self._folders and not self._enters(whole):
            try:
                self._ftp.mkd(whole)
            except ftplib.error_perm:
                if not self._enters(whole):  # else somebody made it meanwhile
                    raise
        self._folders.add(whole)

    def close(self) -> None:
        """End the connection, whatever anybody waits for on it."""
        for line in (self._data, self._ftp.sock):
            with suppress(OSError):
                if line is not None:
                    line.shutdown(socket.SHUT_RDWR)
        self._ftp.close()

    def _wait(self, limit_s: float) -> None:
        line: Any = self._ftp.sock
        if line is None:
            raise EOFError("it was closed")
        line.settimeout(limit_s)

    def _whole(self, path: str) -> str:
        return path if path.startswith("/") else f"{self._start.rstrip('/')}/{path}"

    def _enters(self, path: str) -> bool:
        try:
            self._ftp.cwd(path)
        except ftplib.error_perm:
            return False
        return True

    def _asked(self, command: str) -> str:
        """What the server answers; empty where it does not know or refuses the command."""
        try:
            return self._ftp.sendcmd(command)
        except ftplib.error_perm:
            return ""


def hash_in(answer: str) -> str | None:
    """The SHA-256 in the answer to XSHA256 or HASH; None without one."""
    found = re.search(r"\b[0-9a-f]{64}\b", answer.lower())
    return found.group() if found else None


def _end(line: socket.socket) -> None:
    if isinstance(line, ssl.SSLSocket):
        line.unwrap()


@contextmanager
def _told(path: str) -> Iterator[None]:
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise DeliveryFailed(
            f"{path}: the server's certificate is not trusted ({error.verify_message}); nothing was "
            "sent. Check the host's name; for a server of your own name its certificate in "
            "DAM_TLS_CA_FILE.",
            is_lasting=True,
        ) from error
    except ftplib.error_perm as error:
        raise DeliveryFailed(
            f"{path}: the server refuses it ({error}). Check the folder, its rights and its quota.",
            is_lasting=True,
        ) from error
    except ftplib.error_temp as error:
        raise DeliveryFailed(
            f"{path}: the server cannot take it now ({error}). A full disk, or too many connections?"
        ) from error
    except (ftplib.Error, OSError, EOFError) as error:
        words = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DeliveryFailed(f"{path}: the connection broke ({words}).") from error
