"""Listing a bucket, a folder of keys in it, or one object, of an S3 store.

A listing goes page by page and may be left and gone on with, as one of a folder may. What it has so
far can be kept in a file: the next process goes on after the last key. Nothing is read here.
"""

import json
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dam_pipeline.buckets import SCHEME, bucket_and_key, client
from dam_pipeline.errors import ConfigurationError, DamError
from dam_pipeline.formats import is_sidecar_name, kind_of_name
from dam_pipeline.sources.folder import sidecars_of, why_left_out
from dam_pipeline.sources.listing import Listed, Listing, Sidecar, SkipCounts
from dam_pipeline.sources.s3 import moment_ns, told

FORMAT = 1
PAGE_KEYS = 1000  # no store gives more
STALE_AFTER_S = 3600.0  # an unfinished listing that rested longer begins anew: too much has changed
ARCHIVED = ("GLACIER", "DEEP_ARCHIVE")

Row = tuple[str, int, int]  # key, size in bytes, mtime_ns


def list_objects(address: str, exclude: Sequence[str] = (), apart: str = "") -> Listing:
    """All media objects at an address: a bucket, a folder of keys in it, or one object.

    `exclude` are glob patterns as in `folder.is_left_out`, `apart` is an address that is passed
    over. Raises ConfigurationError when nothing is at the address, SourceUnavailable when the store
    or the bucket cannot be reached or listed.
    """
    walk = BucketWalk(address, exclude, apart)
    one = _one_object(walk.root) if kind_of_name(walk.root.rpartition("/")[2]) else None
    if one:
        return one
    walk.go_on()
    if walk.error:
        raise walk.error
    if walk.prefix and not walk.has_seen_any:
        raise ConfigurationError(
            f"There is nothing at {walk.root}. Give a bucket, a folder of keys or one object that "
            "exists."
        )
    return walk.listing()


def check_reachable(address: str) -> None:
    """Raise SourceUnavailable or ConfigurationError when what is at an address cannot be listed."""
    walk = BucketWalk(address)
    with told(walk.root, is_listing=True):
        client(is_hasty=True).list_objects_v2(Bucket=walk.bucket, Prefix=walk.prefix, MaxKeys=1)


@dataclass(slots=True)
class BucketWalk:
    """A listing in progress; see `folder.Walk`. With `part`, a file, it survives the process.

    `error` is why it could not go on. What it has is kept then, and the next walk goes on from it.
    """

    address: str
    exclude: Sequence[str] = ()
    apart: str = ""
    part: Path | None = None
    skipped: SkipCounts = field(default_factory=SkipCounts)
    error: DamError | None = None
    has_seen_any: bool = False
    _media: list[Row] = field(default_factory=list)
    _sidecars: list[Row] = field(default_factory=list)
    _unlisted: list[str] = field(default_factory=list)
    _after: str = ""  # the last key so far: the cursor
    _token: str = ""  # the store's own cursor, good in this process only
    _saved: tuple[int, int, int] = (0, 0, 0)
    _started: bool = False

    @property
    def root(self) -> str:
        """The address without a slash at its end."""
        return self.address.rstrip("/")

    @property
    def bucket(self) -> str:
        """The bucket's name; raises ConfigurationError when there is none."""
        return bucket_and_key(self.root)[0]

    @property
    def prefix(self) -> str:
        """What all keys begin with, a slash at its end; empty for the whole bucket."""
        key = bucket_and_key(self.root)[1]
        return f"{key}/" if key else ""

    @property
    def problem(self) -> str:
        """Why the place could not be listed, or an empty string."""
        return str(self.error or "")

    @property
    def found(self) -> int:
        """How many media objects were found so far."""
        return len(self._media)

    def go_on(self, until_s: float | None = None) -> bool:
        """List until done (returns True) or until `time.monotonic()` is `until_s` (False)."""
        if not self._started:
            self._started = True
            self._load()
        try:
            with told(self.root, is_listing=True):
                while self._take_page():
                    if until_s is not None and time.monotonic() >= until_s:
                        self._save()
                        return False
        except DamError as error:
            self.error = error
            self._save()
            return True
        if self.part:
            self.part.unlink(missing_ok=True)
        return True

    def listing(self) -> Listing:
        """What was found so far, sidecars with the objects that they lie beside."""
        owned, left_over = _owned(self.bucket, self._media, self._sidecars)
        skipped = SkipCounts(**asdict(self.skipped))
        skipped.other += left_over
        files = (
            Listed(self._uri(key), size, moment, 0, owned.get(key, ()))
            for key, size, moment in self._media
        )
        return Listing(
            root=self.root,
            files=tuple(sorted(files, key=lambda file: file.uri)),
            skipped=skipped,
            unlisted=tuple(sorted(map(self._uri, self._unlisted))),
            problem=self.problem,
        )

    def _uri(self, key: str) -> str:
        return f"{SCHEME}{self.bucket}/{key}"

    def _take_page(self) -> bool:
        """Take the next page; returns whether another one follows."""
        where = {"ContinuationToken": self._token} if self._token else {"StartAfter": self._after}
        page = client(is_hasty=True).list_objects_v2(
            Bucket=self.bucket,
            Prefix=self.prefix,
            MaxKeys=PAGE_KEYS,
            OptionalObjectAttributes=["RestoreStatus"],
            **{name: value for name, value in where.items() if value},
        )
        for entry in page.get("Contents", ()):
            self.has_seen_any = True
            self._after = entry["Key"]
            self._take(entry)
        self._token = page.get("NextContinuationToken", "")
        return bool(page.get("IsTruncated"))

    def _take(self, entry: Mapping[str, Any]) -> None:
        key = entry["Key"]
        if self.apart and f"{self._uri(key)}/".startswith(f"{self.apart.rstrip('/')}/"):
            self.skipped.system += 1
        elif why := why_left_out(key.removeprefix(self.prefix).lstrip("/"), self.exclude):
            setattr(self.skipped, why, getattr(self.skipped, why) + 1)
        elif kind_of_name(name := key.rpartition("/")[2]):
            if _is_archived(entry):
                self.skipped.unreadable += 1
                self._unlisted.append(key)
            else:
                self._media.append(_row(entry))
        elif is_sidecar_name(name):
            self._sidecars.append(_row(entry))
        elif not key.endswith("/"):  # a key that only makes a folder visible is no entry
            self.skipped.other += 1

    def _load(self) -> None:
        """Take up what an earlier process has listed, if that is not too long ago."""
        if self.part is None:
            return
        with suppress(OSError, ValueError, KeyError, TypeError):
            if time.time() - self.part.stat().st_mtime > STALE_AFTER_S:
                raise ValueError("stale")
            self._take_up(self.part.read_bytes())
            return
        self.part.unlink(missing_ok=True)

    def _take_up(self, content: bytes) -> None:
        header, *steps = content.splitlines(keepends=True)
        if json.loads(header) != self._header():
            raise ValueError("of another place")
        end = len(header)
        for step in steps:
            if not step.endswith(b"\n"):  # the process was killed while it wrote
                break
            found = json.loads(step)
            self._media += [(key, size, moment) for key, size, moment in found["media"]]
            self._sidecars += [(key, size, moment) for key, size, moment in found["sidecars"]]
            self._unlisted += found["unlisted"]
            self.skipped = SkipCounts(**found["skipped"])
            self._after = found["after"]
            self.has_seen_any = True
            end += len(step)
        self._saved = self._counts()
        if self.part and end < len(content):
            with open(self.part, "r+b") as file:
                file.truncate(end)

    def _save(self) -> None:
        """Add what was listed since the last time to the file."""
        if self.part is None or not self._after:
            return
        media, sidecars, unlisted = self._saved
        step = {
            "after": self._after,
            "media": self._media[media:],
            "sidecars": self._sidecars[sidecars:],
            "unlisted": self._unlisted[unlisted:],
            "skipped": asdict(self.skipped),
        }
        self.part.parent.mkdir(parents=True, exist_ok=True)
        with open(self.part, "a") as file:
            if not file.tell():
                file.write(json.dumps(self._header()) + "\n")
            file.write(json.dumps(step) + "\n")
        self._saved = self._counts()

    def _header(self) -> dict[str, object]:
        left_out = [*self.exclude]
        return {"format": FORMAT, "root": self.root, "exclude": left_out, "apart": self.apart}

    def _counts(self) -> tuple[int, int, int]:
        return len(self._media), len(self._sidecars), len(self._unlisted)


