"""Reading originals in the buckets of an S3 store; `s3_listing` finds them.

Stores tell times in whole seconds, so the digits below the second in `mtime_ns` are made from the
ETag: other bytes of the same size within one second are another moment. Nothing is ever written to a
bucket from here: the rights to list and to get are enough.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from dam_pipeline.buckets import LOGIN, TRIES, bucket_and_key, client
from dam_pipeline.errors import (
    ConfigurationError,
    DamError,
    SourceChanged,
    SourceUnavailable,
    UnreadableMedia,
)
from dam_pipeline.identity import WHOLE_UP_TO_BYTES, fingerprint
from dam_pipeline.sources.content import Content, address_identity
from dam_pipeline.sources.listing import Listed

PIECE_BYTES = 8 << 20
NS = 1_000_000_000

GONE = ("NoSuchKey", "404", "NotFound")
CHANGED = ("PreconditionFailed", "412", "InvalidRange", "416")
DENIED = ("AccessDenied", "403", "Forbidden")
REFUSED = (
    *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"),
    *("TokenRefreshRequired", "RequestTimeTooSkewed"),
    "XAdminUserNotFound",  # versitygw's word for an unknown key
)

OnBytes = Callable[[int], None]


def read_content(file: Listed) -> Content | None:
    """Fingerprint of a listed object; None when it is no longer what was listed.

    Reads what `identity.fingerprint` reads of a file: three ranges of 1 MiB, or all up to 64 MiB.
    Raises SourceUnavailable when the store cannot be reached.
    """
    by_address = Content(address_identity(file.uri, file.size_bytes), is_readable=False)
    if file.size_bytes == 0:
        return by_address
    try:
        if file.size_bytes > WHOLE_UP_TO_BYTES:
            return Content(fingerprint(file.size_bytes, lambda at, n: read_range(file, at, n)))
        stream = _Stream(pieces(file, 0, file.size_bytes, is_hasty=True))
        return Content(fingerprint(file.size_bytes, lambda _at, n: stream.read(n)))
    except (SourceChanged, _Gone):
        return None
    except UnreadableMedia:
        return by_address


def whole_sha256(file: Listed, on_bytes: OnBytes | None = None) -> str | None:
    """SHA-256 (64 hex digits) of every byte; None when it changed meanwhile or may not be read.

    Raises SourceUnavailable when the store cannot be reached.
    """
    digest = hashlib.sha256()
    try:
        for piece in pieces(file, 0, file.size_bytes):
            digest.update(piece)
            if on_bytes:
                on_bytes(len(piece))
    except (SourceChanged, _Gone, UnreadableMedia):
        return None
    return digest.hexdigest()


def check(file: Listed) -> None:
    """Raise SourceUnavailable, SourceChanged or UnreadableMedia when an object is not as listed."""
    # A GET of one byte, not HEAD: only a GET's refusal says why.
    with told(file.uri):
        _get(file, (0, 1) if file.size_bytes else None)["Body"].close()


def download(file: Listed, path: Path, on_bytes: OnBytes | None = None) -> None:
    """Write an object's bytes to a file; raises as `check` does, and OSError for the file."""
    with open(path, "wb") as out:
        for piece in pieces(file, 0, file.size_bytes):
            out.write(piece)
            if on_bytes:
                on_bytes(len(piece))


class _Gone(SourceUnavailable):
    """The object is not there any more."""


def _get(
    file: Listed,
    span: tuple[int, int] | None = None,
    etag: str = "",
    is_hasty: bool = False,
) -> Any:
    """The store's answer to a GET of an object, or of its bytes `[start, end)`, as it was listed.

    Raises SourceChanged when it is another by now; refusals as boto3 raises them.
    """
    bucket, key = bucket_and_key(file.uri)
    options = {"Range": f"bytes={span[0]}-{span[1] - 1}"} if span else {}
    if etag:
        options["IfMatch"] = etag
    reply = client(is_hasty).get_object(Bucket=bucket, Key=key, **options)
    if not _is_as_listed(reply, file):
        reply["Body"].close()
        raise SourceChanged(_changed(file.uri))
    return reply


class _Stream:
    """The bytes of one request in the portions that somebody wants, without holding all of them."""

    def __init__(self, source: Iterator[bytes]) -> None:
        self._source = source
        self._held = b""

    def read(self, length: int) -> bytes:
        """The next so many bytes, fewer at the end."""
        held = [self._held]
        missing = length - len(self._held)
        while missing > 0 and (piece := next(self._source, b"")):
            held.append(piece)
            missing -= len(piece)
        found = b"".join(held)
        self._held = found[length:]
        return found[:length]


