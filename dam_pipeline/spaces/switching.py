"""Which space is active: promoted in one step, given back in one step; and spaces taken away.

Nothing is computed and no file is moved by a switch. Readers see the old space until the catalogue's
transaction ends and the new one from then on; work that began before ends in the space it began in.
"""

from collections.abc import Callable

from dam_pipeline.catalogue.spaces import SpaceRecord, Status
from dam_pipeline.errors import ConfigurationError, PromotionRefused
from dam_pipeline.records import Space
from dam_pipeline.spaces.candidates import (
    active_space,
    checked_space,
    find_space,
    home_space,
    previous_space,
)
from dam_pipeline.spaces.comparing import Comparison, faults
from dam_pipeline.spaces.decisions import decide
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.tagging.background import forget_background

FILES_AT_ONCE = 200

Tell = Callable[[int, str], None]


def promote(
    tools: Toolbox, record: SpaceRecord, found: Comparison, *, force: bool = False
) -> SpaceRecord:
    """Make a compared space the active one; returns the one that was. Repeating changes nothing.

    Raises PromotionRefused for what the comparison has against it; with `force` only for vectors
    that cannot be used.
    """
    against = faults(found) if force else found.refusals
    if against:
        raise PromotionRefused(f"{record.name} is not promoted. {' '.join(against)}")
    reason = {name: value for name, value in found.to_json().items() if value not in ("", None)}
    return _switch(tools, record, reason)


def roll_back(tools: Toolbox, kind: str) -> tuple[SpaceRecord, SpaceRecord]:
    """Make the space active that was so before; returns it, and the one that was active till now."""
    record = previous_space(tools, kind)
    checked_space(tools.in_space(record), record)
    return record, _switch(tools, record, {"is_rollback": True})


def remove_space(
    tools: Toolbox, record: SpaceRecord, tell: Tell = lambda _done, _note: None
) -> int:
    """Delete a space that is not active: its states, rows in the store and files; returns files.

    Interrupted, it is an incomplete candidate that can be removed again. Raises ConfigurationError
    for the active one.
    """
    check_removable(tools, record)
    tools.catalogue.spaces.forget_states(record)
    tools.store.drop_space(Space(record.name, record.kind, record.dimension))
    deleted = _delete_files(tools, record, tell)
    forget_background(tools.settings, record.name)
    decide(tools.settings, "remove", record)
    tools.catalogue.spaces.remove(record)
    tools.follow_spaces()
    return deleted


def check_removable(tools: Toolbox, record: SpaceRecord) -> None:
    """Raise ConfigurationError for the active space, and for one that is being built."""
    known = find_space(tools, record.name) or record
    if known.status is Status.ACTIVE:
        raise ConfigurationError(
            f"{record.name} is the active space of {record.kind}. Promote another one or "
            "`dam space rollback` first."
        )
    if tools.catalogue.spaces.is_being_built(record):
        raise ConfigurationError(
            f"{record.name} is being built. Wait until its run has ended, or end it, then repeat."
        )


def _switch(tools: Toolbox, record: SpaceRecord, reason: dict[str, object]) -> SpaceRecord:
    before, home = active_space(tools, record.kind), home_space(tools, record.kind)
    if before.name != record.name:
        when = decide(tools.settings, "promote", record, home, reason)
        known = find_space(tools, record.name) or record
        tools.catalogue.spaces.switch(known, home, when)
        tools.follow_spaces()
    return before


def _delete_files(tools: Toolbox, record: SpaceRecord, tell: Tell) -> int:
    derived, deleted = tools.derived, 0
    names = [f"{record.stem}.parquet", f"{record.stem}.json"]
    for number, media_id in enumerate(derived.media_ids(), start=1):
        there = [name for name in names if derived.has(media_id, name)]
        derived.forget(media_id, there)
        deleted += bool(there)
        if number % FILES_AT_ONCE == 0:
            derived.flush()
            tell(number, media_id)
    derived.flush()
    return deleted
