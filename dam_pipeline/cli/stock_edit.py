"""`dam stock edit`: what a person says of media for agencies."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.options import AsJson, MediaRefs
from dam_pipeline.cli.output import OUT, Exit, bar, command, print_json, say, table
from dam_pipeline.cli.stock_changes import (
    categories_said,
    given,
    keywords_said,
    names,
    place_said,
    releases_said,
)
from dam_pipeline.cli.stock_wording import value_text
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.records import Json
from dam_pipeline.settings import load_settings

if TYPE_CHECKING:
    from dam_pipeline.settings import Settings
    from dam_pipeline.stock.accepting import Accepted
    from dam_pipeline.stock.record import Item

Texts = list[str] | None


@command
def run(
    media: MediaRefs,
    title: Annotated[str | None, typer.Option("--title", help="One line.")] = None,
    description: Annotated[str | None, typer.Option("--description", help="A caption.")] = None,
    keywords: Annotated[
        str | None, typer.Option("--keywords", help="a,b,c in place of all: the first weigh most.")
    ] = None,
    add_keywords: Annotated[
        str | None, typer.Option("--add-keywords", help="a,b,c behind those that are there.")
    ] = None,
    remove_keywords: Annotated[
        str | None, typer.Option("--remove-keywords", help="a,b,c, whoever gave them.")
    ] = None,
    category: Annotated[
        Texts,
        typer.Option(
            "--category", help="A name in any agency's list, or AGENCY=NAME for one alone."
        ),
    ] = None,
    editorial: Annotated[
        bool | None, typer.Option("--editorial/--commercial", help="For which use it is offered.")
    ] = None,
    release: Annotated[
        Texts,
        typer.Option(
            "--release",
            "--model-release",
            help="The file of a signed model release, or NAME=FILE; added to those there are.",
        ),
    ] = None,
    property_release: Annotated[
        Texts, typer.Option("--property-release", help="The same of a property.")
    ] = None,
    remove_release: Annotated[
        Texts, typer.Option("--remove-release", help="A release's file that does not belong.")
    ] = None,
    place: Annotated[
        str | None, typer.Option("--place", "--city", help="CITY, or CITY, REGION; in English.")
    ] = None,
    region: Annotated[str | None, typer.Option("--region", help="State or province.")] = None,
    country: Annotated[
        str | None, typer.Option("--country", help="Its English name or two letters: PT.")
    ] = None,
    date: Annotated[
        str | None, typer.Option("--date", help="When it was taken: 2026-03-01.")
    ] = None,
    people: Annotated[
        int | None, typer.Option("--people", min=0, help="How many are to be seen.")
    ] = None,
    generated: Annotated[
        bool | None, typer.Option("--generated/--not-generated", help="Whether a model made it.")
    ] = None,
    mature: Annotated[
        bool | None, typer.Option("--mature/--not-mature", help="Whether it is for adults only.")
    ] = None,
    illustration: Annotated[
        bool | None,
        typer.Option("--illustration/--not-illustration", help="Whether it is drawn, not taken."),
    ] = None,
    price: Annotated[
        float | None, typer.Option("--price", min=0.0, help="A hint, in US dollars.")
    ] = None,
    creator: Annotated[str | None, typer.Option("--creator", help="Who made it.")] = None,
    copyright_: Annotated[str | None, typer.Option("--copyright", help="The notice.")] = None,
    accept: Annotated[
        Texts,
        typer.Option(
            "--accept",
            help="Fields whose suggestions become your words: title,keywords, or all words.",
        ),
    ] = None,
    at_least: Annotated[
        float | None,
        typer.Option("--at-least", min=0.0, max=1.0, help="Accept nothing less sure; else 0.3."),
    ] = None,
    clear: Annotated[
        Texts, typer.Option("--clear", help="Fields of which you take your word back.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Say what media are for agencies: title, keywords, use, releases, place and more.

    What you say stands, whatever is processed later; an empty text says that there is nothing to say.
    The same is said of all MEDIA.

    Examples: dam stock edit reel-4e2c --title "Falcon above the sea" --keywords falcon,sea,flight
    --commercial · dam stock edit reel-4e2c memo-77aa --accept all --dry-run
    """
    changes = {
        **given(title=title, description=description, date=date, people=people, creator=creator),
        **given(is_generated=generated, is_mature=mature, is_illustration=illustration),
        **given(price_usd=price, copyright=copyright_),
        **keywords_said(keywords, add_keywords, remove_keywords),
        **categories_said(category or ()),
        **releases_said(release or (), property_release or (), remove_release or ()),
        **place_said(place, region, country),
    }
    if editorial is not None:
        changes["usage"] = "editorial" if editorial else "commercial"
    _refuse_both(set(names(clear)) & set(changes))
    changes |= dict.fromkeys(names(clear))
    if not changes and not accept:
        raise ConfigurationError("Nothing is said. `dam stock edit --help` lists what can be.")
    return _edit(media, changes, names(accept), at_least, dry_run, as_json)


