"""What the sample library holds: every file, with the truth that a person or a test can check.

Here belong the facts alone. How the files come to be is in `library` and the modules it calls.
"""

from dataclasses import dataclass
from pathlib import Path

from dam_pipeline.records import MediaKind
from dam_pipeline.samples.drawing import Scene


@dataclass(frozen=True, slots=True)
class Shown:
    """A drawn scene and the span in which it is in view."""

    scene: Scene
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Said:
    """A spoken sentence and when it begins."""

    text: str
    start_s: float


@dataclass(frozen=True, slots=True)
class Taken:
    """What a camera would write: `at` is ISO 8601 with an offset, `gps` (lat, lon) in degrees."""

    camera: str
    lens: str
    at: str
    gps: tuple[float, float]
    orientation: int = 1
    title: str = ""
    keywords: tuple[str, ...] = ()
    rating: int = 0


@dataclass(frozen=True, slots=True)
class SampleFile:
    """One file of the library and what is true of it; `name` is relative to the library's folder."""

    name: str
    what: str
    kind: MediaKind
    folder: Path = Path()
    duration_s: float = 0.0
    has_audio: bool = False
    shown: tuple[Shown, ...] = ()
    said: tuple[Said, ...] = ()
    taken: Taken | None = None
    copy_of: str | None = None
    """Name of the file whose content this one shares, changed."""
    person: str | None = None
    is_readable: bool = True

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return self.folder / self.name

    @property
    def cuts_s(self) -> tuple[float, ...]:
        """Times at which one scene is cut to the next."""
        pairs = zip(self.shown, self.shown[1:], strict=False)
        return tuple(after.start_s for before, after in pairs if before.end_s == after.start_s)


def _cut_together(*shots: tuple[float, Scene]) -> tuple[Shown, ...]:
    """Scenes one after another, each for its seconds."""
    shown: list[Shown] = []
    for seconds, scene in shots:
        start = shown[-1].end_s if shown else 0.0
        shown.append(Shown(scene, start, start + seconds))
    return tuple(shown)


def _still(scene: Scene) -> tuple[Shown, ...]:
    return (Shown(scene, 0.0, 0.0),)


CAMERA, LENS = "Drawn One", "Drawn 35mm F2"
HARBOUR, HILL = (59.9075, 10.7522), (59.9622, 10.6675)

_REEL = _cut_together(
    (2.5, Scene(2, "blue", "square", "yellow")),
    (2.0, Scene(1, "red", "circle", "white")),
    (3.0, Scene(3, "green", "star", "black")),
    (2.0, Scene(1, "orange", "triangle", "blue")),
    (2.5, Scene(2, "black", "square", "orange")),
)
_ORCHESTRA = "Yesterday the orchestra played a symphony in the old railway station."
_VISITOR = Scene(1, "yellow", "triangle", "blue")

