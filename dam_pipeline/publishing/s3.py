"""Delivery into an S3 bucket: in parts whose hashes the store checks, complete or not at all.

Parts of an upload that was cut off stay in the store, invisible, and are gone on with; a lifecycle
rule of the bucket clears away what nobody ever finishes. Who asks is told by boto3's own chain.
"""

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from dam_pipeline.buckets import LOGIN, client
from dam_pipeline.errors import ConfigurationError, DeliveryFailed, PackageInvalid
from dam_pipeline.publishing import Destination, Progress, Receipt
from dam_pipeline.publishing.parts import Verified, checked_name, local_size
from dam_pipeline.settings import Settings
from dam_pipeline.sources.s3 import DENIED, GONE, REFUSED

PART_BYTES = 8 << 20
MOST_PARTS = 10_000  # of an upload, as all stores have it

CAME_MEANWHILE = ("PreconditionFailed", "412", "ConditionalRequestConflict")
UNKNOWN_CONDITION = ("NotImplemented", "501")
LASTING = (*DENIED, *REFUSED, *GONE, "NoSuchBucket", "InvalidBucketName", "QuotaExceeded")


def open_transport(destination: Destination, settings: Settings) -> "BucketTransport":
    """The transport to a bucket; raises DeliveryFailed where it or the login is refused."""
    with _told(destination.address) as refusal:
        try:
            client().list_objects_v2(Bucket=destination.host, MaxKeys=1)
        except refusal as error:  # the right to list is not needed
            if _code(error) not in DENIED:
                raise
    return BucketTransport(destination, settings.publish_readback_bytes)


@dataclass(frozen=True)
class BucketTransport:
    """A `Transport` to a bucket; files up to `reads_back` bytes are read back where it hashes none."""

    destination: Destination
    reads_back: int
    warning: str = ""

    def deliver(self, source: Path, name: str, sha256: str, progress: Progress) -> Receipt:
        """Bring a file to a key below the destination's folder; see `Transport`."""
        remote = self.destination.remote(checked_name(name))
        sums = _Sums.of(source)
        if sums.whole.hex() != sha256:
            raise PackageInvalid(
                f"{source} is not what the manifest says (SHA-256 {sums.whole.hex()}, not {sha256}): "
                "it changed after it was packaged. Package again."
            )
        key = f"{self.destination.folder}/{name}".lstrip("/")
        with _told(remote):
            found = _Object(self.destination.host, key, sums, self.reads_back)
            if (verified := found.verified()) is not None:
                return Receipt(remote, sums.size, 0, _twin(verified, remote))
            sent, answer = found.put(source, progress)
            verified = found.verified() or found.told_by(answer)
        if not verified.is_same:
            raise DeliveryFailed(
                f"{remote} is not what was sent. Delete it there and publish again."
            )
        return Receipt(remote, sums.size, sent, verified.by)

    def make_folder(self) -> None:
        """Buckets have no folders."""

    def close(self) -> None:
        """There is nothing to end: connections belong to the process."""


@dataclass(frozen=True, slots=True)
class _Compared:
    is_same: bool
    by: Verified
    size: int