def read_range(file: Listed, at: int, length: int) -> bytes:
    """So many bytes of an object from `at` on; raises as `check` does."""
    return b"".join(pieces(file, at, at + length, is_hasty=True))


def pieces(file: Listed, start: int, end: int, *, is_hasty: bool = False) -> Iterator[bytes]:
    """The bytes `[start, end)` of an object; a lost connection is taken up where it broke.

    Raises as `check` does; `is_hasty` does not wait long for a store that is silent.
    """
    from botocore.exceptions import HTTPClientError, IncompleteReadError, ResponseStreamingError

    at, etag, losses = start, "", 0
    while at < end:
        with told(file.uri):
            reply = _get(file, (at, end), etag, is_hasty)
            etag = reply.get("ETag", "")
            try:
                for piece in reply["Body"].iter_chunks(PIECE_BYTES):
                    yield piece
                    at += len(piece)
                    losses = 0  # of a long read each loss may be mended
            except (HTTPClientError, IncompleteReadError, ResponseStreamingError):
                losses += 1
                if losses >= TRIES:
                    raise
            finally:
                reply["Body"].close()  # whoever asks may want no more


def _is_as_listed(reply: Any, file: Listed) -> bool:
    _, _, total = reply.get("ContentRange", "").rpartition("/")
    moment = moment_ns(reply["LastModified"], reply.get("ETag", ""))
    size_bytes = int(total or reply["ContentLength"])
    # Some stores give an ETag in a listing or with the object, but not in both.
    knows_etags = moment % NS and file.mtime_ns % NS
    is_same_time = moment // NS == file.mtime_ns // NS
    return size_bytes == file.size_bytes and (
        moment == file.mtime_ns if knows_etags else is_same_time
    )


def moment_ns(modified: datetime, etag: str) -> int:
    """The time of change in ns since 1970; below the second, digits made from the ETag, if any."""
    tag = etag.strip('"').encode()
    digits = int.from_bytes(hashlib.blake2b(tag, digest_size=8).digest()) % NS if tag else 0
    return int(modified.timestamp()) * NS + digits


@contextmanager
def told(address: str, is_listing: bool = False) -> Iterator[None]:
    """Tell the vendor's errors in our words."""
    from botocore import exceptions as vendor

    try:
        yield
    except vendor.ClientError as error:
        raise _refusal(error, address, is_listing) from error
    except (vendor.NoCredentialsError, vendor.PartialCredentialsError) as error:
        raise SourceUnavailable(
            f"{address} needs credentials, and there are none ({error}). Set {LOGIN}."
        ) from error
    except (vendor.ParamValidationError, ValueError) as error:
        raise ConfigurationError(
            f"{address} cannot be asked for ({error}). Check its spelling and AWS_ENDPOINT_URL."
        ) from error
    except vendor.BotoCoreError as error:
        raise SourceUnavailable(
            f"{address} cannot be reached ({error}). Check AWS_ENDPOINT_URL, the network and the "
            "credentials, then run it again."
        ) from error


def _refusal(error: Any, address: str, is_listing: bool) -> DamError:
    code = error.response.get("Error", {}).get("Code", "")
    bucket, _ = bucket_and_key(address)
    if code == "NoSuchBucket" or (is_listing and code in GONE):
        return SourceUnavailable(
            f"There is no bucket {bucket}. Check its name, AWS_ENDPOINT_URL and AWS_REGION."
        )
    if code in REFUSED:
        return SourceUnavailable(
            f"{address}: the credentials were refused ({code}). Check {LOGIN}."
        )
    if code in GONE:
        return _Gone(
            f"{address} is gone. Bring it back, or ingest its new place, then `dam retry`."
        )
    if code in CHANGED:
        return SourceChanged(_changed(address))
    if code in DENIED and is_listing:
        return SourceUnavailable(
            f"{address} may not be listed (access denied). Allow these credentials s3:ListBucket "
            "for it."
        )
    if code in DENIED:
        return UnreadableMedia(
            f"{address} may not be read (access denied). Allow these credentials s3:GetObject, "
            "then `dam retry`."
        )
    if code == "InvalidObjectState":
        return UnreadableMedia(
            f"{address} lies in an archive tier. Have the store restore it, then `dam retry`."
        )
    return SourceUnavailable(f"{address}: the store answers {error}. Run it again later.")


def _changed(address: str) -> str:
    return (
        f"{address} changed after it was found. It is taken anew at the next look "
        "(`dam ingest` does it now)."
    )
