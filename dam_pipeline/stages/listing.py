"""Media with their states, as `status`, `show` and `ingest` tell them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dam_pipeline.records import Json, Location, Media, StageRow, State
from dam_pipeline.stages.freshness import Verdict, stage_versions, verdicts
from dam_pipeline.stages.work import Toolbox


@dataclass(frozen=True, slots=True)
class Listing:
    """One media with everything a status tells."""

    media: Media
    locations: tuple[Location, ...]
    rows: Mapping[str, StageRow]
    verdicts: Mapping[str, Verdict]

    @property
    def state(self) -> State:
        """The file's state in one word: the worst of its stages."""
        states = {verdict.state for verdict in self.verdicts.values()}
        for state in (State.FAILED, State.BLOCKED, State.RUNNING, State.STALE, State.NEVER):
            if state in states:
                return state
        return State.DONE

    @property
    def uri(self) -> str:
        """Where it is, or was last."""
        return self.locations[0].uri if self.locations else ""

    def to_json(self) -> dict[str, Json]:
        """The documented shape of one media in `status --json`."""
        return {
            "media_id": self.media.media_id,
            "partition_key": self.media.partition_key,
            "kind": self.media.kind.value,
            "locations": [
                {"uri": place.uri, "present": place.missing_since is None}
                for place in self.locations
            ],
            "stages": {name: self._stage(name, verdict) for name, verdict in self.verdicts.items()},
        }

    def _stage(self, name: str, verdict: Verdict) -> dict[str, Json]:
        row = self.rows.get(name)
        return {
            "state": verdict.state.value,
            "reason": verdict.reason,
            "attempts": row.attempts if row else 0,
            "seconds": row.seconds if row else None,
            "run_id": row.run_id if row else None,
            "code_version": row.code_version if row else None,
        }


def list_media(tools: Toolbox, media: Sequence[Media]) -> list[Listing]:
    """The listings of these media, in their order."""
    ids = [one.media_id for one in media]
    places = tools.catalogue.locations_of(ids)
    rows = tools.catalogue.states.of(ids)
    running = tools.catalogue.states.running()
    versions = stage_versions(tools.settings)
    return [
        Listing(
            media=one,
            locations=tuple(places[one.media_id]),
            rows=rows[one.media_id],
            verdicts=verdicts(one, rows[one.media_id], versions, running),
        )
        for one in media
    ]


def totals(listings: Sequence[Listing]) -> dict[str, dict[str, int]]:
    """How many media are in which state, by stage."""
    counts: dict[str, Counter[str]] = {}
    for listing in listings:
        for stage, verdict in listing.verdicts.items():
            counts.setdefault(stage, Counter())[verdict.state.value] += 1
    return {stage: dict(count) for stage, count in counts.items()}
