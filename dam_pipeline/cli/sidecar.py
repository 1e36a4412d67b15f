"""`dam sidecar`: XMP beside originals or in a folder, merged with what Lightroom, digiKam or Bridge wrote."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.options import AsJson
from dam_pipeline.cli.output import OUT, Exit, bar, command, print_json, say
from dam_pipeline.cli.wording import place
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.identity import path_to_uri
from dam_pipeline.records import Filters, Media
from dam_pipeline.settings import load_settings

if TYPE_CHECKING:
    from dam_pipeline.sidecars.fields import Value
    from dam_pipeline.sidecars.merging import Merge, Side
    from dam_pipeline.sidecars.syncing import Options, Synchronised
    from dam_pipeline.stages.work import Toolbox

LONGEST = 100  # characters of a value that are shown

Which = Annotated[
    list[str] | None,
    typer.Argument(metavar="MEDIA…", help="Media ids, keys, paths or unique prefixes."),
]
Everything = Annotated[bool, typer.Option("--all", help="All media of the library.")]
PathGlob = Annotated[
    str, typer.Option("--path", metavar="GLOB", help="Those whose paths fit or hold it.")
]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", help="Those with this tag; may be repeated: all of them."),
]
Beside = Annotated[
    bool, typer.Option("--beside", help="Sidecars beside the originals, where programs look.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Sidecars below DIR; else DAM_HOME/sidecars."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell what would be done, and do nothing.")]

app = typer.Typer(
    help="XMP sidecars: compare, write and merge them; an original is never written.",
    no_args_is_help=True,
)


@app.command()
@command
def diff(
    media: Which = None,
    everything: Everything = False,
    path: PathGlob = "",
    tag: Tags = None,
    beside: Beside = False,
    out: Out = None,
    as_json: AsJson = False,
) -> int:
    """Show where sidecars and the library differ, and what `dam sidecar merge` would do. Changes nothing.

    Example: dam sidecar diff img_1-3f2a9c --beside
    """
    from dam_pipeline.sidecars.syncing import Options

    options = Options(_folder(beside, out))
    return _run(options, media, everything, path, tag or (), as_json)


@app.command()
@command
def write(
    media: Which = None,
    everything: Everything = False,
    path: PathGlob = "",
    tag: Tags = None,
    beside: Beside = False,
    out: Out = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Write what people said here into sidecars, over nothing that another program wrote or changed.

    Example: dam sidecar write --path 2026/lisbon --beside
    """
    from dam_pipeline.sidecars.syncing import Options

    options = Options(_folder(beside, out), writes=not dry_run)
    return _run(options, media, everything, path, tag or (), as_json)


