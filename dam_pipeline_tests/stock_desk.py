"""Real masters in a home of their own, and verdicts on them written by hand, for tests of packages."""

import hashlib
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pillow_heif
from PIL import Image

from dam_pipeline.agencies.agency import (
    Agency,
    Column,
    MediaRules,
    TableRules,
    Transcode,
    TransportRules,
)
from dam_pipeline.records import MediaKind
from dam_pipeline.settings import Settings
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stock.items import load_items
from dam_pipeline.stock.record import Item, Rendition, Submission, Verdict
from dam_pipeline_tests.clips import encode, exiftool, place, shots, tone
from dam_pipeline_tests.drawings import add

COLUMNS = {
    "Filename": "file_name",
    "Title": "title",
    "Description": "description",
    "Keywords": "keywords",
}
PRORES = Transcode("mov", "prores_ks", "yuv422p10le", ("-profile:v", "3", "-vendor", "apl0"))
AGENCY = Agency(
    id="made",
    name="Made Agency",
    version="1",
    verified_on="2026-11-21",
    sources=(),
    confidence="A",
    media={
        MediaKind.IMAGE: MediaRules(MediaKind.IMAGE, transcode=Transcode("jpg")),
        MediaKind.VIDEO: MediaRules(
            MediaKind.VIDEO, codecs=("prores hq", "h264"), transcode=PRORES
        ),
    },
    table=TableRules(columns=tuple(Column(*pair) for pair in COLUMNS.items())),
    transport=TransportRules(("file",), folders={"video": "clips"}),
    human_steps=("Look at everything once more.",),
)
TITLE = 'Noon, "the" sea – 😀 שלום'
WORDS = ("sea", "blue & calm", "été", "😀")


@dataclass(frozen=True)
class Desk:
    """A home whose masters were probed, hashed and have posters; `items` by first name."""

    settings: Settings
    originals: Path
    items: Mapping[str, Item]

    def verdict(self, name: str, file_name: str = "", **said: Any) -> Verdict:
        """A verdict without errors; `said` are fields of the submission."""
        item = self.items[name]
        file_name = file_name or f"{Path(name).stem}_1{Path(name).suffix}"
        words = {
            "title": f"{TITLE} {Path(name).stem}",
            "description": "Two\nlines, one with “quotes”",
            "keywords": WORDS,
            "categories": (),
            "usage": "commercial",
            "rendition": Rendition(),
        }
        return Verdict(item, Submission(file_name, **(words | said)))

    def verdicts(self, *names: str) -> list[Verdict]:
        """Verdicts on masters that are copied."""
        return [self.verdict(name) for name in names or sorted(self.items)]

    def opened(self) -> Any:
        """The tools of the home."""
        return Toolbox.open(self.settings)


def make_desk(folder: Path) -> Desk:
    """Three photographs, one of them HEIC, and two clips with sound."""
    originals = folder / "originals"
    originals.mkdir(parents=True)
    pillow_heif.register_heif_opener()
    camera = ("-Make=Maker", "-Model=One", "-DateTimeOriginal=2024:05:06 07:08:09")
    for seed, name in enumerate(("cliff.jpg", "harbour.jpg", "heath.heic")):
        Image.fromarray(place(seed, 320, 180)).save(originals / name, quality=92)
        exiftool(*camera, originals / name)
    sound = ("-i", tone(folder / "tone.wav", 2.0))
    for name in ("wave.mov", "wind.mkv"):
        frames = shots([25, 25] if name == "wave.mov" else [30, 20])
        encode(originals / name, frames, "-c:a", "aac", inputs=sound)
    return desk_of(Settings(home=folder / "home"), originals)


def desk_of(settings: Settings, originals: Path) -> Desk:
    """The desk of a new home with what lies in a folder."""
    with Toolbox.open(settings) as tools:
        media = add(tools, originals, ("checksum", "probe", "poster"))
        items = load_items(tools, media)
    return Desk(settings, originals, {one.media.first_name: one for one in items})


def agency(**changes: Any) -> Agency:
    """The agency of these tests with some fields changed."""
    return replace(AGENCY, **changes)


def state_of(folder: Path) -> dict[str, tuple[str, int, int]]:
    """All files below a folder: hash, time of the last change, links."""
    return {
        path.relative_to(folder).as_posix(): (digest(path), *_times(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _times(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_ino


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def said(path: Path, tag: str) -> str:
    """A tag's value by a new exiftool, entries of lists on lines of their own."""
    command = ["exiftool", "-b", "-sep", "\n", f"-{tag}", path]
    return subprocess.run(command, capture_output=True, check=True).stdout.decode()
