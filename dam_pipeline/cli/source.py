"""`dam source`: the folders and buckets that the sensors watch."""

from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.options import AsJson
from dam_pipeline.cli.output import Exit, command, print_json, say, table
from dam_pipeline.cli.wording import place
from dam_pipeline.settings import load_settings

if TYPE_CHECKING:
    from dam_pipeline.catalogue.registry import Source

Name = Annotated[str, typer.Argument(metavar="NAME", help="A source that `list` shows.")]

app = typer.Typer(
    help="The folders and buckets that are watched while `dam ui` runs.", no_args_is_help=True
)


@app.command()
@command
def add(
    folder: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER|S3_URL", help="A folder of originals, or s3://bucket/prefix."
        ),
    ],
    name: Annotated[str | None, typer.Option(help="What to call it; else its own name.")] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Paths below it to leave out; may be repeated."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Watch a folder or bucket from now on: what appears, changes or moves there is processed.

    Examples: dam source add /media/tapes --exclude "proxies/*" · dam source add s3://rushes/2026
    """
    from dam_pipeline.catalogue.registry import add_source
    from dam_pipeline.dagster_home import prepare_home

    settings = load_settings()
    prepare_home(settings)
    source = add_source(settings, folder, name, exclude or ())
    return _told(source, f"{source.name} is watched while `dam ui` runs.", as_json)


@app.command("list")
@command
def list_(as_json: AsJson = False) -> int:
    """List the watched folders and buckets, and whether each can be reached now.

    Example: dam source list
    """
    from dam_pipeline.catalogue.registry import list_sources
    from dam_pipeline.sources.originals import is_reachable

    sources = list_sources(load_settings())
    if as_json:
        print_json([_document(source) for source in sources])
    elif not sources:
        say("Nothing is watched. `dam source add FOLDER` adds a folder, or a bucket.")
    else:
        table(
            ("name", "place", "reachable", "left out"),
            [
                (
                    one.name,
                    place(one.uri),
                    "yes" if is_reachable(one.uri) else "no",
                    ", ".join(one.exclude),
                )
                for one in sources
            ],
        )
    return Exit.OK


@app.command()
@command
def remove(name: Name, as_json: AsJson = False) -> int:
    """Stop watching a folder or bucket; the files that came from it stay in the library.

    Example: dam source remove tapes
    """
    from dam_pipeline.catalogue.registry import remove_source

    source = remove_source(load_settings(), name)
    return _told(source, f"{source.name} is no longer watched; its files stay.", as_json)


@app.command()
@command
def accept(name: Name, as_json: AsJson = False) -> int:
    """Believe that what is missing from a source is really gone, when the sensor refused to.

    Example: dam source accept tapes
    """
    from dam_pipeline.catalogue.registry import accept_source

    source = accept_source(load_settings(), name)
    return _told(source, f"The next look at {source.name} believes what is missing.", as_json)


def _told(source: "Source", text: str, as_json: bool) -> int:
    if as_json:
        print_json(_document(source))
    else:
        say(text)
    return Exit.OK


def _document(source: "Source") -> dict[str, object]:
    from dam_pipeline.sources.originals import is_reachable

    return {
        "name": source.name,
        "uri": source.uri,
        "exclude": list(source.exclude),
        "added_at": source.added_at,
        "accepted_at": source.accepted_at or None,
        "present": is_reachable(source.uri),
    }
