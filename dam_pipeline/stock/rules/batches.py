"""Rules on the items of a package together."""

from collections import Counter
from collections.abc import Iterator
from typing import Literal

from dam_pipeline.agencies.agency import Agency
from dam_pipeline.stock.rules.rule import Advice, Batch, Case, Said, Wrong, batch_rule
from dam_pipeline.stock.rules.text import FIELDS, Field, rules_of, text_of
from dam_pipeline.stock.wording import clean

NAMED = 3  # other items that a message names


@batch_rule("error")
def same_file(batch: Batch) -> Iterator[tuple[Case, Said]]:
    """No file is in a batch twice, under whatever name: the first one goes."""
    first: dict[str, Case] = {}
    for case in batch.cases:
        content = case.item.sha256 or case.item.media.media_id
        earlier = first.setdefault(content, case)
        if earlier is not case:
            message = f"It is the same file as {earlier.key}, byte for byte."
            yield case, Wrong(message, f"dam stock shortlist remove {case.key}")


@batch_rule("error", "warning")
def same_text(batch: Batch) -> Iterator[tuple[Case, Said]]:
    """No two items of a batch have the same title; nor the same description, where that matters."""
    for name in FIELDS:
        by_text: dict[str, list[Case]] = {}
        for case in batch.cases:
            by_text.setdefault(clean(text_of(case, name)).casefold(), []).append(case)
        for text, cases in by_text.items():
            if text and len(cases) > 1:
                yield from _same_text(name, cases)


@batch_rule("warning")
def near_duplicate(batch: Batch) -> Iterator[tuple[Case, Said]]:
    """No two items of a batch show the same pictures, and none what the agency has already."""
    names = {one.media_id: one.file for one in batch.delivered.values()}
    names |= {case.item.media.media_id: case.key for case in batch.cases}
    for case in batch.cases:
        own = case.item.media
        there = batch.delivered.get(own.asset_id)
        itself = {own.media_id, there.media_id if there else ""}  # now, and as it was delivered
        named = [
            f"{names[one.media_id]} ({one.share:.0%} of it)"
            for one in batch.alike.get(own.media_id) or ()
            if one.media_id in names and one.media_id not in itself
        ]
        if named:
            more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
            message = f"It shows the same pictures as {', '.join(named[:NAMED])}{more}."
            yield case, Advice(message, f"Choose one: dam stock shortlist remove {case.key}")


@batch_rule("warning")
def not_compared(batch: Batch) -> Iterator[tuple[Case, Said]]:
    """Near duplicates are known: the graph of the library has seen the item."""
    for case in batch.cases if len(batch.cases) > 1 else ():
        if case.item.probe.has_picture and batch.alike.get(case.item.media.media_id, ()) is None:
            message = "The graph has not seen it yet, so copies of it are not noticed."
            yield case, Advice(message, "dam rebuild, or wait until the library is processed.")


@batch_rule("error")
def one_kind_only(batch: Batch) -> Iterator[tuple[Case, Said]]:
    """Where the agency takes one kind of media a batch, those of the most frequent kind go."""
    if batch.agency.batch.is_one_kind:
        yield from _one_only(batch, "kind")


@batch_rule("error")
def one_usage_only(batch: Batch) -> Iterator[tuple[Case, Said]]:
    """Where the agency takes one usage a batch, those of the most frequent usage go."""
    if batch.agency.batch.is_one_usage:
        yield from _one_only(batch, "usage")


@batch_rule("error")
def too_many_items(batch: Batch) -> Iterator[tuple[Case, Said]]:
    """There are no more items than the agency takes at once; the first ones go."""
    most = _most_items(batch.agency)
    going = [case for case in batch.cases if not case.errors]
    for case in going[most:] if most else ():
        message = f"{batch.agency.name} takes {most} items at once, and there are {len(going)}."
        yield case, Wrong(message, _on_its_own(case))


@batch_rule("warning")
def items_advised(batch: Batch) -> Iterator[tuple[Case, Said]]:
    """There are no more items than the agency advises at once."""
    most = batch.agency.batch.advised_items
    going = [case for case in batch.cases if not case.errors]
    for case in going[most:] if most else ():
        message = f"{batch.agency.name} advises {most} items at once, and there are {len(going)}."
        yield case, Advice(message, _on_its_own(case))


RULES = (
    same_file,
    same_text,
    near_duplicate,
    not_compared,
    one_kind_only,
    one_usage_only,
    too_many_items,
    items_advised,
)


def _same_text(name: Field, cases: list[Case]) -> Iterator[tuple[Case, Said]]:
    """Where each must be unique, the first one goes; of titles a person is told in any case."""
    agency = cases[0].agency
    is_unique = rules_of(cases[0], name).is_unique
    later = {id(case) for case in [one for one in cases if not one.errors][1:]}
    for case in cases:
        message = f"{len(cases)} items have the {name} {text_of(case, name)!r}"
        fix = case.edit(f"--{name} '…'")
        if is_unique and id(case) in later:
            yield case, Wrong(f"{message}; {agency.name} wants each its own.", fix)
        elif not is_unique and name == "title":
            yield case, Advice(f"{message}.", fix)


def _one_only(batch: Batch, what: Literal["kind", "usage"]) -> Iterator[tuple[Case, Said]]:
    going = [case for case in batch.cases if not case.errors and _of(case, what)]
    counts = Counter(_of(case, what) for case in going)
    for most, _ in counts.most_common(1):
        for case in going:
            if _of(case, what) != most:
                name = batch.agency.name
                message = (
                    f"{name} takes one {what} a batch: this is {_of(case, what)}, most are {most}."
                )
                yield case, Wrong(message, _on_its_own(case))


def _of(case: Case, what: Literal["kind", "usage"]) -> str:
    return case.item.probe.kind.value if what == "kind" else case.submission.usage


def _most_items(agency: Agency) -> int:
    """How many items go at once; a table that must not be split limits them, too."""
    table = agency.table
    rows = table.max_rows if table and table.too_long == "refuse" else 0
    return min(filter(None, (agency.batch.max_items, rows)), default=0)


def _on_its_own(case: Case) -> str:
    return f"Package it by itself: dam stock package --agency {case.agency.id} {case.key}"
