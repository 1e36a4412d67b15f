"""Options that several commands share."""

from typing import Annotated

import typer

AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print JSON for scripts, and nothing else, on standard output."),
]
MediaRef = Annotated[
    str,
    typer.Argument(metavar="MEDIA", help="A media id, a partition key, a path or a unique prefix."),
]
MediaRefs = Annotated[
    list[str],
    typer.Argument(metavar="MEDIA…", help="Media ids, partition keys, paths or unique prefixes."),
]
StageName = Annotated[
    list[str] | None, typer.Option("--stage", help="Only this stage; may be repeated.")
]
