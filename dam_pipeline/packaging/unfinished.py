"""A package in the making: whose folder it is, and what in it is finished already.

A note lies in the folder from before its first file until after its manifest, so that a package which
was cut off is told from one that is whole, and the same command goes on with it.
"""

import fcntl
import json
import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from dam_pipeline.errors import ConfigurationError, PackageInvalid
from dam_pipeline.packaging.manifest import MANIFEST_FILE, PackagedFile, read_manifest
from dam_pipeline.packaging.verification import OF_OTHERS, sha256_of
from dam_pipeline.records import Json

NOTE_FILE = ".unfinished.jsonl"
OF_MAKING = ("damaged-master", "not-embedded", "no-thumbnail")
"""What is found out while a file is made, and no rule says before."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A deliverable that is done, with its thumbnail; `recipe` is a hash of all that it is made from."""

    recipe: str
    master_sha256: str
    file: PackagedFile
    thumbnail: PackagedFile | None
    warnings: tuple[dict[str, Json], ...] = ()


class Unfinished:
    """The folder of a package while this process makes it. Use as a context manager.

    Raises ConfigurationError when the folder holds anything else than the same package, finished or
    cut off, or another process makes it.
    """

    def __init__(self, folder: Path, agency: str, media_ids: Sequence[str]) -> None:
        self.folder = folder
        self._head: dict[str, Json] = {"agency": agency, "media": sorted(media_ids)}
        self._finished: dict[str, Finished] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        check_folder(self.folder, self._head)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._note = open(self.folder / NOTE_FILE, "a+", encoding="utf-8")
        try:
            fcntl.flock(self._note, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._note.close()
            raise ConfigurationError(
                f"Another process makes the package in {self.folder}. Wait for it."
            ) from error
        self._finished = {one.recipe: one for one in [*self._of_manifest(), *self._of_note()]}
        self._note.truncate(0)  # its last line may have been cut off
        self._write(self._head)
        for one in self._finished.values():
            self.note(one)
        (self.folder / MANIFEST_FILE).unlink(missing_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            (self.folder / NOTE_FILE).unlink(missing_ok=True)
        self._note.close()

    def finished(self, recipe: str) -> Finished | None:
        """What an earlier run made of this recipe, if all its bytes are there."""
        one = self._finished.get(recipe)
        if one is None:
            return None
        files = [one.file, *([one.thumbnail] if one.thumbnail else [])]
        return one if all(map(self._is_there, files)) else None

    def note(self, one: Finished) -> None:
        """Remember a finished deliverable; from any thread."""
        with self._lock:
            self._write(asdict(one))

    def keep_only(self, files: set[str], folders: Iterable[str]) -> None:
        """Delete what earlier runs left in some folders of the package and it does not hold."""
        for folder in (self.folder / name for name in folders):
            for path in folder.glob("*"):
                if f"{folder.name}/{path.name}" not in files and not path.is_dir():
                    path.unlink()
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def give_up(self, folders: Iterable[str]) -> None:
        """Take away what was made, and the folder with it where nothing else is in it."""
        self.keep_only(set(), folders)
        (self.folder / NOTE_FILE).unlink()
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _write(self, document: Json) -> None:
        self._note.write(json.dumps(document) + "\n")
        self._note.flush()

    def _is_there(self, file: PackagedFile) -> bool:
        path = self.folder / file.file
        try:
            return path.stat().st_size == file.size_bytes and sha256_of(path) == file.sha256
        except OSError:
            return False

    def _of_manifest(self) -> list[Finished]:
        try:
            manifest = read_manifest(self.folder)
        except PackageInvalid:
            return []
        thumbnails = {one.file: one for one in manifest.files}
        return [
            Finished(
                one.recipe,
                one.master_sha256,
                PackagedFile(one.file, one.size_bytes, one.sha256),
                thumbnails.get(one.thumbnail),
                tuple(dict(warning) for warning in one.warnings if warning["rule"] in OF_MAKING),
            )
            for one in manifest.items
        ]

    def _of_note(self) -> list[Finished]:
        return [_finished(one) for one in _read_note(self.folder)[1:]]


def check_folder(folder: Path, head: dict[str, Json]) -> None:
    """Raise ConfigurationError for a folder that holds anything but the package of this head."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is no folder. Choose another --out.")
    names = {one for one in os.listdir(folder) if one not in OF_OTHERS}
    if names <= {NOTE_FILE} and not _read_note(folder):
        return
    if _head_of(folder) != head:
        what = "another package" if names & {NOTE_FILE, MANIFEST_FILE} else "other files"
        raise ConfigurationError(
            f"{folder} holds {what}. Choose another --out, or take away what is there."
        )


def _head_of(folder: Path) -> dict[str, Json]:
    """Which package lies in a folder; empty when there is none."""
    if documents := _read_note(folder):
        return documents[0]
    try:
        manifest = read_manifest(folder)
    except PackageInvalid:
        return {}
    packaged = [one.media_id for one in manifest.items]
    left_out = [one.media_id for one in manifest.left_out]
    return {"agency": manifest.agency, "media": sorted([*packaged, *left_out])}


def _read_note(folder: Path) -> list[dict[str, Json]]:
    """The lines of the note; one that was cut off counts as not written."""
    documents = []
    try:
        lines = (folder / NOTE_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    for line in lines:
        try:
            documents.append(json.loads(line))
        except ValueError:
            continue
    return documents


def _finished(document: dict[str, Json]) -> Finished:
    thumbnail = document["thumbnail"]
    return Finished(
        document["recipe"],
        document["master_sha256"],
        PackagedFile(**document["file"]),
        PackagedFile(**thumbnail) if thumbnail else None,
        tuple(document["warnings"]),
    )
