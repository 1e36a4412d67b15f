"""What a file's tags are, by exiftool. Values come numeric (-n), in groups (-G), structures whole."""

import json
from pathlib import Path
from typing import Any

from dam_pipeline.errors import UnreadableMedia
from dam_pipeline.formats import suffix_of
from dam_pipeline.media.exif_process import ExifProcess

ARGUMENTS = ["-G", "-n", "-struct", "-charset", "filename=utf8", "-api", "LargeFileSupport=1"]
LONGEST_VALUE = 2000  # characters of JSON; longer values are blobs in disguise
OF_THE_PLACE = (  # what exiftool says of the link and of itself, not of the file's content
    "SourceFile",
    "ExifTool:ExifToolVersion",
    "File:FileName",
    "File:Directory",
    "File:FileSize",
    "File:FileModifyDate",
    "File:FileAccessDate",
    "File:FileInodeChangeDate",
    "File:FilePermissions",
)

Tags = dict[str, Any]


class ExifReader:
    """Reads tags of files; one request at a time, from any thread."""

    def __init__(self) -> None:
        self._exiftool = ExifProcess(ARGUMENTS)

    def close(self) -> None:
        """End exiftool and remove its links."""
        self._exiftool.close()

    @property
    def pid(self) -> int | None:
        """Process id of the running exiftool, if there is one."""
        return self._exiftool.pid

    def read(self, path: Path) -> Tags:
        """The file's tags without those of its place; raises UnreadableMedia, ConfigurationError.

        What exiftool finds wrong with the file is in `ExifTool:Error`.
        """
        with self._exiftool.link(path, suffix_of(path.name) or "bin") as link:
            (output,), _ = self._exiftool.run(["-j", str(link)])
        try:
            found = json.loads(output) if output.strip() else []
        except ValueError as error:
            raise UnreadableMedia(
                f"has tags that exiftool could not read ({error}). Look at the file with exiftool."
            ) from error
        return _cleaned(found[0]) if found else {}


def _cleaned(tags: Tags) -> Tags:
    """The tags without the file's place, binary values and blobs."""
    return {
        name: value
        for name, value in tags.items()
        if name not in OF_THE_PLACE and not _is_blob(value)
    }


def _is_blob(value: Any) -> bool:
    if isinstance(value, str) and value.startswith("(Binary data "):
        return True
    return len(str(value)) > LONGEST_VALUE
