"""The sample library as files: `python -m dam_pipeline.samples.library FOLDER`.

Here belongs which module makes which file. What the files hold is in `contents`.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from dam_pipeline.samples import clips, photographs, speech
from dam_pipeline.samples.contents import CONTENTS, SampleFile

MADE_AT = datetime(2026, 7, 1, 12, tzinfo=UTC)
"""Modification time of every file: long past, so that no file counts as still being written."""


def list_library(folder: Path) -> list[SampleFile]:
    """The files of the library as they lie in `folder`, made or not."""
    return [replace(sample, folder=folder.absolute()) for sample in CONTENTS]


def make_library(
    folder: Path, progress: Callable[[SampleFile], None] | None = None
) -> list[SampleFile]:
    """Make what is missing of the library in `folder`; the same bytes each time on one machine.

    `progress` is called before each file that is made. A file is whole or not there at all.
    Raises ConfigurationError when a tool that makes a file is missing.
    """
    library = list_library(folder)
    for sample in library:
        if not sample.path.exists():
            if progress:
                progress(sample)
            _make(sample)
    return library


def _make(sample: SampleFile) -> None:
    sample.path.parent.mkdir(parents=True, exist_ok=True)
    # Hidden, and of the same ending: tools tell the format by it, scanners leave it out.
    part = sample.path.with_name(f".part-{sample.path.name}")
    try:
        make = _MAKERS.get(sample.name) or _MAKERS[sample.path.parent.name]
        make(sample, part)
        os.utime(part, (MADE_AT.timestamp(), MADE_AT.timestamp()))
        part.replace(sample.path)
    finally:
        part.unlink(missing_ok=True)


def _make_interview(sample: SampleFile, target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "speech.wav"
        speech.write_speech(sample.said, sample.duration_s, sound)
        clips.write_cuts(sample, target, ("-i", str(sound)))


def _make_truncated(sample: SampleFile, target: Path) -> None:
    whole = _original(sample).read_bytes()
    target.write_bytes(whole[: len(whole) // 3])


def _original(sample: SampleFile) -> Path:
    return sample.folder / str(sample.copy_of)


_MAKERS: dict[str, Callable[[SampleFile, Path], None]] = {
    "clips/reel.mp4": lambda sample, target: clips.write_cuts(sample, target, clips.TONE),
    "clips/reel-for-web.mp4": lambda sample, target: clips.write_web_copy(
        _original(sample), target
    ),
    "clips/watch.mp4": clips.write_watch,
    "clips/silent.mp4": lambda sample, target: clips.write_cuts(sample, target, clips.SILENCE),
    "clips/interview.mp4": _make_interview,
    "broken/truncated.mp4": _make_truncated,
    "broken/empty.mp4": lambda _, target: target.touch(),
    "clips": clips.write_cuts,
    "photos": photographs.write_photograph,
    "faces": photographs.write_portrait,
    "sound": speech.write_memo,
}
"""Name of a file, or of its folder for all others in it → what makes it."""


def main() -> None:
    """Make the library in the folder given on the command line and list it."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("Usage: python -m dam_pipeline.samples.library FOLDER")
    for sample in make_library(Path(sys.argv[1])):
        print(f"{sample.path}  {sample.what}")


if __name__ == "__main__":
    main()
