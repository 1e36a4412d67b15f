"""Whether a package is what its manifest says: every file there with its bytes, and nothing else."""

import csv
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from stat import S_ISREG

from dam_pipeline.agencies.agency import Agency, TableRules
from dam_pipeline.errors import PackageInvalid
from dam_pipeline.packaging.manifest import MANIFEST_FILE, Manifest
from dam_pipeline.stock.record import Submission

BLOCK_BYTES = 1 << 20
LONGEST_CELL = 1 << 30  # characters
OF_OTHERS = (".DS_Store", "Thumbs.db", "desktop.ini")
"""Files that systems put into every folder that is looked at."""

OnBytes = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one file of a package; `file` is its path in the package."""

    file: str
    message: str

    def __str__(self) -> str:
        return f"{self.file} {self.message}"


@dataclass(frozen=True, slots=True)
class Listed:
    """A file as the manifest lists it."""

    file: str
    size_bytes: int
    sha256: str


def verify_package(
    folder: Path, manifest: Manifest, progress: OnBytes | None = None
) -> list[Problem]:
    """What is wrong with the package in a folder, file by file; nothing when it is whole.

    `progress` gets the bytes looked at so far and those there are altogether.
    """
    listed = list(files_of(manifest))
    problems = list(_bad_lists(manifest, listed))
    total, done = sum(one.size_bytes for one in listed), 0
    known = {MANIFEST_FILE}
    for one in listed:
        known.add(one.file)
        if message := _wrong_path(folder, one.file) or _wrong_bytes(folder / one.file, one):
            problems.append(Problem(one.file, message))
        done += one.size_bytes
        if progress:
            progress(done, total)
    return [*problems, *_strays(folder, known)]


def check_rows(agency: Agency, submissions: Sequence[Submission], tables: Sequence[Path]) -> None:
    """Read a CSV table back, and raise PackageInvalid unless it says what is submitted.

    File names, titles, descriptions and keywords are the same text as in the copies and the manifest.
    """
    rules = agency.table
    if rules is None or rules.format != "csv":
        return
    rows = [row for path in tables for row in _rows(path, rules)]
    if len(rows) != len(submissions):
        raise PackageInvalid(
            f"{tables[0].name} has {len(rows)} rows for {len(submissions)} items. Package again."
        )
    for one, row in zip(submissions, rows, strict=True):
        for column, cell in zip(rules.columns, row, strict=True):
            wanted = _said(one, column.value, rules)
            if wanted is not None and cell != wanted:
                raise PackageInvalid(
                    f"{tables[0].name}: {column.heading!r} of {one.file_name} reads {cell!r} "
                    f"instead of {wanted!r}. Take out of the text what no table can hold."
                )


def _rows(path: Path, rules: TableRules) -> list[list[str]]:
    csv.field_size_limit(LONGEST_CELL)  # Python's own is less than 10,000 keywords have
    with open(path, encoding=rules.encoding, newline="") as file:
        return list(csv.reader(file, delimiter=rules.delimiter))[1:]


def _said(one: Submission, value: str, rules: TableRules) -> str | None:
    texts = {
        "file_name": one.file_name,
        "title": one.title,
        "description": one.description,
        "keywords": rules.keyword_separator.join(one.keywords),
    }
    return texts.get(value)


def files_of(manifest: Manifest) -> Iterator[Listed]:
    """All files that a manifest lists, deliverables first."""
    for one in manifest.items:
        yield Listed(one.file, one.size_bytes, one.sha256)
    for other in (manifest.table, manifest.checklist, *manifest.files):
        if other:
            yield Listed(other.file, other.size_bytes, other.sha256)


def sha256_of(path: Path, on_bytes: Callable[[int], None] | None = None) -> str:
    """SHA-256 of a file (64 hex digits)."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            if on_bytes:
                on_bytes(len(block))
    return digest.hexdigest()


def _bad_lists(manifest: Manifest, listed: list[Listed]) -> Iterator[Problem]:
    """What the manifest says against itself."""
    seen: set[str] = set()
    for one in listed:
        if one.file.casefold() in seen:
            yield Problem(one.file, "is listed twice.")
        seen.add(one.file.casefold())
    for item in manifest.items:
        for file in (item.thumbnail, *item.releases):
            if file and file.casefold() not in seen:
                yield Problem(item.file, f"goes with {file}, which is not listed.")


def _wrong_path(folder: Path, file: str) -> str:
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts or not file or "\\" in file:
        return "lies outside of the package."
    here = folder.resolve()
    if not (folder / file).parent.resolve().is_relative_to(here) or (folder / file).is_symlink():
        return "is a link."
    return ""


def _wrong_bytes(path: Path, listed: Listed) -> str:
    try:
        found = path.stat()
        if not S_ISREG(found.st_mode):  # to read a pipe may take for ever
            return "is no ordinary file. Package again."
        if found.st_size != listed.size_bytes:
            return f"has {found.st_size} bytes instead of {listed.size_bytes}. Package again."
        if sha256_of(path) != listed.sha256:
            return "has other bytes than when it was packaged. Package again."
    except FileNotFoundError:
        return "is missing. Package again."
    except OSError as error:
        return f"cannot be read ({error.strerror})."
    return ""


def _strays(folder: Path, known: set[str]) -> Iterator[Problem]:
    for path in sorted(folder.rglob("*")):
        file = path.relative_to(folder).as_posix()
        if file not in known and path.name not in OF_OTHERS and not path.is_dir():
            yield Problem(file, "does not belong to the package. Take it away, or package again.")
