"""Derived files: one folder a media, one outcome file and at most one table a stage.

    DAM_HOME/derived/ab/<media_id>/media.json        who it is and where it was seen
                                   <stage>.json      state, reason, small result, provenance
                                   <stage>.parquet   rows, provenance in the footer
                                   keyframes-…/…     pictures

Each file is written under a temporary name and renamed, so a reader finds all of it or nothing;
`flush` makes everything written so far outlast a power cut, once a batch. Where `storage_url` is
set, `SharedFiles` keeps the same files below that address, and DAM_HOME is a cache of them.
"""

import ctypes
import errno
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dam_pipeline.errors import DiskFull, SchemaMismatch
from dam_pipeline.records import (
    Json,
    Location,
    Media,
    MediaKind,
    Provenance,
    State,
    StoredOutcome,
)

FOLDER = "derived"
MEDIA_FILE = "media.json"
FORMAT = 1
FOOTER_KEY = b"dam_pipeline"
RESERVE_BYTES = 256 << 20
"""Below this much free space stages wait: databases must be able to note that they do."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class DerivedFiles:
    """Reads and writes the derived files of one home.

    Every file is named by its media and its name below the media's folder; what is asked of a file
    here is right wherever files are kept, and nobody else puts a path together. `stems` names the
    files of stages whose results in several embedding spaces lie side by side (stage → stem).
    """

    def __init__(self, home: Path) -> None:
        self.root = home / FOLDER
        self.stems: Mapping[str, str] = {}

    def stem(self, stage: str) -> str:
        """The name of a stage's files without their ending."""
        return self.stems.get(stage, stage)

    def folder(self, media_id: str) -> Path:
        """Where a media's files are found on this machine; to name it, not to look into it."""
        return self.root / media_id[:2] / media_id

    def path(self, media_id: str, name: str) -> Path:
        """A file of a media, to be read; nothing is there when there is none."""
        return self.folder(media_id) / name

    def names(self, media_id: str) -> set[str]:
        """The names of all files of a media, below its folder."""
        folder = self.folder(media_id)
        found = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix() for path in found}

    def size_bytes(self, media_id: str) -> int:
        """What the files of a media take together."""
        found = (path for path in self.folder(media_id).rglob("*") if path.is_file())
        return sum(path.stat().st_size for path in found)

    def has(self, media_id: str, name: str) -> bool:
        """Whether a media has a file."""
        return self.path(media_id, name).exists()

    def bring(
        self,
        media_ids: Iterable[str],
        stages: Collection[str] | None = None,
        *,
        pictures: bool = False,
        anew: bool = True,
    ) -> None:
        """Make sure that reads of these media see what other workers wrote, and are quick.

        `stages` are those that will be read, by default all; with `pictures`, these as well.
        Without `anew` what was seen a moment ago will do.
        """

    def take_in(self, media_id: str, name: str, path: Path) -> None:
        """Move a finished file, or a folder of them, into a media's folder; raises DiskFull."""
        for below in _names_below(path):
            target = self._target(media_id, f"{name}{below}")
            move_file(Path(f"{path}{below}"), target)

    def forget(self, media_id: str, names: Iterable[str]) -> None:
        """Delete some files of a media; those that are not there count as deleted."""
        for name in names:
            path = self.folder(media_id) / name
            path.unlink(missing_ok=True)
            if path.parent != self.folder(media_id) and path.parent.is_dir():
                with suppress(OSError):  # others are in it
                    path.parent.rmdir()

    def drop_unstored(self) -> None:
        """Forget what was written since the last `flush` and is not to be kept."""

    def media_ids(self) -> Iterator[str]:
        """Ids of all media that have a folder with a readable name, in order."""
        for shard in sorted(self.root.glob("[0-9a-f][0-9a-f]")):
            yield from sorted(entry.name for entry in shard.iterdir() if entry.is_dir())

    def write_media(self, media: Media, locations: list[Location]) -> None:
        """Write who a media is and where it was seen; raises DiskFull."""
        document = {
            "format": FORMAT,
            "media": asdict(media),
            "locations": [asdict(place) for place in locations],
        }
        self._write_json(media.media_id, MEDIA_FILE, document)

    def media(self, media_id: str) -> tuple[Media, list[Location]] | None:
        """Who a media is and where it was last seen, or None when its file is not readable."""
        document = _read_json(self.path(media_id, MEDIA_FILE))
        if document is None:
            return None
        values = {**document["media"], "kind": MediaKind(document["media"]["kind"])}
        return Media(**values), [Location(**place) for place in document["locations"]]

    def write_outcome(self, outcome: StoredOutcome, table: pa.Table | None) -> None:
        """Write a stage's table, then its outcome file; raises DiskFull.

        An outcome without a table removes an older table of that stage.
        """
        stem = self.stem(outcome.stage)
        name = f"{stem}.parquet"
        if table is not None:
            footer = {"media_id": outcome.media_id, **outcome.provenance.to_json()}
            stamped = table.replace_schema_metadata(
                {FOOTER_KEY: json.dumps(footer, sort_keys=True).encode()}
            )
            with replaced(self._target(outcome.media_id, name)) as temporary:
                pq.write_table(stamped, temporary, compression="zstd")
        document = {**asdict(outcome), "format": FORMAT, "state": outcome.state.value}
        self._write_json(outcome.media_id, f"{stem}.json", document)
        if table is None:
            self.forget(outcome.media_id, [name])

    def outcome(self, media_id: str, stage: str) -> StoredOutcome | None:
        """The stored outcome of a stage, or None when there is none that can be read."""
        document = self.document(media_id, stage)
        return None if document is None else outcome_of(document)

    def document(self, media_id: str, stage: str) -> dict[str, Json] | None:
        """The stored outcome as its file has it, for `outcome_of`."""
        return _read_json(self.path(media_id, f"{self.stem(stage)}.json"))

    def has_table(self, media_id: str, stage: str) -> bool:
        """Whether a stage left rows."""
        return self.has(media_id, f"{self.stem(stage)}.parquet")

    def table(self, media_id: str, stage: str) -> pa.Table:
        """The rows of a stage; raises SchemaMismatch when they are missing or damaged."""
        path = self.path(media_id, f"{self.stem(stage)}.parquet")
        try:
            # Half the time of `read_table`, which looks for datasets and threads.
            with pq.ParquetFile(path) as file:
                return file.read(use_threads=False)
        except (FileNotFoundError, pa.ArrowInvalid) as error:
            raise SchemaMismatch(
                f"{path} cannot be read ({error}). Run `dam retry --stage {stage} {media_id}`."
            ) from error

    def check_room(self) -> None:
        """Raise DiskFull when the disk has no more than `RESERVE_BYTES` free."""
        self.root.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.root).free
        if free < RESERVE_BYTES:
            raise DiskFull(
                f"No room left on the disk of {self.root} ({free >> 20} MiB free, "
                f"{RESERVE_BYTES >> 20} are kept free). Free some space; the work then goes on by "
                "itself."
            )

    def flush(self) -> None:
        """Wait until all that this thread wrote is safe (one `syncfs` for the whole batch)."""
        self.root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.root, os.O_RDONLY)
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if not hasattr(libc, "syncfs"):
                os.sync()
            elif libc.syncfs(descriptor) != 0:
                raise OSError(ctypes.get_errno(), "syncfs failed", os.fspath(self.root))
        except OSError as error:
            raise_if_full(error, self.root)
            raise
        finally:
            os.close(descriptor)

    def _target(self, media_id: str, name: str) -> Path:
        """Where a new file of a media is written."""
        return self.folder(media_id) / name

    def _write_json(self, media_id: str, name: str, document: Mapping[str, Json]) -> None:
        with replaced(self._target(media_id, name)) as temporary:
            temporary.write_text(json.dumps(document, indent=1, sort_keys=True))


