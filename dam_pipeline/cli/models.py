"""`dam models`: which weights there are, bringing them in, checking them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.options import AsJson
from dam_pipeline.cli.output import Exit, bar, command, print_json, say, table
from dam_pipeline.settings import load_settings

if TYPE_CHECKING:
    from dam_pipeline.models.weights import ModelStatus

PERCENT = 100

app = typer.Typer(help="Model weights: the only commands that download any.", no_args_is_help=True)


@app.command("list")
@command
def list_(as_json: AsJson = False) -> int:
    """List the known and imported models: what they are for, whether they are here, their licence.

    Example: dam models list
    """
    from dataclasses import asdict

    from dam_pipeline.catalogue.active_models import library_settings
    from dam_pipeline.models.weights import list_models

    found = list_models(library_settings(load_settings()))
    if as_json:
        print_json([asdict(one) for one in found])
        return Exit.OK
    table(
        ("model", "for", "here", "used", "profiles", "licence"),
        [
            (
                one.name,
                one.kind.replace("_", "-"),
                "yes" if one.present else "no",
                "yes" if one.used else "",
                ", ".join(one.profiles),
                one.licence,
            )
            for one in found
        ],
    )
    for one in found:
        if one.used and not one.present:
            say(f"{one.name} is used and not here: `dam doctor` says how to get it.")
    return Exit.OK


@app.command()
@command
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model that `list` shows.")],
    as_json: AsJson = False,
) -> int:
    """Download a known model's weights and check them against their published hash.

    Example: dam models fetch clip-vit-b32
    """
    from dam_pipeline.models.weights import fetch as bring

    with bar(f"fetching {name}", PERCENT) as tell:
        status = bring(name, load_settings(), lambda share: tell(round(share * PERCENT), ""))
    return _told(status, as_json)


@app.command("import")
@command
def import_(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder or file of weights.")],
    name: Annotated[
        str | None, typer.Option(help="What to call it; else the known or the folder's name.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Copy weights that are already on this machine into the library; their form is recognised.

    Examples: dam models import ~/clip-vit-base-patch32 · dam models import base.pt --name my-base
    """
    from dam_pipeline.models.weights import import_folder

    return _told(import_folder(folder, load_settings(), name), as_json)


@app.command()
@command
def verify(as_json: AsJson = False) -> int:
    """Read all weights that are here again and compare their hashes; exit code 1 when one differs.

    Example: dam models verify
    """
    from dataclasses import asdict

    from dam_pipeline.models.weights import verify as read_again

    verdicts = read_again(load_settings())
    if as_json:
        print_json([asdict(one) for one in verdicts])
    else:
        table(
            ("model", "well", "path", "reason"),
            [(one.name, "yes" if one.ok else "no", one.path, one.reason) for one in verdicts],
        )
    return Exit.OK if all(one.ok for one in verdicts) else Exit.ERROR


def _told(status: "ModelStatus", as_json: bool) -> int:
    from dataclasses import asdict

    if as_json:
        print_json(asdict(status))
    else:
        say(f"{status.name} is here: {status.path} (sha256 {status.sha256}).")
    return Exit.OK