@dataclass(frozen=True, slots=True)
class _Sums:
    """What a local file is, as stores tell it: its hash, and those of its parts."""

    size: int
    part_bytes: int
    whole: bytes
    parts: tuple[bytes, ...]

    @classmethod
    def of(cls, source: Path) -> Self:
        size = local_size(source)
        part_bytes = max(PART_BYTES, -(-size // MOST_PARTS))
        whole = hashlib.sha256()
        parts = []
        for _, content in _parts(source, part_bytes):
            whole.update(content)
            parts.append(hashlib.sha256(content).digest())
        return cls(size, part_bytes, whole.digest(), tuple(parts))

    def agrees(self, checksum: str) -> bool | None:
        """Whether a store's checksum is this file's; None where its parts were cut otherwise."""
        if "-" not in checksum:
            return checksum == _text(self.whole)
        if not checksum.endswith(f"-{len(self.parts)}"):
            return None
        composite = hashlib.sha256(b"".join(self.parts)).digest()
        return True if checksum == f"{_text(composite)}-{len(self.parts)}" else None


@dataclass(frozen=True, slots=True)
class _Object:
    bucket: str
    key: str
    sums: _Sums
    reads_back: int

    @property
    def names(self) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.key}

    def verified(self) -> _Compared | None:
        """How the object there compares; None when there is none, or we may not look."""
        from botocore.exceptions import ClientError

        try:
            head = client().head_object(**self.names, ChecksumMode="ENABLED")
        except ClientError as error:
            if _code(error) in (*GONE, *DENIED):
                return None
            raise
        size = int(head["ContentLength"])
        if size != self.sums.size:
            return _Compared(False, "size", size)
        is_same = self.sums.agrees(head["ChecksumSHA256"]) if "ChecksumSHA256" in head else None
        if is_same is None and size <= self.reads_back:
            is_same = self._hash() == self.sums.whole
        return _Compared(is_same is not False, "size" if is_same is None else "sha256", size)

    def _hash(self) -> bytes:
        digest = hashlib.sha256()
        with closing(client().get_object(**self.names)["Body"]) as body:
            for piece in body.iter_chunks(PART_BYTES):
                digest.update(piece)
        return digest.digest()

    def told_by(self, answer: Mapping[str, Any]) -> _Compared:
        """How the object compares where this login may write but not look."""
        told = answer.get("ChecksumSHA256")
        is_same = self.sums.agrees(told) if told else None
        return _Compared(is_same is not False, "sha256" if is_same else "", self.sums.size)

    def put(self, source: Path, progress: Progress) -> tuple[int, Mapping[str, Any]]:
        """Bring the bytes over; returns how many went out, and what the store answered at the end."""
        if self.sums.size > self.sums.part_bytes:
            return self._put_parts(source, progress)
        body = source.read_bytes()
        answer = _unless_there(
            client().put_object, **self.names, Body=body, ChecksumSHA256=_text(self.sums.whole)
        )
        progress(len(body))
        return len(body), answer

    def _put_parts(self, source: Path, progress: Progress) -> tuple[int, Mapping[str, Any]]:
        upload, there = self._unfinished() or (self._begin(), {})
        sent = 0
        done = []
        for number, content in _parts(source, self.sums.part_bytes):
            part = there.get(number)
            if part is None:
                part = client().upload_part(
                    **self.names,
                    UploadId=upload,
                    PartNumber=number,
                    Body=content,
                    ChecksumSHA256=_text(self.sums.parts[number - 1]),
                )
                sent += len(content)
                progress(len(content))
            kept = {name: part[name] for name in ("ETag", "ChecksumSHA256") if name in part}
            done.append({"PartNumber": number, **kept})
        finish = client().complete_multipart_upload
        parts = {"Parts": done}
        return sent, _unless_there(finish, **self.names, UploadId=upload, MultipartUpload=parts)

    def _begin(self) -> str:
        begun = client().create_multipart_upload(**self.names, ChecksumAlgorithm="SHA256")
        return str(begun["UploadId"])

    def _unfinished(self) -> tuple[str, dict[int, Mapping[str, Any]]] | None:
        """An upload of these bytes that was cut off, and its parts; None without one."""
        from botocore.exceptions import ClientError

        try:
            uploads = client().list_multipart_uploads(Bucket=self.bucket, Prefix=self.key)
        except ClientError:  # some logins may not list them: it is begun anew
            return None
        for one in uploads.get("Uploads", []):
            if one["Key"] == self.key and one.get("ChecksumAlgorithm") == "SHA256":
                parts = self._parts_there(one["UploadId"])
                if all(self._is_ours(number, part) for number, part in parts.items()):
                    return one["UploadId"], parts
        return None

    def _parts_there(self, upload: str) -> dict[int, Mapping[str, Any]]:
        pages = client().get_paginator("list_parts").paginate(**self.names, UploadId=upload)
        return {part["PartNumber"]: part for page in pages for part in page.get("Parts", [])}

    def _is_ours(self, number: int, part: Mapping[str, Any]) -> bool:
        mine = self.sums.parts
        return number <= len(mine) and part.get("ChecksumSHA256") == _text(mine[number - 1])


def _twin(found: _Compared, remote: str) -> Verified:
    if not found.is_same:
        raise DeliveryFailed(
            f"{remote} is there already with other content ({found.size} bytes) and stays as it is. "
            "Delete or rename it there, or deliver to another folder.",
            is_lasting=True,
        )
    return found.by


def _parts(source: Path, part_bytes: int) -> Iterator[tuple[int, bytes]]:
    with source.open("rb") as file:
        number = 0
        while content := file.read(part_bytes):
            number += 1
            yield number, content


def _unless_there(put: Callable[..., Any], **asked: Any) -> Any:
    """Ask for something that makes an object, where none is; a store may not know the condition."""
    from botocore.exceptions import ClientError

    try:
        return put(**asked, IfNoneMatch="*")
    except ClientError as error:
        if _code(error) not in UNKNOWN_CONDITION:
            raise
        return put(**asked)


def _text(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def _told(remote: str) -> Iterator[Any]:
    from botocore import exceptions as vendor

    try:
        yield vendor.ClientError
    except (vendor.NoCredentialsError, vendor.PartialCredentialsError) as error:
        raise ConfigurationError(
            f"{remote}: no login is known for the store. Give {LOGIN}."
        ) from error
    except vendor.ClientError as error:
        code = _code(error)
        if code in CAME_MEANWHILE:
            raise DeliveryFailed(
                f"{remote} is there already and stays as it is: it came meanwhile, or this login may "
                "not look. Publish again to have it compared."
            ) from error
        raise DeliveryFailed(
            f"{remote}: the store refuses it ({code}: {error.response['Error'].get('Message', '')}). "
            f"Check the bucket's name and rights, and the login: {LOGIN}.",
            is_lasting=code in LASTING,
        ) from error
    except vendor.BotoCoreError as error:
        raise DeliveryFailed(f"{remote}: the store does not answer ({error}).") from error