def outcome_of(document: Mapping[str, Json]) -> StoredOutcome:
    """The outcome that a document of an outcome file tells of."""
    values = dict(document)
    values["state"] = State(values["state"])
    values["provenance"] = Provenance.from_json(values["provenance"])
    return StoredOutcome(**values)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place at the end; raises DiskFull."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise_if_full(error, path)
        raise
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def move_file(source: Path, target: Path) -> None:
    """Put a file in another's place at once, also from another disk; raises DiskFull."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)
    except OSError as error:
        raise_if_full(error, target)
        if error.errno != errno.EXDEV:
            raise
        with replaced(target) as temporary:
            shutil.copy2(source, temporary)
        source.unlink()


def raise_if_full(error: OSError, path: Path | str) -> None:
    """Raise DiskFull when `error` says that there is no room."""
    if error.errno in _NO_ROOM:
        raise DiskFull(
            f"No room left on the disk of {path}. Free some space; the work then goes on by itself."
        ) from error


def content_version(result: Mapping[str, Json], table: pa.Table | None) -> str:
    """Hash of a result's content (16 hex digits): equal content, equal version."""
    digest = hashlib.blake2b(json.dumps(result, sort_keys=True).encode(), digest_size=8)
    if table is not None:
        plain = table.replace_schema_metadata(None).combine_chunks()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, plain.schema) as writer:
            writer.write_table(plain)
        digest.update(sink.getvalue())
    return digest.hexdigest()


def _names_below(path: Path) -> list[str]:
    """What to put behind a path to get all files there: nothing for a file, `/name` in a folder."""
    return [f"/{one.name}" for one in sorted(path.iterdir())] if path.is_dir() else [""]


def _read_json(path: Path) -> dict[str, Json] | None:
    try:
        document: dict[str, Json] = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    if document.pop("format", None) != FORMAT:
        raise SchemaMismatch(
            f"{path} was written by another version of dam_pipeline. Update it, or delete "
            "the file and run `dam ingest` again."
        )
    return document