def _one_object(address: str) -> Listing | None:
    """The object of exactly this address with its sidecars, if there is one."""
    bucket, key = bucket_and_key(address)
    media: list[Row] = []
    sidecars: list[Row] = []
    with told(address, is_listing=True):
        pages = client().get_paginator("list_objects_v2")
        stem = key.rpartition(".")[0]
        for page in pages.paginate(Bucket=bucket, Prefix=stem, Delimiter="/"):
            for entry in page.get("Contents", ()):
                if entry["Key"] == key:
                    media.append(_row(entry))
                elif is_sidecar_name(entry["Key"]):
                    sidecars.append(_row(entry))
    owned, _ = _owned(bucket, media, sidecars)
    files = (Listed(address, size, moment, 0, owned.get(key, ())) for _, size, moment in media)
    return Listing(address, tuple(files)) if media else None


def _owned(
    bucket: str, media: Iterable[Row], sidecars: Iterable[Row]
) -> tuple[dict[str, tuple[Sidecar, ...]], int]:
    """Sidecars by the key of the object beside them, and how many lie beside none."""
    beside: dict[str, dict[str, Sidecar]] = defaultdict(dict)
    for key, size, moment in sidecars:
        folder, name = _split(key)
        beside[folder][name] = Sidecar(f"{SCHEME}{bucket}/{key}", size, moment)
    names: dict[str, list[str]] = defaultdict(list)
    for key, _, _ in media if beside else ():
        folder, name = _split(key)
        names[folder].append(name)
    owned: dict[str, tuple[Sidecar, ...]] = {}
    lonely = 0
    for folder, found in beside.items():
        of_folder = sidecars_of(names[folder], sorted(found))
        owned |= {f"{folder}{one}": tuple(found[s] for s in of) for one, of in of_folder.items()}
        lonely += len(found.keys() - {one for of in of_folder.values() for one in of})
    return owned, lonely


def _split(key: str) -> tuple[str, str]:
    folder, slash, name = key.rpartition("/")
    return folder + slash, name


def _row(entry: Mapping[str, Any]) -> Row:
    return entry["Key"], entry["Size"], moment_ns(entry["LastModified"], entry.get("ETag", ""))


def _is_archived(entry: Mapping[str, Any]) -> bool:
    """Whether an object cannot be read now for the tier in which it lies."""
    restored = entry.get("RestoreStatus", {})
    is_back = "RestoreExpiryDate" in restored and not restored.get("IsRestoreInProgress")
    return entry.get("StorageClass") in ARCHIVED and not is_back
