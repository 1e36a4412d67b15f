"""Records of stock: what is said of a media, by whom, and what becomes of it for one agency."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal, Self

from dam_pipeline.records import Json, Media, Probe

Usage = Literal["", "commercial", "editorial"]


@dataclass(frozen=True, slots=True)
class Release:
    """A signed release: of a model or of a property, in the file at `path` (absolute)."""

    kind: Literal["model", "property"]
    path: str
    sha256: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where it was taken, in English names; `country_code` is ISO 3166-1 alpha-2."""

    city: str = ""
    region: str = ""
    country: str = ""
    country_code: str = ""


@dataclass(frozen=True, slots=True)
class StockRecord:
    """What is said of a media; None or empty where nobody said anything.

    A place without any part is what a person has emptied: then the camera's counts for nothing.
    `keywords` have the most important first. `category` is a name in any agency's list,
    `categories` one for single agencies by their id. `date` is ISO 8601; `people` how many are to be
    seen; `price_usd` a hint. Credit and copyright are of the whole media.
    """

    title: str = ""
    description: str = ""
    keywords: tuple[str, ...] = ()
    category: str = ""
    categories: Mapping[str, str] = field(default_factory=dict)
    usage: Usage = ""
    releases: tuple[Release, ...] = ()
    place: Place | None = None
    date: str = ""
    people: int | None = None
    is_generated: bool | None = None
    is_mature: bool | None = None
    is_illustration: bool | None = None
    price_usd: float | None = None
    creator: str = ""
    copyright: str = ""

    def to_json(self) -> dict[str, Json]:
        """All fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Json]) -> Self:
        """The record of what `to_json` gave; fields that are not there are empty."""
        values = dict(document)
        if "keywords" in values:
            values["keywords"] = tuple(values["keywords"])
        if "releases" in values:
            values["releases"] = tuple(Release(**one) for one in values["releases"])
        if values.get("place") is not None:
            values["place"] = Place(**values["place"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A value for a field of the record: whence (`probe`, `tags`, `transcript`, …), and how sure (0–1).

    `warning` tells what a model does not understand that had a say in it.
    """

    field: str
    value: Json
    source: str
    confidence: float
    evidence: str = ""
    warning: str = ""

    def to_json(self) -> dict[str, Json]:
        """The documented form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Item:
    """One media with everything that rules and packages look at.

    `said_by` tells by field who says what stands in the record: `person`, `file` (a person, in
    another program), or the source of a suggestion of facts. `uri` is where the master can be read
    now, empty where nowhere, `is_changed` whether it was written to since it was found; `faces` the
    most faces seen at once, None while nobody looked. `profile` is the codec's by ffprobe (`HQ`),
    `gamma` a camera's log curve, empty for an ordinary one. `trouble` is why nothing is known of the
    file although it was looked at.
    """

    media: Media
    uri: str
    probe: Probe
    sha256: str
    record: StockRecord
    said_by: Mapping[str, str]
    suggestions: tuple[Suggestion, ...] = ()
    faces: int | None = None
    profile: str = ""
    gamma: str = ""
    trouble: str = ""
    is_changed: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule says of an item: what is wrong, and what a person can do."""

    rule: str
    message: str
    fix: str = ""

    def to_json(self) -> dict[str, Json]:
        """The documented form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Fix:
    """What was changed of itself, so that the agency takes it; the person's record stays."""

    rule: str
    message: str
    before: str
    after: str

    def to_json(self) -> dict[str, Json]:
        """The documented form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Rendition:
    """How the deliverable is made from the master: its bytes copied, or streams and pixels anew.

    `how`: `copy` keeps all bytes but the metadata; `remux` keeps the streams and leaves sound out or
    changes the container; `transcode` encodes with the agency's `Transcode`. Sizes 0: as they are.
    Only what is encoded anew is deinterlaced, or brought from HDR to Rec. 709.
    """

    how: Literal["copy", "remux", "transcode"] = "copy"
    suffix: str = ""
    width: int = 0
    height: int = 0
    frame_rate: float = 0.0
    drop_audio: bool = False
    is_deinterlaced: bool = False
    is_toned: bool = False


@dataclass(frozen=True, slots=True)
class Submission:
    """An item as one agency gets it, after all fixes; `categories` are the agency's codes.

    What stands below `date` is as in the record.
    """

    file_name: str
    title: str
    description: str
    keywords: tuple[str, ...]
    categories: tuple[str, ...]
    usage: Usage
    rendition: Rendition
    releases: tuple[Release, ...] = ()
    place: Place | None = None
    date: str = ""
    people: int | None = None
    is_generated: bool | None = None
    is_mature: bool | None = None
    is_illustration: bool | None = None
    price_usd: float | None = None
    creator: str = ""
    copyright: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say of one item for one agency; with an error it is left out."""

    item: Item
    submission: Submission
    errors: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    fixes: tuple[Fix, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """The documented form of an entry of `dam stock check --json`."""
        return {
            "media_id": self.item.media.media_id,
            "errors": [one.to_json() for one in self.errors],
            "warnings": [one.to_json() for one in self.warnings],
            "fixes": [one.to_json() for one in self.fixes],
        }
