"""Plain records that cross module borders. Spans are half-open seconds; boxes are 0–1 (x, y, w, h).

No behaviour beyond construction from and to JSON; tables of the same things are in `schemas`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal, Self

Json = Any  # what `json.loads` gives; its form is the documented one of the place
Box = tuple[float, float, float, float]
Transition = Literal["start", "cut", "dissolve", "fade"]  # how a shot begins

ESSENCE = (
    *("kind", "container", "duration_s", "width", "height", "rotation_deg", "orientation"),
    *("has_video", "has_audio", "frame_rate", "is_variable_frame_rate", "codecs"),
    *("pixel_format", "bit_depth", "colour_transfer", "colour_primaries", "is_hdr"),
    *("is_interlaced", "video_streams", "audio_streams"),
)


class MediaKind(StrEnum):
    """What a file is, by its streams; before the probe, by its name."""

    VIDEO = "video"
    IMAGE = "image"
    AUDIO = "audio"


class State(StrEnum):
    """State of one stage on one media file (design: states)."""

    NEVER = "never"
    STALE = "stale"
    RUNNING = "running"
    DONE = "done"
    EMPTY = "empty"
    FAILED = "failed"
    BLOCKED = "blocked"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Media:
    """One content identity. `sidecar_version` changes with the sidecars, never with places."""

    media_id: str
    partition_key: str
    kind: MediaKind
    size_bytes: int
    first_name: str
    asset_id: str
    superseded_by: str | None = None
    sidecar_version: str = ""


@dataclass(frozen=True, slots=True)
class Location:
    """A place where a media was seen; `missing_since` (ISO 8601, UTC) once it is gone."""

    uri: str
    media_id: str
    size_bytes: int
    mtime_ns: int
    source: str = ""
    first_seen: str = ""
    last_seen: str = ""
    missing_since: str | None = None


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model as provenance names it; `weights_sha256` is 64 hex digits."""

    name: str
    revision: str
    weights_sha256: str


@dataclass(frozen=True, slots=True)
class Probe:
    """What a file says of itself. Sizes are upright pixels; `gps` is (lat, lon) in degrees."""

    kind: MediaKind
    container: str
    duration_s: float
    size_bytes: int
    width: int
    height: int
    rotation_deg: int
    has_video: bool
    has_audio: bool
    frame_rate: float
    is_variable_frame_rate: bool
    codecs: tuple[str, ...]
    created_at: str | None = None
    camera: str | None = None
    lens: str | None = None
    gps: tuple[float, float] | None = None
    orientation: int = 1
    pixel_format: str | None = None
    bit_depth: int | None = None
    colour_transfer: str | None = None
    colour_primaries: str | None = None
    is_hdr: bool = False
    is_interlaced: bool = False
    timecode: str | None = None
    video_streams: int = 0
    audio_streams: int = 0
    audio_channels: int = 0
    sample_rate_hz: int = 0
    title: str | None = None
    keywords: tuple[str, ...] = ()
    rating: float | None = None
    face_regions: tuple[Mapping[str, Json], ...] = ()
    raw: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """All fields; `gps` as {lat, lon} or null."""
        document = asdict(self)
        document["gps"] = {"lat": self.gps[0], "lon": self.gps[1]} if self.gps else None
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Json]) -> Self:
        """The record of what `to_json` gave."""
        values = dict(document)
        gps = values.get("gps")
        values["gps"] = (gps["lat"], gps["lon"]) if gps else None
        values["kind"] = MediaKind(values["kind"])
        for name in ("codecs", "keywords", "face_regions"):
            values[name] = tuple(values.get(name) or ())
        return cls(**values)

    @property
    def has_picture(self) -> bool:
        """Whether there is anything to see: a video stream, or the photograph itself."""
        return self.has_video or self.kind is MediaKind.IMAGE

    @property
    def essence(self) -> dict[str, Json]:
        """The fields that decide what decoding gives; words, places and ratings are not in it."""
        document = self.to_json()
        return {name: document[name] for name in ESSENCE}


@dataclass(frozen=True, slots=True)
class Boundary:
    """A new shot begins at `time_s`, in the middle of a transition that lasts `transition_s`."""

    time_s: float
    transition: Transition
    transition_s: float = 0.0

    @property
    def start_s(self) -> float:
        """When the transition begins."""
        return self.time_s - self.transition_s / 2

    @property
    def end_s(self) -> float:
        """When the transition has ended."""
        return self.time_s + self.transition_s / 2


@dataclass(frozen=True, slots=True)
class Shot:
    """An unbroken run of frames.

    `transition` says how it begins; a dissolve or fade lasts `transition_s`, `start_s` its middle.
    """

    start_s: float
    end_s: float
    transition: Transition = "start"
    transition_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Keyframe:
    """A stored picture and the span it stands for; `path` is relative to the media's folder.

    `shot` is the shot's index. `sharpness` (variance of the Laplacian) and `exposure` (mean luma,
    0–1) are of the stored picture; `why` says what earned it its place.
    """

    shot: int
    time_s: float
    start_s: float
    end_s: float
    path: str
    width: int
    height: int
    sharpness: float
    exposure: float
    is_hero: bool
    why: str