@app.command()
@command
def merge(
    media: Which = None,
    everything: Everything = False,
    path: PathGlob = "",
    tag: Tags = None,
    beside: Beside = False,
    out: Out = None,
    ours: Annotated[
        bool, typer.Option("--ours", help="Where both changed a text, the library's stands.")
    ] = False,
    theirs: Annotated[
        bool, typer.Option("--theirs", help="Where both changed a text, the sidecar's stands.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Bring sidecars and the library together: each takes what the other changed since the last time.

    Example: dam sidecar merge --all --beside --dry-run
    """
    from dam_pipeline.sidecars.syncing import Options

    if ours and theirs:
        raise ConfigurationError("--ours or --theirs: only one of them can stand.")
    prefer: Side = "ours" if ours else "theirs" if theirs else ""
    is_done = not dry_run
    options = Options(_folder(beside, out), writes=is_done, takes=is_done, prefer=prefer)
    return _run(options, media, everything, path, tag or (), as_json)


def _folder(beside: bool, out: Path | None) -> Path | None:
    """The folder of the sidecars; None stands for beside the originals."""
    from dam_pipeline.sidecars.naming import FOLDER

    if beside and out:
        raise ConfigurationError("--beside or --out DIR: sidecars are in one place.")
    if beside:
        return None
    return Path(os.path.abspath(out.expanduser())) if out else load_settings().home / FOLDER


def _run(
    options: "Options",
    references: Sequence[str] | None,
    everything: bool,
    path: str,
    tags: Sequence[str],
    as_json: bool,
) -> int:
    from dam_pipeline.sidecars.syncing import synchronise
    from dam_pipeline.stages.work import Toolbox

    with Toolbox.open(load_settings()) as tools:
        media = _chosen(tools, references or (), everything, path, tags)
        with bar("sidecars", len(media)) as tell:
            found = list(_told(synchronise(tools, media, options), tell))
    if as_json:
        print_json([one.to_json() for one in found])
    else:
        _print(found, options)
    is_bad = any(one.conflicts or one.error for one in found)
    return Exit.SOME_FAILED if is_bad else Exit.OK


def _told(
    found: "Iterator[Synchronised]", tell: Callable[[int, str], None]
) -> "Iterator[Synchronised]":
    for done, one in enumerate(found, start=1):
        tell(done, one.media.first_name)
        yield one


def _chosen(
    tools: "Toolbox", references: Sequence[str], everything: bool, path: str, tags: Sequence[str]
) -> list[Media]:
    """The media that are named, or that pass the filters; raises ConfigurationError for none."""
    from dam_pipeline.tagging.effective import media_with_tags

    if references:
        if everything or path or tags:
            raise ConfigurationError("Name media, or choose them by --all, --path and --tag.")
        named = [tools.catalogue.find(one) for one in references]
        return list({one.media_id: one for one in named}.values())
    if not (everything or path or tags):
        raise ConfigurationError("Which media? Name some, or give --path GLOB, --tag TAG or --all.")
    media = tools.catalogue.all_media()
    if path:
        fitting = tools.catalogue.matching(Filters(path=path)) or set()
        media = [one for one in media if one.media_id in fitting]
    if tags:
        tagged = media_with_tags(tools.settings, tools.derived, media, tags)
        media = [one for one in media if one.media_id in tagged]
    return media


def _print(found: "Sequence[Synchronised]", options: "Options") -> None:
    for one in found:
        if one.fields:
            where = place(path_to_uri(one.sidecar)) if one.sidecar else ""
            OUT.print(f"{one.media.partition_key}  {where}", markup=False)
            for field in one.fields:
                OUT.print(f"  {_what(field, options)}", markup=False)
        if one.error:
            say(f"{one.media.partition_key}: {one.error}")
    counts = {
        "to sidecars": sum(bool(one.written) for one in found),
        "into the library": sum(bool(one.taken) for one in found),
        "with conflicts": sum(bool(one.conflicts) for one in found),
        "failed": sum(bool(one.error) for one in found),
    }
    words = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    say(f"{len(found)} looked at, {sum(bool(one.fields) for one in found)} differ. {words}".strip())


def _what(field: "Merge", options: "Options") -> str:
    """One field's line: what goes where, or both sides of a conflict."""
    if field.verdict == "conflict":
        sides = f"library {_value(field.ours)}, sidecar {_value(field.theirs)}"
        return f"{field.field}: conflict ({field.why}): {sides}, last {_value(field.base)}"
    parts = []
    if field.changes_sidecar:
        parts.append(f"{_change(field.theirs, field.merged)} to the sidecar")
    if field.changes_library:
        left = " (by `dam sidecar merge`)" if options.only_writes else ""
        parts.append(f"{_change(field.ours, field.merged)} into the library{left}")
    return f"{field.field}: {'; '.join(parts)}"


def _change(before: "Value | None", after: "Value | None") -> str:
    if isinstance(before, tuple) or isinstance(after, tuple):
        was, now = before or (), after or ()
        words = [f"+{word}" for word in now if word not in was]
        words += [f"−{word}" for word in was if word not in now]
        return _cut(", ".join(words) or "new order")
    return f"{_value(before)} → {_value(after)}"


def _value(value: "Value | None") -> str:
    if isinstance(value, tuple):
        return _cut(", ".join(value))
    return f"“{_cut(value)}”" if value else "nothing"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