_CLIPS = (
    SampleFile(
        "clips/reel.mp4",
        "five drawn shots with a tone",
        MediaKind.VIDEO,
        duration_s=12.0,
        has_audio=True,
        shown=_REEL,
    ),
    SampleFile(
        "clips/reel-for-web.mp4",
        "the reel again: cropped, smaller, re-encoded",
        MediaKind.VIDEO,
        duration_s=12.0,
        has_audio=True,
        shown=_REEL,
        copy_of="clips/reel.mp4",
    ),
    SampleFile(
        "clips/watch.mp4",
        "long and uncut: a yellow triangle comes and goes, twice",
        MediaKind.VIDEO,
        duration_s=200.0,
        shown=(Shown(_VISITOR, 60.0, 75.0), Shown(_VISITOR, 150.0, 162.0)),
    ),
    SampleFile(
        "clips/mute.mp4",
        "two shots, no audio stream",
        MediaKind.VIDEO,
        duration_s=4.5,
        shown=_cut_together(
            (2.0, Scene(1, "yellow", "star", "black")),
            (2.5, Scene(3, "white", "circle", "green")),
        ),
    ),
    SampleFile(
        "clips/silent.mp4",
        "two shots, an audio stream of pure silence",
        MediaKind.VIDEO,
        duration_s=5.0,
        has_audio=True,
        shown=_cut_together(
            (2.5, Scene(2, "red", "triangle", "white")),
            (2.5, Scene(1, "blue", "circle", "yellow")),
        ),
    ),
    SampleFile(
        "clips/interview.mp4",
        "two shots with speech",
        MediaKind.VIDEO,
        duration_s=12.0,
        has_audio=True,
        shown=_cut_together(
            (6.0, Scene(2, "white", "star", "red")),
            (6.0, Scene(3, "green", "square", "orange")),
        ),
        said=(
            Said(_ORCHESTRA, 0.5),
            Said("The fishermen come home before the storm.", 7.0),
        ),
    ),
)
_PHOTOGRAPHS = (
    SampleFile(
        "photos/IMG_1001.jpg",
        "photograph with EXIF, GPS, title, keywords and rating",
        MediaKind.IMAGE,
        shown=_still(Scene(3, "orange", "circle", "blue")),
        taken=Taken(
            CAMERA,
            LENS,
            "2026-03-14T09:26:53+01:00",
            HARBOUR,
            title="Buoys",
            keywords=("buoys", "harbour"),
            rating=4,
        ),
    ),
    SampleFile(
        "photos/IMG_1002.jpg",
        "two seconds later, nearly the same picture",
        MediaKind.IMAGE,
        shown=_still(Scene(3, "orange", "circle", "blue")),
        taken=Taken(CAMERA, LENS, "2026-03-14T09:26:55+01:00", HARBOUR),
        copy_of="photos/IMG_1001.jpg",
    ),
    SampleFile(
        "photos/IMG_1003.jpg",
        "upright photograph that is stored lying (orientation 6)",
        MediaKind.IMAGE,
        shown=_still(Scene(1, "green", "triangle", "white")),
        taken=Taken(CAMERA, LENS, "2026-03-15T17:02:10+01:00", HILL, orientation=6),
    ),
    SampleFile(
        "photos/IMG_1004.heic",
        "HEIC with EXIF",
        MediaKind.IMAGE,
        shown=_still(Scene(2, "yellow", "square", "black")),
        taken=Taken("Drawn Phone", "Drawn 6mm F1.8", "2026-07-01T20:15:00+02:00", HILL),
    ),
)
_FACES = tuple(
    SampleFile(
        f"faces/{name}",
        what,
        MediaKind.IMAGE,
        copy_of=None if name == "astronaut.jpg" else "faces/astronaut.jpg",
        person="astronaut",
    )
    for name, what in (
        ("astronaut.jpg", "a person's portrait (NASA, public domain)"),
        ("astronaut-mirrored.png", "the same portrait mirrored"),
        ("astronaut-cropped.jpg", "the same portrait cropped around the head"),
        ("astronaut-brighter.webp", "the same portrait brighter"),
        ("astronaut-small.jpg", "the same portrait at half the size"),
    )
)
_SOUND = (
    SampleFile(
        "sound/memo.flac",
        "spoken memo that shares a sentence with the interview",
        MediaKind.AUDIO,
        duration_s=12.0,
        has_audio=True,
        said=(
            Said(_ORCHESTRA, 1.0),
            Said("The penguin is waiting at the railway station with a suitcase.", 6.5),
        ),
    ),
)
_BROKEN = (
    SampleFile(
        "broken/truncated.mp4",
        "the first third of the reel's bytes, as a broken copy leaves them",
        MediaKind.VIDEO,
        copy_of="clips/reel.mp4",
        is_readable=False,
    ),
    SampleFile("broken/empty.mp4", "0 bytes", MediaKind.VIDEO, is_readable=False),
)

CONTENTS: tuple[SampleFile, ...] = (*_CLIPS, *_PHOTOGRAPHS, *_FACES, *_SOUND, *_BROKEN)
"""The library, in an order in which every copy comes after its original."""
