"""Where the sidecar of an original is: beside it, by the names that programs give, or in a folder.

digiKam and darktable add to the whole name (`IMG_1.NEF.xmp`), Lightroom, Bridge and Capture One put
`.xmp` in the place of the ending (`IMG_1.xmp`). The one that is there is used, so that two programs
do not write two. A short name belongs to the one raw photograph among files that share it, else to
the only file: the sidecar of another is never taken.
"""

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes

from dam_pipeline.buckets import SCHEME
from dam_pipeline.errors import ConfigurationError, SourceUnavailable
from dam_pipeline.formats import RAW, kind_of_name, suffix_of
from dam_pipeline.identity import uri_to_path
from dam_pipeline.settings import SidecarNames

FOLDER = "sidecars"
SUFFIX = ".xmp"
LONGEST_NAME_BYTES = 255


class Naming:
    """Finds sidecars; looks into each folder once."""

    def __init__(self, names: SidecarNames) -> None:
        self._names = names
        self._known: dict[Path, dict[str, list[str]]] = {}

    def beside(self, uri: str) -> Path:
        """The sidecar beside an original, also one that is not there yet.

        Raises ConfigurationError for one in a bucket, SourceUnavailable where it is nowhere.
        """
        if uri.startswith(SCHEME):
            raise ConfigurationError(
                f"{uri}: sidecars are not written into buckets. Give a folder: --out DIR."
            )
        if not uri or not (original := uri_to_path(uri)).exists():
            raise SourceUnavailable(
                "is at none of its known places. Bring it back, or give a folder: --out DIR."
            )
        full = original.with_name(original.name + SUFFIX)
        short = original.with_name(original.name.rpartition(".")[0] + SUFFIX)
        if not self._has_short(original):
            return self._as_written(full) or full
        order = (short, full) if self._names == "short" else (full, short)
        there = (found for one in order if (found := self._as_written(one)))
        return next(there, order[0])

    def _has_short(self, original: Path) -> bool:
        """Whether the short name is this file's."""
        sharing = [one for one in self._like(original) if kind_of_name(one)]
        raws = [one for one in sharing if suffix_of(one) in RAW]
        return sharing == [original.name] or raws == [original.name]

    def _as_written(self, path: Path) -> Path | None:
        """The file of this name as it is there, whatever its case (`IMG_1.XMP`)."""
        if path.exists():
            return path
        like = [one for one in self._like(path) if one.casefold() == path.name.casefold()]
        # `a.JPG.xmp` is that of an `a.JPG`, where there are both that and `a.jpg`.
        own = [
            one for one in like if one[:-4] == path.stem or not path.with_name(one[:-4]).exists()
        ]
        return path.with_name(own[0]) if own else None

    def _like(self, path: Path) -> list[str]:
        """The names in its folder that differ in their ending only."""
        folder = path.parent
        if folder not in self._known:
            known: dict[str, list[str]] = {}
            for name in sorted(os.listdir(folder)):
                known.setdefault(_stem(name), []).append(name)
            self._known[folder] = known
        return self._known[folder].get(_stem(path.name), [])


def below(folder: Path, uri: str, key: str) -> Path:
    """The sidecar of an original in a folder, at its path from the root: no two have the same.

    It is named by the partition key where the original is nowhere, or its name has no room for more.
    """
    path = uri.replace("://", "/")
    if uri.startswith("file://"):
        path = os.fsdecode(unquote_to_bytes(uri.removeprefix("file://")))
    *parts, name = [part for part in path.split("/") if part not in ("", ".", "..")] or [""]
    is_usable = name and len(os.fsencode(name + SUFFIX)) <= LONGEST_NAME_BYTES
    return folder.joinpath(*parts, (name if is_usable else key) + SUFFIX)


def _stem(name: str) -> str:
    return name.rpartition(".")[0].casefold()
