"""`dam stock approve`: let the schedule publish a package."""

from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.delivery_view import entry, package_table, told_size
from dam_pipeline.cli.options import AsJson
from dam_pipeline.cli.output import Exit, command, print_json, say
from dam_pipeline.cli.stock_publish import Again, PackageRef, To
from dam_pipeline.settings import load_settings

if TYPE_CHECKING:
    from dam_pipeline.stock.deliveries import Delivery


@command
def run(
    package: PackageRef,
    to: To,
    again: Again = False,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Take the approval back, for what is not sent yet.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Approve that a package is sent to an address; the schedule does it when it is switched on.

    Files count as approved until they are there; `dam stock publish` sends them as well.

    Examples: dam stock approve spring-2026 --to sftp://me@host/upload ·
    dam stock approve spring-2026 --to sftp://me@host/upload --withdraw
    """
    from dam_pipeline.publishing import parse_destination
    from dam_pipeline.publishing.approving import approve, take_back
    from dam_pipeline.publishing.plan import find_package

    settings = load_settings()
    destination, folder = parse_destination(to), find_package(settings, package)
    if withdraw:
        taken = take_back(settings, folder, destination)
        return _tell(taken, f"{len(taken)} files are no longer approved.", as_json)
    plan, approved = approve(settings, folder, destination, again=again)
    size = told_size(sum(one.size_bytes for one in approved))
    text = f"{len(approved)} files ({size}) are approved for {destination.url}"
    return _tell([*plan.left_out, *approved], f"{text}, {len(plan.left_out)} left out.", as_json)


def _tell(deliveries: "list[Delivery]", text: str, as_json: bool) -> int:
    if as_json:
        print_json([entry(one) for one in deliveries])
        return Exit.OK
    package_table(deliveries)
    say(text)
    return Exit.OK
