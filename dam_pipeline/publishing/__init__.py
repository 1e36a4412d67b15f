"""Sending packages: one way to deliver a module, chosen by the scheme of an address.

A transport delivers a file whole or says that it could not; it resumes what a cut left over there.
What is sent, when again and what the ledger says stand in `sending`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal, Protocol, cast
from unicodedata import category
from urllib.parse import quote, unquote, urlsplit

from dam_pipeline.errors import ConfigurationError
from dam_pipeline.settings import Settings

Progress = Callable[[int], None]
"""Called with the bytes just sent; it may wait, to keep to a rate, and raise, to stop."""

TRANSPORTS = {
    "sftp": "dam_pipeline.publishing.sftp",
    "ftps": "dam_pipeline.publishing.ftp",
    "ftp": "dam_pipeline.publishing.ftp",
    "s3": "dam_pipeline.publishing.s3",
    "file": "dam_pipeline.publishing.folder",
}
"""The module of each scheme; it has `open_transport(destination, settings) -> Transport`."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a package goes. `folder` is what follows the host, without a slash at its end.

    There is never a password in it: `publishing.credentials` has those.
    """

    scheme: str
    host: str = ""
    port: int = 0
    user: str = ""
    folder: str = ""

    @property
    def address(self) -> str:
        """The address without user: what the ledger and people call it."""
        if self.scheme == "file":
            return self.folder
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{f':{self.port}' if self.port else ''}{self.folder}"

    @property
    def url(self) -> str:
        """The address with the user, for `parse_destination`."""
        return (
            self.address.replace("://", f"://{quote(self.user)}@", 1) if self.user else self.address
        )

    def remote(self, name: str) -> str:
        """What people call a file of that name (with / between folders) over there."""
        return f"{self.address}/{name}"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A file that is over there under its final name, `remote`; `sent_bytes` went out this time.

    `verified` says by what it was compared there; empty: the server tells nothing.
    """

    remote: str
    size_bytes: int
    sent_bytes: int
    verified: Literal["", "size", "sha256"]


class Transport(Protocol):
    """An open connection to a destination, used by one thread at a time."""

    warning: str
    """What a person should know before anything is sent, such as that nothing is encrypted."""

    def deliver(self, source: Path, name: str, sha256: str, progress: Progress) -> Receipt:
        """Bring a file to `name` (with / between folders) below the destination's folder.

        What an earlier, cut off delivery of the same bytes left there is gone on with; the final
        name appears only when all bytes are there and compared. A file of that name with the same
        bytes is left as it is. Raises DeliveryFailed (`is_lasting` where another try is of no use).
        """

    def make_folder(self) -> None:
        """Make the destination's folder where it is not there; its parents are not made.

        Raises DeliveryFailed.
        """

    def close(self) -> None:
        """End the connection; also after a failure."""


def parse_destination(text: str) -> Destination:
    """The destination that a person wrote: a URL, or the path of a folder.

    Raises ConfigurationError for other schemes, and for a password in the address.
    """
    scheme, is_url, rest = text.partition("://")
    if not is_url:
        return Destination("file", folder=_own_folder(text))
    begin, _, path = rest.partition("/")  # a path may hold # and ?
    if "@" not in begin and ":" in begin and "@" in path:
        begin = f"{begin}@"  # a password with a slash in it
    try:
        parts = urlsplit(f"{scheme}://{begin}")
        host, port = parts.hostname or "", 0 if parts.password is not None else parts.port or 0
    except ValueError:  # it names what stands there, which may be a part of a password
        raise ConfigurationError(
            "That is no address: write sftp://user@host:port/folder."
        ) from None
    if parts.password is not None:
        raise ConfigurationError(
            "An address may not hold a password: it would be kept in the ledger and in logs. "
            "`dam stock login` or a variable keeps it; see docs/how-to/publish.md."
        )
    if parts.scheme not in TRANSPORTS:
        raise ConfigurationError(
            f"{text}: nothing is known of {scheme}://. Use one of "
            f"{', '.join(f'{one}://' for one in TRANSPORTS)} or the path of a folder."
        )
    if parts.scheme != "file" and not host:
        raise ConfigurationError(f"{text} names no host. Write {parts.scheme}://user@host/folder.")
    user, folder = unquote(parts.username or ""), f"/{path}".rstrip("/")
    if any(category(sign) == "Cc" for sign in user + folder):
        raise ConfigurationError("An address may not hold line breaks or other control signs.")
    return Destination(parts.scheme, host, port, user, folder)


def _own_folder(text: str) -> str:
    if re.match(rf"[^./~][^/]*@|({'|'.join(TRANSPORTS)}):", text):
        raise ConfigurationError(
            "That looks like a server: write sftp://user@host/folder. For a folder of such a name, "
            "write ./ before it."
        )
    return str(Path(text).expanduser().absolute())


def warning_of(destination: Destination) -> str:
    """What a person should know before anything is sent, as `Transport.warning`, without connecting."""
    module = import_module(TRANSPORTS[destination.scheme])
    return str(module.warning(destination)) if hasattr(module, "warning") else ""


def open_transport(destination: Destination, settings: Settings) -> Transport:
    """Connect, log in and make the destination's folder.

    Raises DeliveryFailed, and ConfigurationError where a login is missing.
    """
    module = import_module(TRANSPORTS[destination.scheme])
    transport = cast(Transport, module.open_transport(destination, settings))
    try:
        transport.make_folder()
    except BaseException:
        transport.close()
        raise
    return transport
