"""Writing tags into files of ours with exiftool, and reading them back word for word.

Values go as HTML entities (-E), one a line: the one form of exiftool's that keeps line ends, leading
and trailing blanks, `#`, and what `-json=` takes for base64. The file that the tags come into
appears under its name when it is whole; the same source and tags give the same bytes.
"""

import itertools
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dam_pipeline.errors import DamError, DiskFull, UnreadableMedia, UnsupportedMedia
from dam_pipeline.formats import suffix_of
from dam_pipeline.media.exif_process import TIMEOUT_S, ExifProcess

ARGUMENTS = (
    *("-struct", "-charset", "filename=utf8", "-charset", "exif=utf8"),
    *("-api", "LargeFileSupport=1"),
    # Else IPTC is cut at the lengths of 1991, and of an XMP list only 1,000 entries are read.
    "-m",
)
MARK = "_"  # before each value: else "1.10" comes as a number, "TRUE" as a boolean
READING = ("-j", "-G1", "-e", "-fast", "-api", f"Filter=s/^/{MARK}/")
SLOWEST_BYTES_S = 5_000_000  # a slower disk than this counts as hung
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;/()_+*-")
WRITABLE = frozenset(
    (
        *("jpg", "jpe", "jpeg", "tif", "tiff", "png", "heic", "heif", "hif", "avif", "xmp"),
        *("dng", "arw", "cr2", "cr3", "nef", "orf", "pef", "raf", "rw2", "srw"),
        *("mov", "qt", "mp4", "m4v", "m4a", "3gp", "3g2"),
    )
)
"""Suffixes of the files that exiftool 12.57 can write tags into."""

Value = str | Sequence[str]


def can_write(suffix: str) -> bool:
    """Whether tags can be written into files of this suffix (without a dot)."""
    return suffix.lower() in WRITABLE


class ExifWriter:
    """Writes and reads tags; one request at a time, from any thread. Use as a context manager.

    Tags are named with their group, as `XMP-dc:Title`; a list has one entry a keyword.
    """

    def __init__(self) -> None:
        self._exiftool = ExifProcess(ARGUMENTS)
        self._parts = itertools.count()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End exiftool."""
        self._exiftool.close()

    @property
    def pid(self) -> int | None:
        """Process id of the running exiftool, if there is one."""
        return self._exiftool.pid

    def write(
        self,
        source: Path | None,
        target: Path,
        tags: Mapping[str, Value],
        before: Sequence[str] = (),
        original: Path | None = None,
    ) -> dict[str, Any]:
        """Make `target` from `source` with these tags, and read them back, as `read` does.

        The two may be one file of ours.

        Without a source, an XMP file is made of the tags alone. An empty value takes a tag away;
        all others of the file stay. `before` are arguments of exiftool that come first, such as
        those that copy tags out of `original`, which stands for `@` in them.

        Raises UnsupportedMedia for a kind of file that cannot be written, UnreadableMedia when
        exiftool refuses it, DiskFull; then `target` is as it was.
        """
        suffix = suffix_of(target.name)
        if not can_write(suffix):
            raise UnsupportedMedia(
                f"{target.name}: tags cannot be written into .{suffix} files. Choose another form."
            )
        part = target.with_name(f".{os.getpid()}-{id(self)}-{next(self._parts)}.{suffix}")
        try:
            found = self._make(source, part, tags, before, original)
            os.replace(part, target)
            return found
        finally:
            part.unlink(missing_ok=True)
            part.with_name(f"{part.name}_exiftool_tmp").unlink(missing_ok=True)

    def read(self, path: Path, names: Iterable[str]) -> dict[str, Any]:
        """The values of these tags, by group and name, that the file has; all of them are text.

        A name may be a group's, as `XMP-dc:all`. Raises UnreadableMedia, ConfigurationError.
        """
        with self._exiftool.link(path, suffix_of(path.name) or "bin") as link:
            (output,), errors = self._exiftool.run(_reading(names, link))
        return _found(output, errors, path)

    def _make(
        self,
        source: Path | None,
        part: Path,
        tags: Mapping[str, Value],
        before: Sequence[str],
        original: Path | None,
    ) -> dict[str, Any]:
        suffix = suffix_of(part.name)
        links = self._exiftool
        size_bytes = source.stat().st_size if source else 0
        with (
            links.link(part.parent) as folder,
            links.link(source or part, suffix) as origin,
            links.link(original or source or part) as at,
        ):
            there = folder / part.name
            places = ["-o", str(there), str(origin)] if source else [str(there)]
            first = [str(at) if one == "@" else one for one in before]
            (_, output), errors = links.run(
                ["-E", *first, *assignments(tags), *places],
                _reading(tags, there),
                timeout_s=TIMEOUT_S + size_bytes / SLOWEST_BYTES_S,
            )
        if not part.exists():
            raise _refusal(part, errors)
        return _found(output, errors, part)


def _reading(names: Iterable[str], path: Path) -> list[str]:
    return [*READING, *(f"-{name}" for name in names), str(path)]


def _found(output: str, errors: str, path: Path) -> dict[str, Any]:
    """The values in exiftool's JSON."""
    try:
        found: dict[str, Any] = json.loads(output)[0]
    except (ValueError, LookupError) as error:
        words = errors.strip() or "no answer"
        raise UnreadableMedia(f"{path.name}: exiftool cannot read it ({words}).") from error
    return {name: _unmarked(value) for name, value in found.items() if name != "SourceFile"}


def assignments(tags: Mapping[str, Value]) -> Iterable[str]:
    """The arguments that set the tags; one that has no value is taken away."""
    for name, value in tags.items():
        entries = [value] if isinstance(value, str) else value
        yield from (f"-{name}={_escaped(entry)}" for entry in entries or [""])


def _unmarked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unmarked(one) for one in value]
    if isinstance(value, dict):
        return {name: _unmarked(one) for name, one in value.items()}
    return str(value).removeprefix(MARK)


def _escaped(text: str) -> str:
    return "".join(one if one in PLAIN else f"&#{ord(one)};" for one in text)


def _refusal(part: Path, errors: str) -> DamError:
    lines = [one.strip() for one in errors.splitlines() if one.strip()]
    words = next((one for one in lines if "Error" in one), lines[-1] if lines else "no reason")
    words = words.partition("Error: ")[2] or words
    if "No space left" in errors:
        return DiskFull(f"No room left on the disk of {part.parent}. Free some space, then go on.")
    return UnreadableMedia(
        f"exiftool does not write tags into it ({words.rpartition(' - ')[0] or words})."
    )
