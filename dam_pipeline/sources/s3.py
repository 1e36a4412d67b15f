"""Originals in the buckets of an S3 store.

Stores tell times in whole seconds, so the digits below the second in `mtime_ns` are made from the
ETag: other bytes of the same size within one second are another moment. Sidecars are not read here.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from dam_pipeline.buckets import LOGIN, SCHEME, TRIES, bucket_and_key, client
from dam_pipeline.errors import (
    ConfigurationError,
    DamError,
    SourceChanged,
    SourceUnavailable,
    UnreadableMedia,
)
from dam_pipeline.formats import kind_of_name
from dam_pipeline.identity import WHOLE_UP_TO_BYTES, fingerprint
from dam_pipeline.sources.content import Content, address_identity
from dam_pipeline.sources.folder import why_left_out
from dam_pipeline.sources.listing import Listed, Listing, SkipCounts

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


def list_objects(address: str, exclude: Sequence[str] = ()) -> Listing:
    """All media objects at an address: a bucket, a folder of keys in it, or one object.

    `exclude` are glob patterns as in `folder.is_left_out`. Raises ConfigurationError when nothing is
    at the address, SourceUnavailable when the store or the bucket cannot be reached or listed.
    """
    bucket, prefix = bucket_and_key(address.rstrip("/"))
    root = f"{SCHEME}{bucket}/{prefix}".rstrip("/")
    files: list[Listed] = []
    skipped = SkipCounts()
    is_there = False
    with _told(root, is_listing=True):
        for entry in _entries(bucket, prefix):
            is_there = True
            key = entry["Key"]
            relative = key.removeprefix(prefix).lstrip("/")
            if why := why_left_out(relative, exclude):
                setattr(skipped, why, getattr(skipped, why) + 1)
            elif kind_of_name(key.rpartition("/")[2]):
                moment = _moment_ns(entry["LastModified"], entry.get("ETag", ""))
                files.append(Listed(f"{SCHEME}{bucket}/{key}", entry["Size"], moment))
            elif not key.endswith("/"):  # a key that only makes a folder visible is no entry
                skipped.other += 1
    if prefix and not is_there:
        raise ConfigurationError(
            f"There is nothing at {root}. Give a bucket, a folder of keys or one object that exists."
        )
    return Listing(root, tuple(sorted(files, key=lambda file: file.uri)), skipped)


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
            return Content(fingerprint(file.size_bytes, lambda at, n: _bytes(file, at, at + n)))
        whole = _bytes(file, 0, file.size_bytes)  # one request instead of up to sixteen
        return Content(fingerprint(file.size_bytes, lambda at, n: whole[at : at + n]))
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
        for piece in _pieces(file, 0, file.size_bytes):
            digest.update(piece)
            if on_bytes:
                on_bytes(len(piece))
    except (SourceChanged, _Gone, UnreadableMedia):
        return None
    return digest.hexdigest()


def check(file: Listed) -> None:
    """Raise SourceUnavailable, SourceChanged or UnreadableMedia when an object is not as listed."""
    # A GET of one byte, not HEAD: only a GET's refusal says why.
    with _told(file.uri):
        _get(file, (0, 1) if file.size_bytes else None)["Body"].close()


def download(file: Listed, path: Path, on_bytes: OnBytes | None = None) -> None:
    """Write an object's bytes to a file; raises as `check` does, and OSError for the file."""
    with open(path, "wb") as out:
        for piece in _pieces(file, 0, file.size_bytes):
            out.write(piece)
            if on_bytes:
                on_bytes(len(piece))


class _Gone(SourceUnavailable):
    """The object is not there any more."""


def _entries(bucket: str, prefix: str) -> Iterator[Any]:
    """The object of this key, if there is one, and all in the folder of this name."""
    s3 = client()
    if prefix:
        # A key is the first of all that begin with it.
        first = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
        yield from (entry for entry in first.get("Contents", ()) if entry["Key"] == prefix)
    folder = f"{prefix}/" if prefix else ""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder):
        yield from page.get("Contents", ())


def _get(file: Listed, span: tuple[int, int] | None = None, etag: str = "") -> Any:
    """The store's answer to a GET of an object, or of its bytes `[start, end)`, as it was listed.

    Raises SourceChanged when it is another by now; refusals as boto3 raises them.
    """
    bucket, key = bucket_and_key(file.uri)
    options = {"Range": f"bytes={span[0]}-{span[1] - 1}"} if span else {}
    if etag:
        options["IfMatch"] = etag
    reply = client().get_object(Bucket=bucket, Key=key, **options)
    if not _is_as_listed(reply, file):
        reply["Body"].close()
        raise SourceChanged(_changed(file.uri))
    return reply


def _bytes(file: Listed, start: int, end: int) -> bytes:
    return b"".join(_pieces(file, start, end))


def _pieces(file: Listed, start: int, end: int) -> Iterator[bytes]:
    """The bytes `[start, end)` of an object; a lost connection is taken up where it broke."""
    from botocore.exceptions import HTTPClientError, IncompleteReadError, ResponseStreamingError

    at, etag, losses = start, "", 0
    while at < end:
        with _told(file.uri):
            reply = _get(file, (at, end), etag)
            etag = reply.get("ETag", "")
            try:
                for piece in reply["Body"].iter_chunks(PIECE_BYTES):
                    yield piece
                    at += len(piece)
            except (HTTPClientError, IncompleteReadError, ResponseStreamingError):
                losses += 1
                if losses >= TRIES:
                    raise


def _is_as_listed(reply: Any, file: Listed) -> bool:
    _, _, total = reply.get("ContentRange", "").rpartition("/")
    moment = _moment_ns(reply["LastModified"], reply.get("ETag", ""))
    size_bytes = int(total or reply["ContentLength"])
    # Some stores give an ETag in a listing or with the object, but not in both.
    knows_etags = moment % NS and file.mtime_ns % NS
    is_same_time = moment // NS == file.mtime_ns // NS
    return size_bytes == file.size_bytes and (
        moment == file.mtime_ns if knows_etags else is_same_time
    )


def _moment_ns(modified: datetime, etag: str) -> int:
    """The time of change in ns since 1970; below the second, digits made from the ETag, if any."""
    tag = etag.strip('"').encode()
    digits = int.from_bytes(hashlib.blake2b(tag, digest_size=8).digest()) % NS if tag else 0
    return int(modified.timestamp()) * NS + digits


@contextmanager
def _told(address: str, is_listing: bool = False) -> Iterator[None]:
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
            f"{address} may not be listed (access denied). Allow these credentials s3:ListBucket."
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
