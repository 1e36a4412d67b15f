"""What the sources of suggestions look at: everything known of one media, read for many at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from dam_pipeline.agencies.loading import known_agencies
from dam_pipeline.errors import SchemaMismatch
from dam_pipeline.models import spaces
from dam_pipeline.records import Json, Media, Probe, State
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stock.gazetteer import Found, nearest_place
from dam_pipeline.stock.record import StockRecord
from dam_pipeline.stores.derived import DerivedFiles
from dam_pipeline.tagging.effective import EffectiveTag, effective_tags
from dam_pipeline.tagging.vocabulary import Vocabulary, names_of_terms, plain

STAGES_READ = ("probe", "tags", "transcript")


@dataclass(frozen=True, slots=True)
class Spoken:
    """A stretch of speech; `probability` is the mean of its words', 0.5 where they have none."""

    start_s: float
    end_s: float
    text: str
    language: str
    probability: float


@dataclass(frozen=True, slots=True)
class Library:
    """What is the same for all media: names of terms, and categories by the words for them."""

    vocabulary: Vocabulary
    categories: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Said:
    """What is read of a media for its item: `record` is what people and the file say, `said_by` who.

    `trouble` tells why the file could not be read.
    """

    media: Media
    probe: Probe
    record: StockRecord
    said_by: Mapping[str, str]
    faces: int | None
    trouble: str = ""


@dataclass(frozen=True)
class Known:
    """What is known of one media. `record` is what people and the file say of it.

    `tagger` names the embedding space that the model's tags come from, `warning` what to know of it:
    what the model does not understand.
    """

    media: Media
    probe: Probe
    record: StockRecord
    faces: int | None
    tags: Sequence[EffectiveTag]
    tagger: str
    warning: str
    speech: Sequence[Spoken]
    library: Library

    @cached_property
    def found_place(self) -> Found | None:
        """Where the camera's GPS says that it was, None without a fix or any place near it."""
        return nearest_place(*self.probe.gps) if self.probe.gps else None


def open_library(tools: Toolbox) -> Library:
    """What is the same for all media of a library."""
    categories: dict[str, str] = {}
    for known in known_agencies(tools.settings):
        for category in known.agency.categories.known:
            for word in (category.name, *category.also):
                categories.setdefault(singular(word), category.name)
    return Library(names_of_terms(tools.settings), categories)


def singular(word: str) -> str:
    """A word as categories and tags are compared: whatever its case, without the plural's s."""
    text = plain(word)
    return text if text.endswith("ss") else text.removesuffix("s")


def read_known(tools: Toolbox, library: Library, said: Sequence[Said]) -> Iterator[Known]:
    """What is known of these media, in their order."""
    derived, media = tools.derived, [one.media for one in said]
    derived.bring([one.media_id for one in media], STAGES_READ, anew=False)
    tags = effective_tags(tools.settings, derived, media, library.vocabulary)
    space = spaces(tools.settings).get("image_text")
    for one in said:
        tagger, warning = _tagger(derived, one.media.media_id)
        if space and space.name == tagger and space.warning:
            warning = f"{space.warning} {warning}".strip()
        yield Known(
            media=one.media,
            probe=one.probe,
            record=one.record,
            faces=one.faces,
            tags=tags[one.media.media_id],
            tagger=tagger,
            warning=warning,
            speech=_speech(derived, one.media.media_id),
            library=library,
        )


def _tagger(derived: DerivedFiles, media_id: str) -> tuple[str, str]:
    """The space that a media's tags were found in, and what the stage noted of it."""
    try:
        stored = derived.outcome(media_id, "tags")
    except SchemaMismatch:
        return "", ""  # `dam doctor` tells of it
    result = stored.result if stored else {}
    return str(result.get("space", "")), str(result.get("warning", ""))


def _speech(derived: DerivedFiles, media_id: str) -> list[Spoken]:
    try:
        stored = derived.outcome(media_id, "transcript")
        if stored is None or stored.state is not State.DONE or not stored.rows:
            return []
        rows = derived.table(media_id, "transcript").to_pylist()
    except SchemaMismatch:
        return []  # `dam doctor` tells of it
    return [_spoken(row) for row in rows]


def _spoken(row: Mapping[str, Json]) -> Spoken:
    sure = [word["probability"] for word in row["words"] or ()]
    probability = sum(sure) / len(sure) if sure else 0.5
    return Spoken(row["start_s"], row["end_s"], row["text"].strip(), row["language"], probability)
