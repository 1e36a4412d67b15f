"""`dam search`: moments by what they show or what is said."""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.options import AsJson
from dam_pipeline.cli.output import Exit, command, print_json, say, table
from dam_pipeline.cli.wording import place, span
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.records import Filters, MediaKind
from dam_pipeline.settings import load_settings

if TYPE_CHECKING:
    from dam_pipeline.search.hits import Hit

DATE = re.compile(r"\d{4}(-\d\d(-\d\d([T ]\d\d(:\d\d(:\d\d\S*)?)?)?)?)?")


@command
def run(
    text: Annotated[str | None, typer.Argument(help="What it shows, or what is said.")] = None,
    image: Annotated[
        Path | None, typer.Option("--image", metavar="FILE", help="A picture that it looks like.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Most hits that are shown.")] = 20,
    kind: Annotated[
        list[MediaKind] | None, typer.Option(help="Only this kind; may be repeated.")
    ] = None,
    path: Annotated[str, typer.Option(metavar="GLOB", help="Only paths that fit or hold it.")] = "",
    after: Annotated[str, typer.Option(metavar="DATE", help="Recorded then or later.")] = "",
    before: Annotated[str, typer.Option(metavar="DATE", help="Recorded before.")] = "",
    camera: Annotated[str, typer.Option(help="Part of the camera's name.")] = "",
    has_audio: Annotated[
        bool | None, typer.Option("--has-audio/--no-audio", help="With or without sound.")
    ] = None,
    min_duration: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="At least this long.")
    ] = None,
    max_duration: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="At most this long.")
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(help="Only files with this tag; may be repeated: all of them."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Find moments by a text, a picture, or both: in pictures, in what is said and what it means.

    Words match in all their forms; what stands in double quotes is found in just these words.
    Dates are as in 2026, 2026-11 or 2026-11-21. What is not there gives no hits.

    Examples: dam search "red circle" · dam search '"before the storm"' --kind video --after 2026
    """
    if text is None and image is None:
        raise ConfigurationError("Nothing to search for: give a TEXT, --image FILE, or both.")
    if image is not None and not image.is_file():
        raise ConfigurationError(f"{image} is no file. Give a picture that is there.")
    filters = Filters(
        kinds=tuple(kind or ()),
        path=path,
        after=_date(after, "--after"),
        before=_date(before, "--before"),
        camera=camera,
        has_audio=has_audio,
        min_duration_s=min_duration,
        max_duration_s=max_duration,
        tags=tuple(tag or ()),
    )
    return _search(text, image, filters, limit, as_json)


def _search(
    text: str | None, image: Path | None, filters: Filters, limit: int, as_json: bool
) -> int:
    from dam_pipeline.catalogue.active_models import conflicts
    from dam_pipeline.search.asking import Models
    from dam_pipeline.search.query import Library, search
    from dam_pipeline.stages.work import Toolbox

    with Toolbox.open(load_settings()) as tools:
        models = Models.of(tools.settings)
        library = Library(tools.settings, tools.catalogue, tools.derived, tools.store, models)
        found = search(library, text, image, filters, limit)
        unheeded = conflicts(tools.asked, tools.catalogue.spaces.all())
        found = replace(found, warnings=(*unheeded, *found.warnings))
    for warning in found.warnings:
        say(f"note: {warning}")
    if as_json:
        print_json(found.to_json())
    elif not found.hits:
        say("Nothing found.")
    else:
        table(
            ("score", "when", "why", "file"),
            [
                (f"{hit.score:.3f}", span(hit.start_s, hit.end_s), _why(hit), place(hit.uri))
                for hit in found.hits
            ],
        )
    return Exit.OK


def _why(hit: "Hit") -> str:
    said = next((one for one in hit.evidence if one.text), None)
    verb = "means" if said and said.kind == "meaning" else "says"
    words = f"{verb} “{said.text.strip()}”" if said and said.text else ""
    picture = next((one for one in hit.evidence if one.kind == "picture"), None)
    shows = f"{picture.query} {picture.score:.2f}" if picture else ""
    return ", ".join(filter(None, (words, shows)))


def _date(text: str, option: str) -> str:
    if text and not DATE.fullmatch(text):
        raise ConfigurationError(f"{option} {text} is no date. Write 2026, 2026-11 or 2026-11-21.")
    return text
