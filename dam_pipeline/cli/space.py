"""`dam space`: embedding spaces side by side, and which of them the library uses."""

from pathlib import Path
from typing import Annotated

import typer

from dam_pipeline.cli.options import AsJson
from dam_pipeline.cli.output import Exit, bar, command, print_json, say, table
from dam_pipeline.cli.space_runs import follow, run_builds
from dam_pipeline.cli.space_view import (
    about,
    check_not_active,
    lines_of,
    tell,
    unfinished,
    weighed,
)
from dam_pipeline.records import Json
from dam_pipeline.settings import load_settings

DEFAULT_K = 10
IMAGE_TEXT = "image_text"

app = typer.Typer(
    help="Embedding spaces: build one beside the active one, compare, promote, roll back.",
    no_args_is_help=True,
)

Kind = Annotated[str, typer.Option(help="What is embedded: image_text, face or sentence.")]
Name = Annotated[
    str, typer.Argument(metavar="SPACE", help="A space's name, its beginning, or its model.")
]
QueriesFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Queries, one a line: a text or a picture's path, then a tab and the media it must find.",
    ),
]
TopK = Annotated[int, typer.Option("--k", min=1, help="How many of the best files are looked at.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")]


@app.command("list")
@command
def list_(as_json: AsJson = False) -> int:
    """List the spaces: which is active, which are candidates or were active before, what they cover.

    Example: dam space list
    """
    from dam_pipeline.catalogue.active_models import conflicts
    from dam_pipeline.spaces.candidates import active_space
    from dam_pipeline.stages.work import Toolbox

    with Toolbox.open(load_settings()) as tools:
        known = tools.catalogue.spaces.all()
        kinds = {one.kind for one in known if one.status == "active"}
        implied = [active_space(tools, kind) for kind in (IMAGE_TEXT, "face", "sentence")]
        records = sorted(
            [*known, *(one for one in implied if one.kind not in kinds)],
            key=lambda one: (one.kind, one.added_at),
        )
        rows = [about(tools, one) for one in records]
        warnings = [*conflicts(tools.asked, known), *unfinished(tools)]
    if as_json:
        print_json({"spaces": rows, "warnings": warnings})
    else:
        table(
            ("kind", "space", "model", "is", "files", "last comparison"),
            [
                (r["kind"], r["name"], r["model"], r["status"], str(r["files"]), weighed(r))
                for r in rows
            ],
        )
        for warning in warnings:
            say(f"note: {warning}")
    return Exit.OK


