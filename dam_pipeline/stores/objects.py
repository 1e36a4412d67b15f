"""The objects of a library in an S3 store, below one address; what they mean is others' business.

Errors of the store are told in our words, as StoreUnavailable: whoever waits for it is blocked and
goes on when it is back. Content is written whole or not at all, as S3 has it.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dam_pipeline.buckets import LOGIN, bucket_and_key, client
from dam_pipeline.errors import ConfigurationError, StoreError, StoreUnavailable
from dam_pipeline.settings import Settings

LARGE_BYTES = 64 << 20  # over this a file is sent and fetched in parts
DELETED_AT_ONCE = 1000  # what one request may name
LEAST_RIGHTS = "s3:ListBucket on the bucket; s3:GetObject, s3:PutObject, s3:DeleteObject below {}"

_GONE = ("NoSuchKey", "404", "NotFound")
_DENIED = ("AccessDenied", "403", "Forbidden")
_REFUSED = (
    *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"),
    *("TokenRefreshRequired", "RequestTimeTooSkewed", "XAdminUserNotFound"),
)


@dataclass(frozen=True, slots=True)
class Stored:
    """An object: its name below the address, and a mark that is another when the content is."""

    name: str
    size_bytes: int
    mark: str
    stored_s: float = 0.0


class Objects:
    """Lists, reads, writes and deletes below an address `s3://bucket/prefix`."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self._bucket, prefix = bucket_and_key(self.address)
        self._prefix = f"{prefix}/" if prefix else ""

    def list(self, start: str, after: str = "") -> Iterator[Stored]:
        """All objects whose names start so, in order; `after` leaves out what comes up to it."""
        options = {"StartAfter": self._prefix + after} if after else {}
        for page in self._pages(start, options):
            for entry in page.get("Contents", ()):
                name = entry["Key"].removeprefix(self._prefix)
                yield Stored(name, entry["Size"], _mark(entry), entry["LastModified"].timestamp())

    def folders(self, folder: str) -> Iterator[str]:
        """The names of folders in a folder, whose name ends with a slash, in order."""
        for page in self._pages(folder, {"Delimiter": "/"}):
            for entry in page.get("CommonPrefixes", ()):
                yield entry["Prefix"].removeprefix(self._prefix + folder).rstrip("/")

    def get(self, name: str) -> tuple[bytes, Stored] | None:
        """An object's content and what it is; None when there is none."""
        from botocore.exceptions import ClientError

        with self._told():
            try:
                reply = client().get_object(Bucket=self._bucket, Key=self._prefix + name)
                content = reply["Body"].read()
            except ClientError as error:
                if _code(error) in _GONE:
                    return None
                raise
        return content, Stored(name, len(content), _mark(reply))

    def fetch(self, name: str, path: Path) -> bool:
        """Write a large object to a file, several parts at once; False when there is none."""
        from botocore.exceptions import ClientError

        with self._told():
            try:
                client().head_object(Bucket=self._bucket, Key=self._prefix + name)
                client().download_file(self._bucket, self._prefix + name, os.fspath(path))
            except ClientError as error:
                if _code(error) in _GONE:
                    return False
                raise
        return True

    def put(self, name: str, content: bytes) -> Stored:
        """Write an object whole."""
        with self._told("s3:PutObject"):
            reply = client().put_object(Bucket=self._bucket, Key=self._prefix + name, Body=content)
        return Stored(name, len(content), _mark(reply))

    def put_file(self, name: str, path: Path) -> Stored:
        """Write an object of a file's content, a large one in parts; it is there when it is whole."""
        size_bytes = path.stat().st_size
        if size_bytes <= LARGE_BYTES:
            return self.put(name, path.read_bytes())
        with self._told("s3:PutObject"):
            client().upload_file(os.fspath(path), self._bucket, self._prefix + name)
            reply = client().head_object(Bucket=self._bucket, Key=self._prefix + name)
        return Stored(name, size_bytes, _mark(reply))

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects; those that are not there count as deleted."""
        keys = [{"Key": self._prefix + name} for name in names]
        for at in range(0, len(keys), DELETED_AT_ONCE):
            some = {"Objects": keys[at : at + DELETED_AT_ONCE], "Quiet": True}
            with self._told("s3:DeleteObject"):
                reply = client().delete_objects(Bucket=self._bucket, Delete=some)
            for error in reply.get("Errors", ()):
                raise StoreUnavailable(
                    f"{self.address}: {error['Key']} was not deleted ({error.get('Code')}). "
                    f"{self._rights()}"
                )

    def check(self) -> None:
        """Write, list, read and delete an object of our own; raises StoreUnavailable."""
        name = f"check/{os.urandom(8).hex()}"
        self.put(name, b"dam")
        found = [one.name for one in self.list(name)]
        content = self.get(name)
        self.delete([name])
        if found != [name] or content is None or content[0] != b"dam":
            raise StoreUnavailable(
                f"{self.address} does not give back what was just written. A library needs a store "
                "whose lists and reads show every write at once."
            )

    def _pages(self, start: str, options: dict[str, str]) -> Iterator[Any]:
        where = {"Bucket": self._bucket, "Prefix": self._prefix + start}
        with self._told("s3:ListBucket"):
            pages = client().get_paginator("list_objects_v2")
        asked = iter(pages.paginate(**where, **options))
        while True:
            with self._told("s3:ListBucket"):
                page = next(asked, None)
            if page is None:
                return
            yield page

    @contextmanager
    def _told(self, right: str = "s3:GetObject") -> Iterator[None]:
        """Tell the vendor's errors in our words: the same for all objects, to be told once a run."""
        from boto3.exceptions import Boto3Error
        from botocore import exceptions as vendor

        try:
            yield
        except vendor.ClientError as error:
            raise self._refusal(error, right) from error
        except (
            *(vendor.NoCredentialsError, vendor.PartialCredentialsError),
            *(vendor.ProfileNotFound, vendor.ConfigParseError),
        ) as error:
            raise StoreUnavailable(
                f"{self.address} needs credentials, and there are none ({error}). Set {LOGIN}."
            ) from error
        except (vendor.ParamValidationError, ValueError) as error:
            raise ConfigurationError(
                f"{self.address} cannot be asked for ({error}). Check the spelling of "
                "DAM_STORAGE_URL and AWS_ENDPOINT_URL."
            ) from error
        except (vendor.BotoCoreError, Boto3Error) as error:
            endpoint, kind = client().meta.endpoint_url, type(error).__name__
            raise StoreUnavailable(
                f"{self.address} cannot be reached at {endpoint} ({kind}). Check DAM_STORAGE_URL, "
                "AWS_ENDPOINT_URL and the network; the work then goes on by itself."
            ) from error

    def _refusal(self, error: Any, right: str) -> StoreError:
        code = _code(error)
        if code == "NoSuchBucket":
            return StoreUnavailable(
                f"There is no bucket {self._bucket}. Make it, or check DAM_STORAGE_URL and "
                "AWS_ENDPOINT_URL."
            )
        if code in _REFUSED:
            return StoreUnavailable(
                f"{self.address}: the credentials were refused ({code}). Check {LOGIN}."
            )
        if code in _DENIED:
            return StoreUnavailable(f"{self.address}: {right} is denied. {self._rights()}")
        return StoreUnavailable(
            f"{self.address}: the store answers {error}. The work goes on by itself once it is well."
        )

    def _rights(self) -> str:
        return f"Allow these credentials {LEAST_RIGHTS.format(self.address)}."


def open_objects(settings: Settings) -> Objects | None:
    """The library's objects; None where DAM_HOME alone keeps its files."""
    return Objects(settings.storage_url) if settings.storage_url else None


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _mark(entry: Any) -> str:
    """The ETag; the time of writing where the store gives none."""
    modified = entry.get("LastModified")
    moment = modified.isoformat() if isinstance(modified, datetime) else ""
    return str(entry.get("ETag", "")).strip('"') or moment
