"""What people typed about media, in the journal `stock`; nothing else ever writes here.

It hangs on the asset id, which a media inherits from the one it supersedes. An entry holds one or more
edits, so that an import is written whole or not at all; the last word on each field counts. What may be
typed is checked in `fields`.
"""

import getpass
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from dam_pipeline.errors import SchemaMismatch
from dam_pipeline.records import Json
from dam_pipeline.settings import Settings
from dam_pipeline.stock.fields import FIELDS, LISTS, MAPPINGS, checked
from dam_pipeline.stock.record import StockRecord
from dam_pipeline.stores.journal import Journal

JOURNAL = "stock"


@dataclass(frozen=True, slots=True)
class Edit:
    """The same changes of one or more assets; see `edit_record`."""

    asset_ids: Sequence[str]
    changes: Mapping[str, Json]


@dataclass(slots=True)
class Word:
    """What people said of one asset, by the fields of `StockRecord`, and who said the last of it.

    `values` replaces what is known from elsewhere. `added` and `removed` change a list without
    replacing it. Both are in JSON's terms.
    """

    values: dict[str, Json] = field(default_factory=dict)
    added: dict[str, list[Json]] = field(default_factory=dict)
    removed: dict[str, list[Json]] = field(default_factory=dict)
    when: str = ""
    by: str = ""

    @property
    def fields(self) -> set[str]:
        """The fields that a person has a say in."""
        return {*self.values, *self.added, *self.removed}


def edit_record(
    settings: Settings, asset_ids: Sequence[str], changes: Mapping[str, Json]
) -> dict[str, Json]:
    """Change fields of these assets' records; gives the changes as they are kept.

    `changes` maps a field of `StockRecord` to its new value, also an empty one, or to None: then
    nobody said anything, and what the file says stands again. `keywords` and `releases` may be changed
    by {"add": […], "remove": […]}. `place` and `categories` are mappings of which only the parts that
    are given change. A release is {"kind", "path", "name"}; its file is hashed now.

    Raises ConfigurationError naming the field and value that cannot be; then nothing is changed.
    """
    kept = checked(changes)
    _append(settings, [Edit(asset_ids, kept)])
    return kept


def edit_records(settings: Settings, edits: Iterable[Edit]) -> int:
    """Make many edits at once, all or none; gives how many there were. As `edit_record` otherwise."""
    kept = [replace(one, changes=checked(one.changes)) for one in edits]
    _append(settings, kept)
    return len(kept)


def records_of_people(settings: Settings, planned: Iterable[Edit] = ()) -> dict[str, Word]:
    """What people said, by asset id; as it would be after `planned` edits, which are not written.

    Raises SchemaMismatch for a damaged journal, ConfigurationError for an edit that cannot be.
    """
    words: dict[str, Word] = {}
    try:
        for entry in Journal(settings, JOURNAL).entries():
            for edit in entry["edits"]:
                _replay(words, edit["asset_ids"], edit["changes"], entry["when"], entry["by"])
    except (KeyError, TypeError, AttributeError) as error:
        raise SchemaMismatch(
            f"The journal {JOURNAL} holds an entry that this version does not read ({error}). "
            "Update dam_pipeline."
        ) from error
    for one in planned:
        _replay(words, one.asset_ids, checked(one.changes), _now(), author())
    return words


def laid_over(record: StockRecord, word: Word) -> StockRecord:
    """The record with what people said in place of what stood there."""
    document = record.to_json() | word.values
    for name in LISTS:
        kept = _without(document[name], word.removed.get(name, []))
        document[name] = [*kept, *_without(word.added.get(name, []), kept)]
    return StockRecord.from_json(document)


def author() -> str:
    """Who is at the keyboard: the account of this process, empty where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _append(settings: Settings, edits: Iterable[Edit]) -> None:
    written = [
        {"asset_ids": list(one.asset_ids), "changes": dict(one.changes)}
        for one in edits
        if one.asset_ids and one.changes
    ]
    if written:
        Journal(settings, JOURNAL).append({"edits": written, "when": _now(), "by": author()})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _replay(
    words: dict[str, Word],
    asset_ids: Iterable[str],
    changes: Mapping[str, Json],
    when: str,
    by: str,
) -> None:
    for asset_id in asset_ids:
        word = words.setdefault(asset_id, Word())
        word.when, word.by = when, by
        for name, value in changes.items():
            _change(word, name, value)


def _change(word: Word, name: str, value: Json) -> None:
    """Replay one change; raises KeyError for a field of a newer version."""
    if name not in FIELDS:
        raise KeyError(name)
    if name in MAPPINGS and value is not None:
        parts = {**(word.values.get(name) or {}), **value}
        value = {key: part for key, part in parts.items() if part}
        if name == "categories" and not value:  # an emptied place is a word: there is none
            value = None
    if name in LISTS and isinstance(value, dict):
        _change_list(word, name, value.get("add", []), value.get("remove", []))
        return
    for said in (word.values, word.added, word.removed):
        said.pop(name, None)
    if value is not None:
        word.values[name] = value


def _change_list(word: Word, name: str, add: list[Json], remove: list[Json]) -> None:
    touched = [*add, *remove]
    for said, new in ((word.added, add), (word.removed, remove)):
        said[name] = [*_without(said.get(name, []), touched), *new]
        if not said[name]:
            del said[name]
    if name in word.values:
        word.values[name] = _without(word.values[name], touched)


def _without(these: Iterable[Json], others: Iterable[Json]) -> list[Json]:
    unwanted = set(map(_compared, others))
    return [one for one in these if _compared(one) not in unwanted]


def _compared(one: Json) -> str:
    """Keywords are the same whatever their case, releases when they are the same file."""
    return str(one["path"]) if isinstance(one, dict) else str(one).casefold()
