"""`dam stock publish`: send a package to its agency, or tell what would be sent."""

from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.delivery_view import entry, package_table, told_size
from dam_pipeline.cli.options import AsJson
from dam_pipeline.cli.output import Exit, command, print_json, say, transfer_bar
from dam_pipeline.settings import load_settings

if TYPE_CHECKING:
    from dam_pipeline.publishing.plan import Plan
    from dam_pipeline.stock.deliveries import Delivery

PackageRef = Annotated[
    str,
    typer.Argument(
        metavar="PACKAGE", help="Folder of a package, or its name in DAM_HOME/packages."
    ),
]
To = Annotated[
    str,
    typer.Option(
        metavar="ADDRESS",
        help="sftp://user@host/dir, ftps://…, ftp://…, s3://bucket/dir, or a folder. No passwords.",
    ),
]
Again = Annotated[
    bool, typer.Option("--again", help="Also what the agency has, or has had already.")
]


@command
def run(
    package: PackageRef,
    to: To,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be sent; connect to nobody.")
    ] = False,
    again: Again = False,
    jobs: Annotated[int, typer.Option(min=1, max=32, help="Connections at once.")] = 2,
    limit: Annotated[
        str,
        typer.Option(
            metavar="RATE", help="Most that is sent: 2MB/s, 500kB/s, 16Mbit/s; 0: no limit."
        ),
    ] = "",
    as_json: AsJson = False,
) -> int:
    """Send a package: files are resumed after a cut, compared over there, and never sent twice.

    What the agency has by the ledger is left out and named. A file that fails does not stop the
    others; the same command goes on with it.

    Examples: dam stock publish spring-2026 --to sftp://me@host/upload --dry-run ·
    dam stock publish ./package --to ftps://me@host --limit 2MB/s
    """
    from dam_pipeline.packaging.manifest import read_manifest
    from dam_pipeline.publishing import parse_destination
    from dam_pipeline.publishing.advice import advice
    from dam_pipeline.publishing.plan import find_package, plan_delivery
    from dam_pipeline.publishing.rate import parse_rate
    from dam_pipeline.publishing.sending import Options, publish, unfinished

    settings = load_settings()
    destination, limit_bytes_per_s = parse_destination(to), parse_rate(limit)
    folder = find_package(settings, package)
    for warning in advice(settings, read_manifest(folder).agency, destination):
        say(f"warning: {warning}")
    with transfer_bar("publishing") as told:
        if not dry_run:
            options = Options(again, jobs, limit_bytes_per_s)
            deliveries = publish(settings, folder, destination, options, told)
        else:
            plan = plan_delivery(
                settings,
                folder,
                destination,
                again=again,
                checked=lambda done, total: told(done, total, "checking the package"),
            )
    if dry_run:
        return _tell_plan(plan, as_json)
    if as_json:
        print_json([entry(one) for one in deliveries])
    else:
        _tell(deliveries)
    return Exit.SOME_FAILED if unfinished(deliveries) else Exit.OK


def _tell_plan(plan: "Plan", as_json: bool) -> int:
    outgoing = [one.delivery for one in plan.outgoing]
    if as_json:
        print_json([entry(one) for one in (*plan.left_out, *outgoing)])
        return Exit.OK
    package_table([*plan.left_out, *outgoing])
    say(
        f"{len(outgoing)} files ({told_size(plan.size_bytes)}) would be sent to "
        f"{plan.destination.url}, {len(plan.left_out)} would not. Nothing was changed."
    )
    return Exit.OK


def _tell(deliveries: "list[Delivery]") -> None:
    from dam_pipeline.publishing.sending import unfinished
    from dam_pipeline.stock.deliveries import DeliveryState

    package_table(deliveries)
    failed = unfinished(deliveries)
    there = [one for one in deliveries if not one.reason]
    compared = sum(one.state is DeliveryState.VERIFIED for one in there)
    words = [f"{compared} delivered, bytes verified"]
    if compared < len(there):
        words.append(f"{len(there) - compared} delivered, the server tells nothing to compare")
    if left_out := len(deliveries) - len(there) - len(failed):
        words.append(f"{left_out} left out")
    if failed:
        words.append(f"{len(failed)} not there: the same command goes on with them")
    say("; ".join(words) + ".")