def _edit(
    references: Sequence[str],
    changes: Mapping[str, Json],
    accepted_fields: Sequence[str],
    at_least: float | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    from dam_pipeline.stages.work import Toolbox
    from dam_pipeline.stock.accepting import AT_LEAST, accept, acceptable
    from dam_pipeline.stock.items import load_items
    from dam_pipeline.stock.people import Edit, edit_records, records_of_people
    from dam_pipeline.stock.shortlist import chosen

    asked = acceptable(accepted_fields)
    _refuse_both({one for one in asked if one in changes and changes[one] is None})
    wanted = [one for one in asked if one == "keywords" or one not in changes]
    with Toolbox.open(load_settings()) as tools:
        notes = _notes_on_categories(tools.settings, changes)
        media = chosen(tools, references)
        with bar("reading", len(media)) as tell:
            before = load_items(tools, media, progress=tell)
        _refuse_unknown_releases(before, changes)
        least = AT_LEAST if at_least is None else at_least
        taken = [accept(one, wanted, least) for one in before]
        edits = [
            Edit([item.media.asset_id], merged(one.changes, changes))
            for item, one in zip(before, taken, strict=True)
        ]
        words = records_of_people(tools.settings, edits)
        if not dry_run:
            edit_records(tools.settings, edits)
        with bar("reading again", len(media)) as tell:
            after = load_items(tools, media, words, tell)
    if as_json:
        rows = zip(before, after, taken, strict=True)
        print_json([_document(*row) for row in rows])
        return Exit.OK
    _tell(before, after, taken)
    for note in notes:
        say(f"note: {note}")
    kept = sum(bool(one.changes) for one in edits)
    if dry_run or not kept:
        say(f"Nothing was changed{': --dry-run' if dry_run else ''}.")
    else:
        say(f"Kept for {kept} media.")
    return Exit.OK


def _refuse_both(fields: set[str]) -> None:
    if fields:
        raise ConfigurationError(
            f"{', '.join(sorted(fields))}: say something or --clear it, not both at once."
        )


def _refuse_unknown_releases(items: "Sequence[Item]", changes: Mapping[str, Json]) -> None:
    known = {one.path for item in items for one in item.record.releases}
    for path in (changes.get("releases") or {}).get("remove", ()):
        if os.path.abspath(Path(path).expanduser()) not in known:
            raise ConfigurationError(
                f"{path} is no release of these media: {', '.join(sorted(known)) or 'they have none'}."
            )


def _notes_on_categories(settings: "Settings", changes: Mapping[str, Json]) -> list[str]:
    """What to know of the categories that are said; raises ConfigurationError for no agency."""
    from dam_pipeline.agencies.loading import find_agency, known_agencies
    from dam_pipeline.stock.record import StockRecord
    from dam_pipeline.stock.rules.categories import notes_on

    of_one = {id_: name for id_, name in (changes.get("categories") or {}).items() if name}
    if not of_one and not changes.get("category"):
        return []
    for agency_id in of_one:
        find_agency(settings, agency_id)
    said = StockRecord(category=changes.get("category") or "", categories=of_one)
    return list(notes_on([one.agency for one in known_agencies(settings)], said))


def merged(accepted: Mapping[str, Json], typed: Mapping[str, Json]) -> dict[str, Json]:
    """What was accepted with what was typed over it; of keywords both, but for removed ones."""
    both = {**accepted, **typed}
    if "keywords" in accepted and "keywords" in typed:
        offered, said = accepted["keywords"]["add"], typed["keywords"]
        if isinstance(said, list):
            both["keywords"] = [*said, *offered]
        else:
            removed = {one.casefold() for one in said.get("remove", [])}
            offered = [one for one in offered if one.casefold() not in removed]
            both["keywords"] = {**said, "add": [*said.get("add", []), *offered]}
    return both


def changed_fields(before: "Item", after: "Item") -> dict[str, dict[str, Json]]:
    """Fields of the record that differ, with both values."""
    old, new = before.record.to_json(), after.record.to_json()
    return {
        name: {"before": old[name], "after": new[name]} for name in old if old[name] != new[name]
    }


def _document(before: "Item", after: "Item", taken: "Accepted") -> dict[str, Json]:
    return {
        "media_id": after.media.media_id,
        "partition_key": after.media.partition_key,
        "changed": changed_fields(before, after),
        "left_out": taken.left_out,
        "record": after.record.to_json(),
        "said_by": dict(after.said_by),
    }


def _tell(before: "Sequence[Item]", after: "Sequence[Item]", taken: "Sequence[Accepted]") -> None:
    for old, new, accepted in zip(before, after, taken, strict=True):
        rows = [
            (name, value_text(change["before"]), value_text(change["after"]))
            for name, change in changed_fields(old, new).items()
        ]
        if rows or accepted.left_out:
            OUT.print(f"{new.media.first_name}  ({new.media.partition_key})", markup=False)
        if rows:
            table(("field", "before", "after"), rows)
        for name, reason in accepted.left_out.items():
            say(f"{name} is left as it is: {reason}.")
