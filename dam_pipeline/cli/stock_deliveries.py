"""`dam stock deliveries`: the ledger of what went where, and what came of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.default_list import ListByDefault
from dam_pipeline.cli.delivery_view import deliveries_table
from dam_pipeline.cli.options import AgencyId, AsJson, MediaRefs
from dam_pipeline.cli.output import Exit, command, print_json, say
from dam_pipeline.cli.stock_publish import PackageRef
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from dam_pipeline.stock.deliveries import Delivery

Reason = Annotated[str, typer.Option(metavar="TEXT", help="What the agency says.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell what would change; change nothing.")]

app = typer.Typer(
    cls=ListByDefault,
    help="The ledger of deliveries: what went where, and what came of it there.",
)


@app.command("list")
@command
def list_(
    media: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MEDIA…]", help="Only these media; all when left out."),
    ] = None,
    agency: AgencyId = "",
    state: Annotated[
        str, typer.Option(metavar="STATE", help="Only in this state, such as rejected.")
    ] = "",
    history: Annotated[
        bool, typer.Option("--history", help="Every word of the ledger, not only the last.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """List deliveries as they stand: planned, approved, uploading, delivered, verified, and so on.

    `verified` says that all bytes are over there; `accepted` only a person or an import says.

    Examples: dam stock deliveries list · dam stock deliveries list --agency adobe-stock --state rejected
    """
    from dam_pipeline.agencies.loading import find_agency
    from dam_pipeline.stock.deliveries import Deliveries, DeliveryState

    if state and state not in list(DeliveryState):
        raise ConfigurationError(f"There is no state {state}. States: {', '.join(DeliveryState)}.")
    settings = load_settings()
    ledger = Deliveries(settings)
    assets = _assets(settings, media) if media else {}
    found = [
        one
        for one in (ledger.history() if history else ledger.latest().values())
        if (not agency or one.agency == agency)
        and (not state or one.state.value == state)
        and (not assets or one.asset_id in assets)
    ]
    if agency and not found:
        find_agency(settings, agency)  # what was typed may be none
    return _tell(found, as_json, "Nothing of this kind is in the ledger.")


@app.command()
@command
def add(package: PackageRef, as_json: AsJson = False) -> int:
    """Note that you have uploaded a package in the agency's portal yourself.

    What the agency has by the ledger already is left as it is. Nothing is sent by this.

    Example: dam stock deliveries add spring-2026
    """
    from dam_pipeline.publishing.approving import carried_by_hand
    from dam_pipeline.publishing.plan import find_package

    settings = load_settings()
    plan, noted = carried_by_hand(settings, find_package(settings, package))
    code = _tell([*plan.left_out, *noted], as_json, "The package holds nothing that is uploaded.")
    say(f"{len(noted)} files are noted as delivered, {len(plan.left_out)} were known.")
    return code


@app.command()
@command
def accept(media: MediaRefs, agency: AgencyId, as_json: AsJson = False) -> int:
    """Say that the agency has accepted media.

    Example: dam stock deliveries accept falcon-3f2a9c --agency adobe-stock
    """
    return _say("accepted", media, agency, "", as_json)


@app.command()
@command
def reject(media: MediaRefs, agency: AgencyId, reason: Reason = "", as_json: AsJson = False) -> int:
    """Say that the agency has rejected media. A mended file can then be packaged and published.

    Example: dam stock deliveries reject falcon-3f2a9c --agency adobe-stock --reason "out of focus"
    """
    if not reason:
        raise ConfigurationError('Say why, so that it can be mended: --reason "out of focus".')
    return _say("rejected", media, agency, reason, as_json)


@app.command()
@command
def withdraw(
    media: MediaRefs, agency: AgencyId, reason: Reason = "", as_json: AsJson = False
) -> int:
    """Say that media were withdrawn from the agency; nothing is deleted over there by this.

    Example: dam stock deliveries withdraw falcon-3f2a9c --agency pond5 --reason "sold exclusively"
    """
    return _say("withdrawn", media, agency, reason, as_json)


@app.command("import")
@command
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV: file name or media, status, reason.")
    ],
    agency: AgencyId,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Take results from the agency's table: columns for the file name or media, status and reason.

    Exit code 3 when rows are left that say nothing of a delivery; they are named.

    Examples: dam stock deliveries import review.csv --agency adobe-stock --dry-run ·
    dam stock deliveries import review.csv --agency adobe-stock
    """
    from dam_pipeline.stock.deliveries import Deliveries
    from dam_pipeline.stock.results import compare_results, read_results

    settings = load_settings()
    results = compare_results(settings, agency, read_results(file))
    if not dry_run:
        Deliveries(settings).record(*results.changes)
    if as_json:
        print_json(results.to_json())
    else:
        deliveries_table(results.changes)
        for one in results.unknown:
            say(f"line {one.row}, {one.name or 'no name'}: {one.why}.")
        say(
            f"{len(results.changes)} {'would change' if dry_run else 'changed'}, "
            f"{results.unchanged} stood so already, {results.pending} are undecided, "
            f"{len(results.unknown)} rows are unknown."
        )
    return Exit.SOME_FAILED if results.unknown else Exit.OK


def _say(state: str, media: list[str], agency: str, reason: str, as_json: bool) -> int:
    from dam_pipeline.stock.deliveries import Deliveries, DeliveryState
    from dam_pipeline.stock.results import results_of

    settings = load_settings()
    assets = _assets(settings, media)
    words = results_of(settings, agency, assets, DeliveryState(state), reason)
    return _tell(Deliveries(settings).record(*words), as_json, "")


def _assets(settings: Settings, references: list[str]) -> dict[str, str]:
    """The assets that a person named, and how."""
    from dam_pipeline.catalogue.catalogue import open_catalogue

    with open_catalogue(settings.home, settings.postgres_url) as catalogue:
        return {catalogue.find(one).asset_id: one for one in references}


def _tell(deliveries: "list[Delivery]", as_json: bool, otherwise: str) -> int:
    if as_json:
        print_json([one.to_json() for one in deliveries])
    elif deliveries:
        deliveries_table(deliveries)
    else:
        say(otherwise)
    return Exit.OK
