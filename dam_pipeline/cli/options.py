"""Options that several commands share."""

from typing import Annotated

import typer


def _agency_ids() -> list[str]:
    """What a shell completes `--agency` with: the files of agencies, by name."""
    from dam_pipeline.agencies.loading import OWN, shipped_files
    from dam_pipeline.settings import load_settings

    own = (path.stem for path in (load_settings().home / OWN).glob("*.toml"))
    return sorted({*shipped_files(), *own})


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
MediaOrShortlist = Annotated[
    list[str] | None,
    typer.Argument(metavar="MEDIA", help="Ids, keys, paths or prefixes; else the shortlist."),
]
StageName = Annotated[
    list[str] | None, typer.Option("--stage", help="Only this stage; may be repeated.")
]
AgencyId = Annotated[
    str,
    typer.Option(
        "--agency",
        metavar="ID",
        help="The agency, as `dam stock agencies` lists it.",
        autocompletion=_agency_ids,
    ),
]
