"""The catalogue made again from the derived files: media, places, states of stages, facts.

What the catalogue knows already stays where it is newer; only what the files tell better is
written. Which stages there are and how an outcome becomes a row is the caller's business.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.errors import SchemaMismatch
from dam_pipeline.records import Facts, Location, Media, Probe, StageRow, State, StoredOutcome
from dam_pipeline.stores.derived import DerivedFiles

MEDIA_AT_ONCE = 200
WITH_RESULT = (State.DONE, State.EMPTY)

RowOf = Callable[[StoredOutcome], StageRow]
Tell = Callable[[int, str], None]


@dataclass(slots=True)
class Rebuilt:
    """What was read and written; `damaged` names files that could not be read, with the reason."""

    media: int = 0
    locations: int = 0
    states: int = 0
    forgotten: int = 0
    damaged: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Group:
    """Some media as their files tell them."""

    media: list[Media] = field(default_factory=list)
    locations: list[tuple[Media, Location]] = field(default_factory=list)
    outcomes: dict[tuple[str, str], StoredOutcome] = field(default_factory=dict)


def rebuild_catalogue(
    catalogue: Catalogue,
    derived: DerivedFiles,
    stages: Collection[str],
    row_of: RowOf,
    tell: Tell = lambda _done, _note: None,
) -> Rebuilt:
    """Bring the catalogue to what the derived files say; safe to repeat, also beside a run.

    `row_of` makes a row of an outcome file. Files that cannot be read are named and passed over.
    """
    with catalogue.outbox.silent():
        return _rebuild(catalogue, derived, stages, row_of, tell)


def _rebuild(
    catalogue: Catalogue,
    derived: DerivedFiles,
    stages: Collection[str],
    row_of: RowOf,
    tell: Tell,
) -> Rebuilt:
    rebuilt = Rebuilt()
    places: dict[str, tuple[Media, Location]] = {}
    ids = list(derived.media_ids())
    for start in range(0, len(ids), MEDIA_AT_ONCE):
        group = _read(derived, ids[start : start + MEDIA_AT_ONCE], stages, rebuilt)
        catalogue.add_media(group.media)
        catalogue.set_facts(_facts(group))
        _write_states(catalogue, group, stages, row_of, rebuilt)
        for media, place in group.locations:
            places[place.uri] = _better(places.get(place.uri), (media, place))
        rebuilt.media += len(group.media)
        tell(min(start + MEDIA_AT_ONCE, len(ids)), "")
    rebuilt.locations = _write_places(catalogue, [place for _media, place in places.values()])
    return rebuilt


def _read(
    derived: DerivedFiles, ids: Sequence[str], stages: Collection[str], rebuilt: Rebuilt
) -> _Group:
    group = _Group()
    derived.bring(ids)
    for media_id in ids:
        path = derived.folder(media_id) / "media.json"
        try:
            known = derived.media(media_id)
        except (SchemaMismatch, KeyError, TypeError, ValueError) as error:
            rebuilt.damaged.append(f"{path}: {error}")
            continue
        if known is None:
            rebuilt.damaged.append(f"{path} is missing or damaged: `dam ingest` its original again")
            continue
        media, locations = known
        group.media.append(media)
        group.locations.extend((media, place) for place in locations)
        for stage in stages:
            try:
                outcome = derived.outcome(media_id, stage)
            except (SchemaMismatch, KeyError, TypeError, ValueError) as error:
                rebuilt.damaged.append(f"{path.with_name(f'{stage}.json')}: {error}")
                continue
            if outcome:
                group.outcomes[media_id, stage] = outcome
    return group


def _facts(group: _Group) -> Iterator[Facts]:
    for (media_id, stage), outcome in group.outcomes.items():
        if stage == "probe" and outcome.state is State.DONE:
            probe = Probe.from_json(outcome.result)
            yield Facts(
                media_id=media_id,
                kind=probe.kind,
                duration_s=probe.duration_s,
                has_audio=probe.has_audio,
                created_at=probe.created_at,
                camera=probe.camera,
            )


def _write_states(
    catalogue: Catalogue,
    group: _Group,
    stages: Collection[str],
    row_of: RowOf,
    rebuilt: Rebuilt,
) -> None:
    """Record what the files know better, forget results whose files are gone."""
    known = catalogue.states.of([media.media_id for media in group.media])
    better = []
    for media_id, rows in known.items():
        for stage in stages:
            outcome, row = group.outcomes.get((media_id, stage)), rows.get(stage)
            if outcome and is_better(row_of(outcome), row):
                better.append(row_of(outcome))
            elif outcome is None and row and row.state in WITH_RESULT:
                catalogue.states.forget([media_id], [stage])
                rebuilt.forgotten += 1
    catalogue.states.record(better)
    rebuilt.states += len(better)


def is_better(of_file: StageRow, row: StageRow | None) -> bool:
    """Whether a row made from a file should take the place of the catalogue's.

    A file is written before its row, so a differing row of the same age or older is behind. A row
    that is newer tells of a run that could not leave one (blocked, disk full), and stays.
    """
    if row is None:
        return True
    if row.updated_at > of_file.updated_at:
        return row.state in WITH_RESULT and row.data_version != of_file.data_version
    return row != of_file


def _better(
    known: tuple[Media, Location] | None, other: tuple[Media, Location]
) -> tuple[Media, Location]:
    """Of two contents that claim one place, the one that was seen there last."""
    if known is None:
        return other
    return max(
        (known, other),
        key=lambda pair: (
            pair[1].missing_since is None,
            pair[0].superseded_by is None,
            pair[1].last_seen,
        ),
    )


def _write_places(catalogue: Catalogue, places: Sequence[Location]) -> int:
    known = {place.uri for place in catalogue.locations()}
    new = [place for place in places if place.uri not in known]
    catalogue.put_locations(new)
    return len(new)