@app.command()
@command
def build(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model of `dam models list`, or a folder.")
    ],
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH", help="Only files below these.")
    ] = None,
    kind: Kind = IMAGE_TEXT,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many files more.")] = None,
    later: Annotated[
        bool,
        typer.Option("--later", help="Only name the candidate: a backfill builds it on workers."),
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Build a model's space for the library or a part of it, while searches use the active one.

    Only stored keyframes and words are read. May be stopped and repeated: what is there stays, what
    has changed or come is added. Exit code 3 when some file could not be embedded.

    Examples: dam space build clip-vit-b32 · dam space build ~/my-clip /media/tapes --limit 1000
    """
    from dam_pipeline.spaces.building import calibrate, coverage
    from dam_pipeline.spaces.candidates import add_candidate, probed_space
    from dam_pipeline.spaces.decisions import bring_up
    from dam_pipeline.stages.choosing import media_below
    from dam_pipeline.stages.work import Toolbox

    with Toolbox.open(load_settings()) as tools:
        media = media_below(tools.catalogue, paths) if paths else tools.catalogue.all_media()
        if dry_run:
            record = probed_space(tools, model, kind)
        else:
            bring_up(tools.settings, tools.catalogue)
            record = add_candidate(tools, model, kind)
        before = coverage(tools, record, media)
        due = [one for one in media if one.media_id in before.missing][:limit]
        run_ids = [] if later or dry_run else run_builds(tools, due, record)
        found = coverage(tools, record, media)
        said = "" if dry_run or later else calibrate(tools, record, tools.catalogue.all_media())
    document: dict[str, Json] = {
        "space": record.name,
        "kind": record.kind,
        "model": record.model,
        "due": len(due),
        "wanted": found.wanted,
        "covered": found.covered,
        "calibrated_on": said,
        "run_ids": run_ids,
    }
    _tell_build(document, is_planned=dry_run or later, as_json=as_json)
    is_done = dry_run or later or found.covered - before.covered >= len(due)
    return Exit.OK if is_done else Exit.SOME_FAILED


@app.command()
@command
def compare(
    name: Name,
    queries: QueriesFile = None,
    k: TopK = DEFAULT_K,
    as_json: AsJson = False,
) -> int:
    """Ask a space and the active one the same: how much they share, what each finds of known pairs.

    Without --queries the words of the vocabulary ask, and tags that people gave say what is right.
    Exit code 3 when it would not be promoted.

    Examples: dam space compare clip-vit-b32 · dam space compare clip-vit-b32 --queries pairs.tsv
    """
    from dam_pipeline.spaces.candidates import named_space
    from dam_pipeline.spaces.comparing import compare as weigh
    from dam_pipeline.stages.work import Toolbox

    with Toolbox.open(load_settings()) as tools:
        record = named_space(tools, name)
        check_not_active(record)
        found = weigh(tools, record, lines_of(queries), k)
    return tell(found, as_json)


@app.command()
@command
def promote(
    name: Name,
    queries: QueriesFile = None,
    k: TopK = DEFAULT_K,
    force: Annotated[
        bool, typer.Option("--force", help="Although it finds less or lacks files.")
    ] = False,
    later: Annotated[
        bool, typer.Option("--later", help="Only switch; tags and the graph follow another time.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Make a space the active one, in one step, when the comparison finds it fit.

    No file is embedded anew; tags, scenes, the search index and the graph, which are made of the
    vectors, are brought up to date afterwards. Exit code 3 when it is refused.

    Examples: dam space promote clip-vit-b32 · dam space promote clip-vit-b32 --queries pairs.tsv
    """
    from dam_pipeline.catalogue.spaces import Status
    from dam_pipeline.cli.processing import opened
    from dam_pipeline.launch import end_lost_runs, run_promotion
    from dam_pipeline.spaces.candidates import find_space, named_space
    from dam_pipeline.spaces.comparing import Comparison
    from dam_pipeline.spaces.comparing import compare as weigh
    from dam_pipeline.spaces.decisions import bring_up

    lines = lines_of(queries)
    with opened(load_settings()) as (tools, instance):
        end_lost_runs(instance)
        if not dry_run:
            bring_up(tools.settings, tools.catalogue)
            tools.follow_spaces()
        record = named_space(tools, name)
        if dry_run:
            check_not_active(record)
            return tell(weigh(tools, record, lines, k), as_json)
        run_id = None
        if record.status is not Status.ACTIVE:
            config: dict[str, Json] = {
                "space": record.name,
                "queries": lines,
                "k": k,
                "force": force,
            }
            run_id = run_promotion(tools.asked, instance, config)
            tools.follow_spaces()
        now = find_space(tools, record.name) or record
        if now.status is not Status.ACTIVE:
            return tell(Comparison.from_json(now.comparison), as_json)
    say(f"{now.name} is active now.")
    return follow(now, run_id, later, as_json)


@app.command()
@command
def rollback(
    kind: Kind = IMAGE_TEXT,
    later: Annotated[
        bool, typer.Option("--later", help="Only switch; tags and the graph follow another time.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Make the space active again that was so before, in one step; said twice, it undoes itself.

    Example: dam space rollback
    """
    from dam_pipeline.assets.spaces import tell_of_switch
    from dam_pipeline.cli.processing import opened
    from dam_pipeline.launch import end_lost_runs
    from dam_pipeline.spaces.candidates import previous_space
    from dam_pipeline.spaces.decisions import bring_up
    from dam_pipeline.spaces.switching import roll_back

    with opened(load_settings()) as (tools, instance):
        end_lost_runs(instance)
        if dry_run:
            record = previous_space(tools, kind)
            say(f"{record.name} would be active again.")
            if as_json:
                print_json({"space": record.name, "model": record.model})
            return Exit.OK
        # What a command before did not finish is what this one is to undo.
        bring_up(tools.settings, tools.catalogue)
        tools.follow_spaces()
        record, _before = roll_back(tools, kind)
        tell_of_switch(instance, tools, record)
    say(f"{record.name} is active again.")
    return follow(record, None, later, as_json)


@app.command()
@command
def remove(name: Name, dry_run: DryRun = False, as_json: AsJson = False) -> int:
    """Delete a space that is not active: its vectors on disk and in the vector store.

    Example: dam space remove tiny-clip
    """
    from dam_pipeline.spaces.candidates import named_space
    from dam_pipeline.spaces.switching import check_removable, remove_space
    from dam_pipeline.stages.work import Toolbox

    with Toolbox.open(load_settings()) as tools:
        record = named_space(tools, name)
        check_removable(tools, record)
        files = len(tools.catalogue.spaces.states(record))
        if not dry_run:
            with bar("removing", sum(1 for _ in tools.derived.media_ids())) as tell:
                files = remove_space(tools, record, tell)
    if as_json:
        print_json({"space": record.name, "files": files, "removed": not dry_run})
    else:
        say(f"{record.name}: {files} files' vectors {'would be' if dry_run else 'were'} deleted.")
    return Exit.OK


def _tell_build(document: dict[str, Json], *, is_planned: bool, as_json: bool) -> None:
    name, wanted = document["space"], document["wanted"]
    if as_json:
        print_json(document)
    elif is_planned:
        say(f"{name}: {document['due']} of {wanted} files are to be embedded.")
    else:
        say(f"{name} covers {document['covered']} of {wanted} files.")
        say(f"Next: dam space compare {name}")
