"""A space built in the shadow: the vectors of the library's files, and their rows in the vector store.

What search, tags and graph use is not touched. Only derived files are read, no original is opened.
What was made stays, so a build that was interrupted goes on, and one that is repeated takes in what
has changed or come since.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import pyarrow as pa

from dam_pipeline.catalogue.spaces import SpaceRecord
from dam_pipeline.errors import ConfigurationError, ModelError
from dam_pipeline.records import Media, Space, State
from dam_pipeline.search.index_rows import MEDIA_AT_ONCE, vectors_of
from dam_pipeline.spaces.candidates import checked_space
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.engine import Finished, run_stages
from dam_pipeline.stages.freshness import is_fresh, stage_versions
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stores.vectors import vector_rows
from dam_pipeline.tagging.background import background_path, keep_background
from dam_pipeline.tagging.calibration import from_library
from dam_pipeline.tagging.scoring import open_scorer

Tell = Callable[[Sequence[Finished]], None]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far a space has come: files of the library by what it has of them.

    `wanted` have vectors in the active space; `covered` of these have them in this space, made from
    what is there now and put into the vector store. `missing` are the ids of the others.
    """

    wanted: int
    covered: int
    missing: frozenset[str]

    @property
    def share(self) -> float:
        """The covered share of the wanted; 1.0 where nothing is wanted."""
        return self.covered / self.wanted if self.wanted else 1.0


def build_space(
    tools: Toolbox,
    record: SpaceRecord,
    media_ids: Sequence[str],
    run_id: str,
    tell: Tell = lambda _finished: None,
) -> list[Finished]:
    """Bring a space up to date for these files; `tell` hears of each after it is recorded.

    Raises WeightsMissing and SpaceMismatch before anything is done, StoreUnavailable in between.
    """
    view = tools.in_space(record)
    space = checked_space(view, record)
    outcomes: list[Finished] = []
    size = tools.settings.batch_files
    for at in range(0, len(media_ids), size):
        group = media_ids[at : at + size]
        _take_out(view, record, space, group)
        report = run_stages(view, group, [record.stage], run_id, tell)
        outcomes += report.finished
        # Also of those that were fresh: a kill may have come before their rows were put.
        done = [one.media.media_id for one in report.finished if one.state is State.DONE]
        _put(view, record, space, done)
    view.store.optimise()
    return outcomes


def index_space(tools: Toolbox, record: SpaceRecord, media_ids: Sequence[str]) -> None:
    """Put the vectors of a space that is not active into the vector store, as its files have them."""
    states = tools.catalogue.spaces.states(record)
    done = [one for one in media_ids if one in states and states[one][0] is State.DONE]
    space = Space(record.name, record.kind, record.dimension)
    for at in range(0, len(done), MEDIA_AT_ONCE):
        _put(tools.in_space(record), record, space, done[at : at + MEDIA_AT_ONCE])


def coverage(tools: Toolbox, record: SpaceRecord, media: Sequence[Media]) -> Coverage:
    """How far a space has come for these files; raises WeightsMissing."""
    view = tools.in_space(record)
    space = checked_space(view, record)
    ids = [one.media_id for one in media]
    active = tools.catalogue.states.of(ids)
    wanted = {
        media_id
        for media_id, rows in active.items()
        if record.stage in rows and rows[record.stage].state is State.DONE
    }
    fresh = _fresh(view, record, [one for one in media if one.media_id in wanted])
    stored = view.store.media_in(space)
    covered = {one for one, state in fresh.items() if one in stored or state is not State.DONE}
    return Coverage(len(wanted), len(covered), frozenset(wanted - covered))


def calibrate(tools: Toolbox, record: SpaceRecord, media: Sequence[Media]) -> str:
    """Make ready what tags need of a space of pictures; says what its thresholds stand on, or lack.

    A space without a background of its own gets one from the library's vectors in it.
    """
    if record.kind != "image_text":
        return ""
    view = tools.in_space(record)
    space = checked_space(view, record)
    try:
        if background_path(view.settings, space.name) is None:
            made = from_library(view.derived, media, space)
            keep_background(view.settings, made.background)
        return open_scorer(view.settings, space, lambda: view.image_text).calibrated_on
    except (ConfigurationError, ModelError) as error:
        return f"not calibrated: {error}"


def _fresh(view: Toolbox, record: SpaceRecord, media: Sequence[Media]) -> dict[str, State]:
    """Files whose results in the view's space stand on what is there now, with their state."""
    stage, version = STAGES[record.stage], stage_versions(view.settings)[record.stage]
    rows = view.catalogue.states.of([one.media_id for one in media])
    return {
        one.media_id: rows[one.media_id][stage.name].state
        for one in media
        if is_fresh(stage, one, rows[one.media_id], version)
    }


def _take_out(view: Toolbox, record: SpaceRecord, space: Space, ids: Sequence[str]) -> None:
    """Delete the rows of files whose vectors are to be made anew.

    So what the store holds of a file is of its present vectors, wherever the build is interrupted.
    """
    media = list(view.catalogue.media(ids).values())
    rows = view.catalogue.states.of(ids)
    old = {one for one in ids if record.stage in rows[one]} - _fresh(view, record, media).keys()
    if old:
        view.store.put(space, old, vector_rows(space.dimension).empty_table())


def _put(view: Toolbox, record: SpaceRecord, space: Space, ids: Collection[str]) -> None:
    tables = [vectors_of(one, view.derived.table(one, record.stage)) for one in ids]
    if tables:
        view.store.put(space, ids, pa.concat_tables(tables))
