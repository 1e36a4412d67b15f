"""An agency's specification as records: what it takes, how it wants it described and delivered.

Zero, an empty text or an empty tuple means that no rule is known; sizes are pixels of the picture
upright, durations seconds, lengths characters.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dam_pipeline.records import MediaKind

Confidence = Literal["A", "B", "C"]
"""A: the agency's own page; B: several sources that do not depend on each other; C: one other."""

Scheme = Literal["sftp", "ftps", "ftp", "s3", "file"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a part of a specification comes from.

    `what` names fields of `Agency` that it tells of; `where` is an address, or words.
    """

    what: tuple[str, ...]
    where: str
    read_on: str  # ISO 8601 date
    confidence: Confidence
    note: str = ""


@dataclass(frozen=True, slots=True)
class TextRules:
    """How long a title or a description may be, and what may not stand in it.

    `forbidden` holds single characters. `is_unique`: no two items may have the same.
    """

    is_required: bool = False
    is_unique: bool = False
    min_length: int = 0
    max_length: int = 0
    advised_min: int = 0
    advised_max: int = 0
    forbidden: str = ""


@dataclass(frozen=True, slots=True)
class KeywordRules:
    """How many keywords an agency takes, and of which form."""

    min_count: int = 0
    max_count: int = 0
    advised_min: int = 0
    advised_max: int = 0
    max_length: int = 0  # of one keyword
    forbidden: str = ""


@dataclass(frozen=True, slots=True)
class Category:
    """One category: what stands in the table, its name, and other words that people use for it."""

    code: str
    name: str
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CategoryRules:
    """The agency's list of categories and how many of them an item needs and may have."""

    min_count: int = 0
    max_count: int = 1
    known: tuple[Category, ...] = ()


@dataclass(frozen=True, slots=True)
class FileNameRules:
    """What a delivered file may be called; `allowed` is a character class such as `A-Za-z0-9_`."""

    max_length: int = 0  # with the extension
    allowed: str = "A-Za-z0-9_"


@dataclass(frozen=True, slots=True)
class Transcode:
    """What a master is made into where the agency does not take it as it is.

    `codec` is ffmpeg's name of the encoder, `options` its further arguments in order. Of photographs
    only the suffix counts: they become sRGB, as JPEG of quality 95.
    """

    suffix: str
    codec: str = ""
    pixel_format: str = ""
    options: tuple[str, ...] = ()
    audio_codec: str = ""


@dataclass(frozen=True, slots=True)
class MediaRules:
    """What files of one kind an agency takes; `codecs` by ffprobe's names, suffixes without a dot."""

    kind: MediaKind
    suffixes: tuple[str, ...] = ()
    codecs: tuple[str, ...] = ()
    min_megapixels: float = 0.0
    max_megapixels: float = 0.0
    min_width: int = 0
    min_height: int = 0
    max_width: int = 0
    max_height: int = 0
    is_even_size: bool = False
    frame_rates: tuple[float, ...] = ()
    min_duration_s: float = 0.0
    max_duration_s: float = 0.0
    max_bytes: int = 0
    audio: Literal["", "forbidden"] = ""
    needs_camera: bool = False  # make and model in the file
    transcode: Transcode | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table: its heading word for word, and what stands in it.

    `value` is one of `agencies.columns.VALUES`; without it every row has the `text`. In XML the
    heading is an element, and each entry of a list an element `entry` in it, if that is named.
    """

    heading: str
    value: str = ""
    text: str = ""
    entry: str = ""


@dataclass(frozen=True, slots=True)
class TableRules:
    """The table (CSV or XML) that goes with the files.

    With `needs_template` the headings are not known for sure: the user's own download is asked for,
    and `columns` then only says what headings are known to mean. `too_long` says what becomes of a
    table over `max_rows` or `max_bytes`: several files, or none. `date_format` is `strftime`'s.
    """

    format: Literal["csv", "xml"] = "csv"
    file_name: str = "metadata.csv"  # of XML, unless it is said, metadata.xml
    columns: tuple[Column, ...] = ()
    encoding: str = "utf-8"
    delimiter: str = ","
    quoting: Literal["minimal", "all"] = "minimal"
    line_end: Literal["crlf", "lf"] = "crlf"
    keyword_separator: str = ","
    list_separator: str = ","  # between categories, between releases
    date_format: str = "%Y-%m-%d"
    yes: str = "Yes"
    no: str = "No"
    max_rows: int = 0
    max_bytes: int = 0
    too_long: Literal["split", "refuse"] = "split"
    goes_by: Literal["upload", "portal"] = "portal"
    needs_template: bool = False
    template_help: str = ""  # where the user finds it
    root: str = ""  # of XML: the outer element, and the one an item
    row: str = ""


@dataclass(frozen=True, slots=True)
class ReleaseRules:
    """When releases are needed, and where their files go; `folder` is relative to the upload folder.

    With `kept` the agency does not want the files, only to be told that there are some.
    """

    needs_model_release: bool = True  # recognisable people in commercial use
    folder: str = ""
    goes_by: Literal["upload", "portal", "kept"] = "portal"


@dataclass(frozen=True, slots=True)
class EditorialRules:
    """Whether editorial use is taken, and how its title or description has to begin.

    `kinds` are those that it is taken of, empty: all. `caption` is a template with {city}, {region},
    {country}, {date}, the same in capitals ({CITY}, …) and {text}; `date_format` is `strftime`'s.
    """

    is_accepted: bool = True
    kinds: tuple[MediaKind, ...] = ()
    allows_people: bool = True
    field: Literal["title", "description"] = "description"
    caption: str = ""
    date_format: str = "%B %d, %Y"


@dataclass(frozen=True, slots=True)
class TransportRules:
    """How files get to the agency. `schemes` are in order of preference.

    Without any a person uploads them in the portal. `host` is what the agency says, empty where it
    depends on the account; `folders` by kind of media.
    """

    schemes: tuple[Scheme, ...] = ()
    host: str = ""
    port: int = 0
    folders: Mapping[MediaKind, str] = field(default_factory=dict)
    login_help: str = ""


@dataclass(frozen=True, slots=True)
class BatchRules:
    """What holds for all items of one package together."""

    max_items: int = 0
    advised_items: int = 0
    is_one_kind: bool = False
    is_one_usage: bool = False


@dataclass(frozen=True, slots=True)
class Agency:
    """One agency's specification, of one version.

    `confidence` is the least of those its `sources` have; `human_steps` is what a person must do in
    the portal, in order. `embeds` says whether descriptions are also written into the copies.
    """

    id: str
    name: str
    version: str
    verified_on: str
    sources: tuple[Source, ...]
    confidence: Confidence
    title: TextRules = TextRules()
    description: TextRules = TextRules()
    keywords: KeywordRules = KeywordRules()
    categories: CategoryRules = CategoryRules()
    file_name: FileNameRules = FileNameRules()
    media: Mapping[MediaKind, MediaRules] = field(default_factory=dict)
    table: TableRules | None = None
    releases: ReleaseRules = ReleaseRules()
    editorial: EditorialRules = EditorialRules()
    generated: Literal["", "accepted", "labelled", "forbidden"] = ""
    transport: TransportRules = TransportRules()
    batch: BatchRules = BatchRules()
    embeds: bool = True
    human_steps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def rules_for(self, kind: MediaKind) -> MediaRules:
        """What files of a kind it takes; without a limit where nothing is known."""
        return self.media.get(kind) or MediaRules(kind)
