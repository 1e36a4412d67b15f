"""`dam stock shortlist`: which media are meant for agencies, with ratings, tags and notes."""

from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.default_list import ListByDefault
from dam_pipeline.cli.options import AsJson, MediaRefs
from dam_pipeline.cli.output import Exit, command, print_json, say, table
from dam_pipeline.records import Json, Media, MediaKind
from dam_pipeline.settings import load_settings

if TYPE_CHECKING:
    from dam_pipeline.stages.work import Toolbox

app = typer.Typer(
    cls=ListByDefault,
    help="The shortlist: media that are meant for agencies, with ratings, tags and notes.",
)


@app.command()
@command
def add(
    media: MediaRefs,
    rating: Annotated[
        int | None, typer.Option("--rating", min=1, max=5, help="1 to 5 stars, your own.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="A tag of the list; may be repeated.")
    ] = None,
    note: Annotated[
        str | None, typer.Option("--note", help="A note in place of an old one.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Put media on the shortlist, or say more of those that are on it.

    Example: dam stock shortlist add reel-4e2c /media/tapes/a.mov --rating 5 --tag spring
    """
    from dam_pipeline.stages.work import Toolbox
    from dam_pipeline.stock import shortlist

    with Toolbox.open(load_settings()) as tools:
        found = shortlist.chosen(tools, media)
        asset_ids = list(dict.fromkeys(one.asset_id for one in found))
        shortlist.add(tools.settings, asset_ids, rating, tag or (), note)
        rows = [row for row in _rows(tools) if row["asset_id"] in set(asset_ids)]
    return _tell(rows, as_json)


@app.command()
@command
def remove(media: MediaRefs, as_json: AsJson = False) -> int:
    """Take media from the shortlist, with their ratings, tags and notes there.

    Example: dam stock shortlist remove reel-4e2c
    """
    from dam_pipeline.stages.work import Toolbox
    from dam_pipeline.stock import shortlist

    with Toolbox.open(load_settings()) as tools:
        found = {one.asset_id for one in shortlist.chosen(tools, media)}
        rows = [row for row in _rows(tools) if row["asset_id"] in found]
        shortlist.remove(tools.settings, [row["asset_id"] for row in rows])
    if as_json:
        print_json([{key: row[key] for key in ("media_id", "partition_key")} for row in rows])
    say(f"Took {len(rows)} from the shortlist.")
    return Exit.OK


@app.command("list")
@command
def list_(
    rating: Annotated[
        int | None, typer.Option("--rating", min=1, max=5, help="Only with so many stars or more.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="Only with this tag; may be repeated.")
    ] = None,
    kind: Annotated[
        MediaKind | None, typer.Option("--kind", help="Only video, image or audio.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """List what is on the shortlist, in the order in which it was added.

    Examples: dam stock shortlist · dam stock shortlist list --rating 4 --kind video
    """
    from dam_pipeline.stages.work import Toolbox

    wanted = {one.casefold() for one in tag or ()}
    with Toolbox.open(load_settings()) as tools:
        rows = [
            row
            for row in _rows(tools)
            if (row["rating"] or 0) >= (rating or 0)
            and wanted <= {one.casefold() for one in row["tags"]}
            and kind in (None, row["kind"])
        ]
    return _tell(rows, as_json)


def _rows(tools: "Toolbox") -> list[dict[str, Json]]:
    """The whole list in the documented form."""
    from dam_pipeline.stock import shortlist

    picks = shortlist.picks(tools.settings)
    media = shortlist.shortlisted(tools.settings, tools.catalogue)
    places = tools.catalogue.locations_of([one.media_id for one in media])
    return [
        {
            **_about(one),
            "uri": next((place.uri for place in places[one.media_id]), ""),
            "rating": picks[one.asset_id].rating,
            "tags": list(picks[one.asset_id].tags),
            "note": picks[one.asset_id].note,
            "added_at": picks[one.asset_id].when,
            "by": picks[one.asset_id].by,
        }
        for one in media
    ]


def _about(media: Media) -> dict[str, Json]:
    return {
        "media_id": media.media_id,
        "partition_key": media.partition_key,
        "asset_id": media.asset_id,
        "kind": media.kind.value,
        "name": media.first_name,
    }


def _tell(rows: list[dict[str, Json]], as_json: bool) -> int:
    if as_json:
        print_json(rows)
        return Exit.OK
    if not rows:
        say("Nothing of this kind is on the shortlist: `dam stock shortlist add MEDIA…`.")
        return Exit.OK
    table(
        ("media", "file", "rating", "tags", "note"),
        [
            (
                row["partition_key"],
                row["name"],
                "★" * (row["rating"] or 0),
                ", ".join(row["tags"]),
                row["note"],
            )
            for row in rows
        ],
    )
    return Exit.OK
