"""`dam stock show`: what is said of media for agencies, by whom, and what is suggested."""

from typing import TYPE_CHECKING

from dam_pipeline.cli.delivery_view import deliveries_table
from dam_pipeline.cli.options import AsJson, MediaRefs
from dam_pipeline.cli.output import OUT, Exit, bar, command, print_json, table
from dam_pipeline.cli.stock_wording import value_text
from dam_pipeline.cli.wording import place
from dam_pipeline.records import Json
from dam_pipeline.settings import load_settings

if TYPE_CHECKING:
    from dam_pipeline.stock.deliveries import Delivery
    from dam_pipeline.stock.record import Item
    from dam_pipeline.stock.shortlist import Pick


@command
def run(media: MediaRefs, as_json: AsJson = False) -> int:
    """Show what is said of media for agencies, who says so, and what is suggested.

    Examples: dam stock show reel-4e2c · dam stock show /media/tapes/a.mov --json
    """
    from dam_pipeline.stages.work import Toolbox
    from dam_pipeline.stock.deliveries import Deliveries
    from dam_pipeline.stock.items import load_items
    from dam_pipeline.stock.shortlist import chosen, picks

    with Toolbox.open(load_settings()) as tools:
        found = chosen(tools, media)
        with bar("reading", len(found)) as tell:
            items = load_items(tools, found, progress=tell)
        listed = picks(tools.settings)
        went = Deliveries(tools.settings).of_assets(one.asset_id for one in found)
    if as_json:
        print_json(
            [
                _document(one, listed.get(one.media.asset_id), went[one.media.asset_id])
                for one in items
            ]
        )
        return Exit.OK
    for item in items:
        _print(item, listed.get(item.media.asset_id))
        _print_deliveries(went[item.media.asset_id])
    return Exit.OK


def _document(item: "Item", pick: "Pick | None", went: "list[Delivery]") -> dict[str, Json]:
    """The documented form."""
    return {
        "media_id": item.media.media_id,
        "partition_key": item.media.partition_key,
        "asset_id": item.media.asset_id,
        "kind": item.media.kind.value,
        "name": item.media.first_name,
        "uri": item.uri,
        "sha256": item.sha256,
        "faces": item.faces,
        "shortlist": pick and {"rating": pick.rating, "tags": list(pick.tags), "note": pick.note},
        "record": item.record.to_json(),
        "said_by": dict(item.said_by),
        "suggestions": [one.to_json() for one in item.suggestions],
        "deliveries": [one.to_json() for one in went],
    }


def _print(item: "Item", pick: "Pick | None") -> None:
    stars = "★" * (pick.rating or 0) if pick else ""
    listed = f"  on the shortlist {stars}".rstrip() if pick else ""
    OUT.print(f"{item.media.first_name}  ({item.media.partition_key}){listed}", markup=False)
    OUT.print(f"  {place(item.uri or None)}\n", markup=False)
    record = item.record.to_json()
    table(
        ("field", "value", "says"),
        [
            (name, value_text(value), item.said_by[name])
            for name, value in record.items()
            if name in item.said_by
        ],
    )
    offered = [one for one in item.suggestions if item.said_by.get(one.field) != one.source]
    if offered:
        OUT.print("\nsuggested (`dam stock edit MEDIA --accept FIELD` takes it)", markup=False)
        table(
            ("field", "value", "by", "sure", "because"),
            [
                (
                    one.field,
                    value_text(one.value),
                    one.source,
                    f"{one.confidence:.2f}",
                    one.evidence,
                )
                for one in offered
            ],
        )
    for warning in dict.fromkeys(one.warning for one in offered if one.warning):
        OUT.print(f"\nnote: {warning}", markup=False)
    OUT.print("")


def _print_deliveries(went: "list[Delivery]") -> None:
    if went:
        deliveries_table(went)
        OUT.print("")
