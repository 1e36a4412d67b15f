"""What people decided about spaces: the journal `spaces`, of which the catalogue's record is an index.

A decision is written first and carried out then; where that was interrupted, `bring_up` does it.
"""

from collections.abc import Mapping
from dataclasses import replace

from dam_pipeline.catalogue.catalogue import Catalogue, now_iso
from dam_pipeline.catalogue.spaces import SpaceRecord, Status
from dam_pipeline.records import Json
from dam_pipeline.settings import Settings
from dam_pipeline.stores.journal import Journal

JOURNAL = "spaces"


def decide(
    settings: Settings,
    do: str,
    space: SpaceRecord,
    home: SpaceRecord | None = None,
    reason: Mapping[str, Json] | None = None,
) -> str:
    """Write down that a space is added, promoted or removed; returns when (ISO 8601, UTC).

    `home` is the space that the settings choose, which is the active one before the first promotion;
    `reason` is what the decision stands on.
    """
    when = now_iso()
    entry: dict[str, Json] = {"do": do, "when": when, "space": _document(space)}
    if home:
        entry["home"] = _document(home)
    if reason:
        entry["reason"] = dict(reason)
    Journal(settings, JOURNAL).append(entry)
    return when


def decided(settings: Settings) -> dict[str, SpaceRecord]:
    """The spaces by name as people decided last; raises SchemaMismatch for a damaged journal."""
    known: dict[str, SpaceRecord] = {}
    for entry in Journal(settings, JOURNAL).entries():
        space = _record(entry["space"], entry["when"])
        if entry["do"] == "remove":
            _forget(known, space)
            continue
        known.setdefault(space.name, space)
        if entry["do"] == "promote":
            _promote(known, space.name, _record(entry["home"], entry["when"]), entry["when"])
    return known


def undone(settings: Settings, catalogue: Catalogue) -> list[str]:
    """Names of the spaces of which the catalogue does not say what people decided last."""
    wanted = {one.name: one.status for one in decided(settings).values()}
    found = {one.name: one.status for one in catalogue.spaces.all()}
    return sorted({name for name, _status in wanted.items() ^ found.items()})


def bring_up(settings: Settings, catalogue: Catalogue) -> list[str]:
    """Bring the catalogue to what people decided; names the spaces whose record changed.

    States that a switch exchanges are exchanged with it.
    """
    wanted, found = decided(settings), {one.name: one for one in catalogue.spaces.all()}
    changed = []
    for name, record in found.items():
        if name not in wanted:
            catalogue.spaces.remove(replace(record, status=Status.CANDIDATE))
            changed.append(name)
    active = {one.kind: one for one in wanted.values() if one.status is Status.ACTIVE}
    for name, record in wanted.items():
        if name not in found and active.get(record.kind) != record:
            catalogue.spaces.put(record)
            changed.append(name)
    for record in active.values():
        known = found.get(record.name, record)
        if record.name not in found or known.status is not Status.ACTIVE:
            home = next(
                (w for w in wanted.values() if w.kind == record.kind and w.stem == w.stage), record
            )
            catalogue.spaces.switch(
                replace(known, status=Status.CANDIDATE), home, record.switched_at
            )
            changed.append(record.name)
    return changed


def _promote(known: dict[str, SpaceRecord], name: str, home: SpaceRecord, when: str) -> None:
    kind = known[name].kind
    if not any(one.kind == kind and one.status is Status.ACTIVE for one in known.values()):
        known.setdefault(home.name, home)
        known[home.name] = replace(known[home.name], status=Status.ACTIVE, switched_at=when)
    for other in [one for one in known.values() if one.kind == kind]:
        if other.name == name:
            known[name] = replace(other, status=Status.ACTIVE, switched_at=when)
        elif other.status is Status.ACTIVE:
            known[other.name] = replace(other, status=Status.PREVIOUS)


def _forget(known: dict[str, SpaceRecord], space: SpaceRecord) -> None:
    known.pop(space.name, None)
    left = [one for one in known.values() if one.kind == space.kind]
    if len(left) == 1 and left[0].stem == left[0].stage:
        del known[left[0].name]


def _document(space: SpaceRecord) -> dict[str, Json]:
    names = ("name", "kind", "stage", "stem", "model", "dimension")
    return {name: getattr(space, name) for name in names}


def _record(document: Mapping[str, Json], when: str) -> SpaceRecord:
    return SpaceRecord(**document, status=Status.CANDIDATE, added_at=when)