@dataclass(frozen=True, slots=True)
class Print:
    """The fingerprint of a span of pictures; of a photograph, with times 0.0.

    `luma` (16 × 16) and `chroma` (Cb, then Cr, 4 × 4 each) are rows of bytes in base64; `detail`
    (0–1) is how much the picture says: one flat colour has 0.
    """

    start_s: float
    end_s: float
    luma: str
    chroma: str
    detail: float


@dataclass(frozen=True, slots=True)
class Look:
    """Result of one decoding pass over the pictures of a file.

    `partial` says why reading ended early and how much was read, or is empty. Keyframe paths are
    relative to the folder that the pass was told to write into.
    """

    shots: tuple[Shot, ...]
    keyframes: tuple[Keyframe, ...]
    frames: int
    width: int
    height: int
    duration_s: float
    partial: str = ""
    prints: tuple[Print, ...] = ()


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """Decoded sound: mono float32 little-endian samples in the file at `path`."""

    path: str
    sample_rate_hz: int
    samples: int
    partial: str = ""


@dataclass(frozen=True, slots=True)
class Face:
    """A face in a keyframe: box and the five landmarks (eyes, nose, mouth corners) in 0–1."""

    box: Box
    confidence: float
    landmarks: tuple[tuple[float, float], ...]
    vector: Any  # float32 array of length 1 and the recogniser's dimension


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word."""

    start_s: float
    end_s: float
    text: str
    probability: float


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech on the file's own time axis."""

    start_s: float
    end_s: float
    text: str
    language: str
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Space:
    """An embedding space: vectors are comparable only within one.

    `name` holds the weights' hash. `text_floor`, `image_floor`: cosines below which a text or a
    picture is taken as absent; `alike_floor`: at which two files get an edge (for faces: are one
    person). `warning` tells what the model does not understand, or is empty.
    """

    name: str
    kind: str
    dimension: int
    text_floor: float = 0.0
    image_floor: float = 0.0
    alike_floor: float = 0.0
    warning: str = ""


@dataclass(frozen=True, slots=True)
class StageRow:
    """The last outcome of a stage on a media, as the catalogue indexes it.

    `data_version` is a hash of the result's content, `inputs` the data versions it was made from.
    `updated_at` is ISO 8601 in UTC. Leases are kept apart: a kill leaves the last outcome standing.
    """

    media_id: str
    stage: str
    state: State
    reason: str = ""
    retryable: bool = False
    attempts: int = 0
    code_version: str = ""
    model: str = ""
    weights_sha256: str = ""
    settings_hash: str = ""
    data_version: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    run_id: str = ""
    updated_at: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What search filters on, copied from the probe into the catalogue."""

    media_id: str
    kind: MediaKind
    duration_s: float
    has_audio: bool
    created_at: str | None
    camera: str | None


@dataclass(frozen=True, slots=True)
class Filters:
    """Which media a search may answer with; None or empty means no limit.

    `path` is a glob over the address's decoded path; `after` and `before` are ISO 8601 prefixes
    compared with the recording date; durations are seconds, both ends included; `tags` are ids or
    names in any language, all of which a media must carry.
    """

    kinds: tuple[MediaKind, ...] = ()
    path: str = ""
    after: str = ""
    before: str = ""
    camera: str = ""
    has_audio: bool | None = None
    min_duration_s: float | None = None
    max_duration_s: float | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Provenance:
    """What made a result: model (of the recogniser or the speech model), code, settings, inputs.

    `inputs` maps stage names to data versions, `also` holds helper models such as detectors.
    `original_sha256` (64 hex digits) is that of the original's bytes, empty until it is known.
    """

    code_version: str
    settings_hash: str
    settings: Mapping[str, Json]
    run_id: str
    when: str
    seconds: float
    inputs: Mapping[str, str]
    model: str = ""
    revision: str = ""
    weights_sha256: str = ""
    also: tuple[ModelRef, ...] = ()
    original_sha256: str = ""

    def to_json(self) -> dict[str, Json]:
        """All fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Json]) -> Self:
        """The record of what `to_json` gave."""
        also = tuple(ModelRef(**one) for one in document.get("also", ()))
        return cls(**{**document, "also": also})


@dataclass(frozen=True, slots=True)
class StoredOutcome:
    """What the outcome file of a stage holds; its rows, if any, are in the table beside it."""

    media_id: str
    stage: str
    state: State
    reason: str
    retryable: bool
    attempts: int
    result: Mapping[str, Json]
    rows: int
    data_version: str
    provenance: Provenance
