"""What the pages show, read from the catalogue and the derived files; nothing is written.

A file's page must come up whatever is missing or damaged of its results: such a part is left out
and named in `Dossier.problems`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dam_pipeline.catalogue.metrics import Metrics, measure
from dam_pipeline.errors import DamError
from dam_pipeline.records import Json, Location, Media, Probe, StageRow, State, StoredOutcome
from dam_pipeline.settings import Settings
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.freshness import Verdict, code_versions, stage_versions, verdicts
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.tagging.effective import EffectiveTag, effective_tags

TROUBLE = (State.FAILED, State.BLOCKED)
WORST_FIRST = (State.FAILED, State.BLOCKED, State.RUNNING, State.STALE, State.NEVER)
TABLES = ("shots", "keyframes", "face_embeddings", "transcript", "scenes")
NOT_SHOWN = ("vector", "landmarks")

Rows = list[dict[str, Json]]


@dataclass(frozen=True, slots=True)
class Card:
    """One file of the grid."""

    media: Media
    places: tuple[Location, ...]
    verdicts: Mapping[str, Verdict]
    probe: Probe | None

    @property
    def state(self) -> State:
        """The worst state of its stages."""
        found = {verdict.state for verdict in self.verdicts.values()}
        return next((state for state in WORST_FIRST if state in found), State.DONE)

    @property
    def troubles(self) -> list[str]:
        """One line a failed or blocked stage: "KEY at STAGE: reason, what to do"."""
        return [
            f"{self.media.partition_key} at {stage}: {verdict.reason}"
            for stage, verdict in self.verdicts.items()
            if verdict.state in TROUBLE
        ]


@dataclass(frozen=True, slots=True)
class Dossier:
    """All that is known of one file; `problems` names results that could not be read."""

    card: Card
    rows: Mapping[str, StageRow]
    outcomes: Mapping[str, StoredOutcome]
    tables: Mapping[str, Rows]
    problems: list[str] = field(default_factory=list)
    tags: Sequence[EffectiveTag] = ()

    @property
    def sha256(self) -> str:
        """The proven hash of the original, or an empty string."""
        outcome = self.outcomes.get("checksum")
        return str(outcome.result.get("sha256", "")) if outcome else ""

    def faces_in(self, keyframe: int) -> list[tuple[int, dict[str, Json]]]:
        """Faces of a keyframe with their numbers in the file."""
        rows = enumerate(self.tables["face_embeddings"])
        return [(number, row) for number, row in rows if row["keyframe"] == keyframe]


class Library:
    """Reads of one home."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools
        self._catalogue = tools.catalogue
        self._derived = tools.derived

    def metrics(self) -> Metrics:
        """The library's numbers."""
        return measure(self._catalogue, code_versions(self._settings()))

    def media(self, key: str) -> Media | None:
        """The media of a partition key or media id, exactly as written."""
        return self._catalogue.by_keys([key]).get(key) or self._catalogue.media([key]).get(key)

    def cards(self, state: str, page: int, per_page: int) -> tuple[list[Card], int]:
        """A page (from 1) of the library, of one state or all of it, and how many there are."""
        media = self._catalogue.all_media()
        shown = slice((page - 1) * per_page, page * per_page)
        if not state:
            return self.cards_of(media[shown]), len(media)
        chosen = [card for card in self._cards(media, with_probe=False) if card.state == state]
        return self.cards_of([card.media for card in chosen[shown]]), len(chosen)

    def cards_of(self, media: Sequence[Media]) -> list[Card]:
        """The cards of these media, in their order."""
        return self._cards(media, with_probe=True)

    def dossier(self, media: Media) -> Dossier:
        """Everything that is known of a media."""
        problems: list[str] = []
        self._derived.bring([media.media_id])
        return Dossier(
            card=self.cards_of([media])[0],
            rows=self._catalogue.states.of([media.media_id])[media.media_id],
            outcomes=self._outcomes(media, problems),
            tables={stage: self._rows(media, stage, problems) for stage in TABLES},
            problems=problems,
            tags=self._tags(media, problems),
        )

    def keyframes(self, media: Media) -> Rows:
        """The rows of a media's keyframes; none when they cannot be read."""
        return self._rows(media, "keyframes", [])

    def faces(self, media: Media) -> Rows:
        """The rows of a media's faces, without vectors; none when they cannot be read."""
        return self._rows(media, "face_embeddings", [])

    def _settings(self) -> Settings:
        """The settings with the embedding spaces that are active now: another may be since the start."""
        self._tools.follow_spaces()
        return self._tools.settings

    def _cards(self, media: Sequence[Media], *, with_probe: bool) -> list[Card]:
        ids = [one.media_id for one in media]
        if with_probe:
            self._derived.bring(ids, ["probe"])
        versions = stage_versions(self._settings())
        places = self._catalogue.locations_of(ids)
        rows = self._catalogue.states.of(ids)
        running = self._catalogue.states.running()
        return [
            Card(
                media=one,
                places=tuple(places[one.media_id]),
                verdicts=verdicts(one, rows[one.media_id], versions, running),
                probe=self._probe(one) if with_probe else None,
            )
            for one in media
        ]

    def _tags(self, media: Media, problems: list[str]) -> Sequence[EffectiveTag]:
        try:
            return effective_tags(self._settings(), self._derived, [media])[media.media_id]
        except DamError as error:
            problems.append(str(error))
            return ()

    def _probe(self, media: Media) -> Probe | None:
        outcome = self._outcome(media, "probe", [])
        if outcome is None or not outcome.result:
            return None
        try:
            return Probe.from_json(outcome.result)
        except (KeyError, TypeError, ValueError):
            return None  # of another version of the code; the stage is stale and says so

    def _outcomes(self, media: Media, problems: list[str]) -> dict[str, StoredOutcome]:
        found = {stage: self._outcome(media, stage, problems) for stage in STAGES}
        return {stage: outcome for stage, outcome in found.items() if outcome}

    def _outcome(self, media: Media, stage: str, problems: list[str]) -> StoredOutcome | None:
        try:
            return self._derived.outcome(media.media_id, stage)
        except (DamError, KeyError, TypeError) as error:
            problems.append(f"The result of {stage} cannot be read: {error}")
            return None

    def _rows(self, media: Media, stage: str, problems: list[str]) -> Rows:
        if not self._derived.has(media.media_id, f"{stage}.parquet"):
            return []
        try:
            table = self._derived.table(media.media_id, stage)
        except DamError as error:
            problems.append(str(error))
            return []
        kept = [name for name in table.schema.names if name not in NOT_SHOWN]
        rows: Rows = table.select(kept).to_pylist()
        return rows
