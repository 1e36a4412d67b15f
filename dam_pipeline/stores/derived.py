"""Derived files: one folder a media, one outcome file and at most one table a stage.

    DAM_HOME/derived/ab/<media_id>/media.json        who it is and where it was seen
                                   <stage>.json      state, reason, small result, provenance
                                   <stage>.parquet   rows, provenance in the footer
                                   keyframes/…       pictures

Each file is written under a temporary name and renamed, so a reader finds all of it or nothing;
`flush` makes everything written so far outlast a power cut, once a batch.
"""

import ctypes
import errno
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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

FORMAT = 1
FOOTER_KEY = b"dam_pipeline"
RESERVE_BYTES = 256 << 20
"""Below this much free space stages wait: databases must be able to note that they do."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class DerivedFiles:
    """Reads and writes the derived files of one home."""

    def __init__(self, home: Path) -> None:
        self.root = home / "derived"

    def folder(self, media_id: str) -> Path:
        """The folder of a media, whether it exists or not."""
        return self.root / media_id[:2] / media_id

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
        self._write_json(self.folder(media.media_id) / "media.json", document)

    def media(self, media_id: str) -> tuple[Media, list[Location]] | None:
        """Who a media is and where it was last seen, or None when its file is not readable."""
        document = _read_json(self.folder(media_id) / "media.json")
        if document is None:
            return None
        values = {**document["media"], "kind": MediaKind(document["media"]["kind"])}
        return Media(**values), [Location(**place) for place in document["locations"]]

    def write_outcome(self, outcome: StoredOutcome, table: pa.Table | None) -> None:
        """Write a stage's table, then its outcome file; raises DiskFull.

        An outcome without a table removes an older table of that stage.
        """
        folder = self.folder(outcome.media_id)
        path = folder / f"{outcome.stage}.parquet"
        if table is not None:
            footer = {"media_id": outcome.media_id, **outcome.provenance.to_json()}
            stamped = table.replace_schema_metadata(
                {FOOTER_KEY: json.dumps(footer, sort_keys=True).encode()}
            )
            with replaced(path) as temporary:
                pq.write_table(stamped, temporary, compression="zstd")
        document = {**asdict(outcome), "format": FORMAT, "state": outcome.state.value}
        self._write_json(folder / f"{outcome.stage}.json", document)
        if table is None:
            path.unlink(missing_ok=True)

    def outcome(self, media_id: str, stage: str) -> StoredOutcome | None:
        """The stored outcome of a stage, or None when there is none that can be read."""
        document = self.document(media_id, stage)
        return None if document is None else outcome_of(document)

    def document(self, media_id: str, stage: str) -> dict[str, Json] | None:
        """The stored outcome as its file has it, for `outcome_of`."""
        return _read_json(self.folder(media_id) / f"{stage}.json")

    def table(self, media_id: str, stage: str) -> pa.Table:
        """The rows of a stage; raises SchemaMismatch when they are missing or damaged."""
        path = self.folder(media_id) / f"{stage}.parquet"
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
        """Wait until all that was written is on the disk (one `syncfs` for the whole batch)."""
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

    def remove(self, media_id: str) -> None:
        """Delete all derived files of a media."""
        shutil.rmtree(self.folder(media_id), ignore_errors=True)

    def _write_json(self, path: Path, document: Mapping[str, Json]) -> None:
        with replaced(path) as temporary:
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
