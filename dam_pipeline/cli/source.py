"""`dam source`: the folders that the sensors watch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.options import AsJson
from dam_pipeline.cli.output import Exit, command, print_json, say, table
from dam_pipeline.cli.wording import place
from dam_pipeline.settings import load_settings

if TYPE_CHECKING:
    from dam_pipeline.catalogue.registry import Source

Name = Annotated[str, typer.Argument(metavar="NAME", help="A source that `list` shows.")]

app = typer.Typer(help="The folders that are watched while `dam ui` runs.", no_args_is_help=True)


@app.command()
@command
def add(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="A folder of originals.")],
    name: Annotated[
        str | None, typer.Option(help="What to call it; else the folder's name.")
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Paths below it to leave out; may be repeated."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Watch a folder from now on: what appears, changes or moves there is processed by itself.

    Example: dam source add /media/tapes --name tapes --exclude "proxies/*"
    """
    from dam_pipeline.catalogue.registry import add_source
    from dam_pipeline.dagster_home import prepare_home

    settings = load_settings()
    prepare_home(settings)
    source = add_source(settings.home, folder, name, exclude or ())
    return _told(source, f"{source.name} is watched while `dam ui` runs.", as_json)


@app.command("list")
@command
def list_(as_json: AsJson = False) -> int:
    """List the watched folders and whether each can be reached now.

    Example: dam source list
    """
    from dam_pipeline.catalogue.registry import list_sources

    sources = list_sources(load_settings().home)
    if as_json:
        print_json([_document(source) for source in sources])
    elif not sources:
        say("No folder is watched. `dam source add FOLDER` adds one.")
    else:
        table(
            ("name", "folder", "reachable", "left out"),
            [
                (
                    one.name,
                    place(one.uri),
                    "yes" if Path(one.path).is_dir() else "no",
                    ", ".join(one.exclude),
                )
                for one in sources
            ],
        )
    return Exit.OK


@app.command()
@command
def remove(name: Name, as_json: AsJson = False) -> int:
    """Stop watching a folder; the files that came from it stay in the library.

    Example: dam source remove tapes
    """
    from dam_pipeline.catalogue.registry import remove_source

    source = remove_source(load_settings().home, name)
    return _told(source, f"{source.name} is no longer watched; its files stay.", as_json)


@app.command()
@command
def accept(name: Name, as_json: AsJson = False) -> int:
    """Believe that what is missing from a folder is really gone, when the sensor refused to.

    Example: dam source accept tapes
    """
    from dam_pipeline.catalogue.registry import accept_source

    source = accept_source(load_settings().home, name)
    return _told(source, f"The next look at {source.name} believes what is missing.", as_json)


def _told(source: "Source", text: str, as_json: bool) -> int:
    if as_json:
        print_json(_document(source))
    else:
        say(text)
    return Exit.OK


def _document(source: "Source") -> dict[str, object]:
    return {
        "name": source.name,
        "uri": source.uri,
        "exclude": list(source.exclude),
        "added_at": source.added_at,
        "accepted_at": source.accepted_at or None,
        "present": Path(source.path).is_dir(),
    }
