"""`dam tag`: what people say a file shows, the vocabulary, and where its terms begin."""

import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.options import AsJson, MediaRef
from dam_pipeline.cli.output import Exit, command, print_json, say, table
from dam_pipeline.cli.wording import span
from dam_pipeline.records import Json, Media
from dam_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from dam_pipeline.stages.work import Toolbox
    from dam_pipeline.tagging.effective import EffectiveTag
    from dam_pipeline.tagging.scoring import Scorer
    from dam_pipeline.tagging.vocabulary import Vocabulary

Terms = Annotated[
    list[str],
    typer.Argument(metavar="TERM…", help="Terms of the vocabulary by any name, or your own words."),
]

app = typer.Typer(
    help="Tags: what people added or took away, the vocabulary, its thresholds.",
    no_args_is_help=True,
)


@app.command()
@command
def add(media: MediaRef, terms: Terms, as_json: AsJson = False) -> int:
    """Give a file tags. They stand whatever the model says, now and later.

    Example: dam tag add tape-07-3f2a9c falcon "golden hour"
    """
    return _say("add", media, terms, as_json)


@app.command()
@command
def remove(media: MediaRef, terms: Terms, as_json: AsJson = False) -> int:
    """Take tags from a file, whoever gave them. The model does not bring them back.

    Example: dam tag remove tape-07-3f2a9c clutter
    """
    return _say("remove", media, terms, as_json)


@app.command("list")
@command
def list_(
    media: Annotated[
        str | None,
        typer.Argument(metavar="MEDIA", help="A media id, key, path or prefix; else all files."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """List the tags of a file with their source and score, or of the library with how many files.

    Examples: dam tag list · dam tag list tape-07-3f2a9c --json
    """
    from dam_pipeline.stages.work import Toolbox

    with Toolbox.open(load_settings()) as tools:
        if media is None:
            return _list_all(tools, as_json)
        return _tell(tools, tools.catalogue.find(media), as_json)


@app.command()
@command
def vocabulary(
    edit: Annotated[
        bool,
        typer.Option("--edit", help="First copy the present file into DAM_HOME, to be edited."),
    ] = False,
    share: Annotated[
        bool,
        typer.Option("--share", help="Give the file in DAM_HOME to all workers (DAM_STORAGE_URL)."),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Check the vocabulary: its file, its terms, and those that the active model has no words for.

    Examples: dam tag vocabulary --edit · dam tag vocabulary --share
    """
    from dam_pipeline.tagging.vocabulary import (
        VOCABULARY_FILE,
        open_vocabulary,
        share_vocabulary,
        vocabulary_path,
    )

    settings = load_settings()
    own = settings.home / VOCABULARY_FILE
    if share:
        share_vocabulary(settings)
    if edit and not own.exists():
        own.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(vocabulary_path(settings), own)
    document = _about(settings, open_vocabulary(settings))
    if as_json:
        print_json(document)
        return Exit.OK
    say(f"{document['path']}{'' if document['is_own'] else ' (shipped; --edit makes it yours)'}")
    say(f"{len(document['terms'])} terms in {', '.join(document['languages'])}")
    for line in document["warnings"]:
        say(line)
    table(
        ("term", "below", "label", "asked"),
        [
            (t["tag"], t["parent"], t["label"], "yes" if t["known"] else "")
            for t in document["terms"]
        ],
    )
    return Exit.OK


@app.command()
@command
def calibrate(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER", help="Pictures, in sub-folders named like terms; else the library."
        ),
    ] = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="Forget an earlier calibration of this space instead.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Learn from pictures where each term begins, for the active model; no file is encoded again.

    Examples: dam tag calibrate · dam tag calibrate ~/labelled
    """
    from dam_pipeline.stages.work import Toolbox

    with Toolbox.open(load_settings()) as tools:
        document = _calibrate(tools, folder, reset)
    if as_json:
        print_json(document)
        return Exit.OK
    for line in document["warnings"]:
        say(line)
    say(f"{document['space']}: thresholds are learnt from {document['calibrated_on']}.")
    say("The stage `tags` is stale now: `dam retry --stale` tags anew.")
    return Exit.OK


def _say(do: str, reference: str, terms: list[str], as_json: bool) -> int:
    from dam_pipeline.stages.work import Toolbox
    from dam_pipeline.tagging.people import add_tags, remove_tags
    from dam_pipeline.tagging.vocabulary import open_vocabulary

    settings = load_settings()
    with Toolbox.open(settings) as tools:
        media = tools.catalogue.find(reference)
        write = add_tags if do == "add" else remove_tags
        write(settings, media.asset_id, terms, open_vocabulary(settings))
        return _tell(tools, media, as_json)


def _tell(tools: "Toolbox", media: Media, as_json: bool) -> int:
    tags = _tags(tools, [media])[media.media_id]
    if as_json:
        print_json(
            {
                "media_id": media.media_id,
                "partition_key": media.partition_key,
                "tags": [tag.to_json() for tag in tags],
            }
        )
        return Exit.OK
    table(
        ("tag", "label", "says", "score", "where"),
        [
            (one.tag, one.label, one.source, _score(one), span(one.start_s, one.end_s))
            for one in tags
        ],
    )
    return Exit.OK


def _list_all(tools: "Toolbox", as_json: bool) -> int:
    found = [tag for tags in _tags(tools, tools.catalogue.all_media()).values() for tag in tags]
    labels = {one.tag: one.label for one in found}
    files = Counter(one.tag for one in found)
    sources = Counter((one.tag, one.source) for one in found)
    rows: list[dict[str, Json]] = [
        {
            "tag": tag,
            "label": labels[tag],
            "media": count,
            "sources": {source: n for (of, source), n in sorted(sources.items()) if of == tag},
        }
        for tag, count in sorted(files.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    if as_json:
        print_json(rows)
        return Exit.OK
    table(
        ("tag", "label", "files", "says"),
        [(r["tag"], r["label"], str(r["media"]), ", ".join(r["sources"])) for r in rows],
    )
    return Exit.OK


def _tags(tools: "Toolbox", media: list[Media]) -> "dict[str, list[EffectiveTag]]":
    from dam_pipeline.tagging.effective import effective_tags

    return effective_tags(tools.settings, tools.derived, media)


def _score(tag: "EffectiveTag") -> str:
    return "" if tag.score is None else f"{tag.score:.2f}"


def _about(settings: Settings, found: "Vocabulary") -> dict[str, Json]:
    from dam_pipeline.tagging.vocabulary import SHIPPED, vocabulary_path

    scorer, warnings = _scorer(settings)
    known = set(scorer.tags) if scorer else set()
    path = vocabulary_path(settings)
    return {
        "path": str(path),
        "is_own": path != SHIPPED,
        "version": found.version,
        "languages": sorted({code for term in found.terms.values() for code in term.names}),
        "calibrated_on": scorer.calibrated_on if scorer else None,
        "unknown": list(scorer.wordings.unknown) if scorer else [],
        "warnings": warnings,
        "terms": [
            {
                "tag": term.id,
                "parent": term.parent,
                "label": found.label(term.id),
                "names": {code: list(names) for code, names in term.names.items()},
                "known": term.id in known,
            }
            for term in found.terms.values()
        ],
    }


def _scorer(settings: Settings) -> "tuple[Scorer | None, list[str]]":
    """The vocabulary in the active space, and what to know of it; None without weights."""
    from dam_pipeline.catalogue.active_models import library_settings
    from dam_pipeline.errors import ModelError
    from dam_pipeline.models import open_image_text, spaces
    from dam_pipeline.tagging.scoring import advice, open_scorer

    settings = library_settings(settings)
    space = spaces(settings)["image_text"]
    if space is None:
        return None, ["The image-text model is not here (`dam models list`), so no term is asked."]
    try:
        scorer = open_scorer(settings, space, lambda: open_image_text(settings))
    except ModelError as error:
        return None, [f"No term is asked: {error}"]
    return scorer, [*advice(scorer), *([space.warning] if space.warning else [])]


def _calibrate(tools: "Toolbox", folder: Path | None, reset: bool) -> dict[str, Json]:
    from dam_pipeline.models import open_image_text, spaces
    from dam_pipeline.tagging.background import (
        background_path,
        forget_background,
        has_own_background,
        keep_background,
    )
    from dam_pipeline.tagging.calibration import from_folder, from_library
    from dam_pipeline.tagging.scoring import advice, open_scorer
    from dam_pipeline.tagging.vocabulary import open_vocabulary

    settings = tools.settings
    space = spaces(settings)["image_text"] or open_image_text(settings).space
    warnings: list[str] = []
    if reset:
        forget_background(settings, space.name)
    elif folder is not None:
        model, known = open_image_text(settings), open_vocabulary(settings)
        made = from_folder(folder, known, model, settings)
        keep_background(settings, made.background)
        warnings = list(made.warnings)
    else:
        made = from_library(tools.derived, tools.catalogue.all_media(), space)
        keep_background(settings, made.background)
    scorer = open_scorer(settings, space, lambda: open_image_text(settings))
    return {
        "space": space.name,
        "path": str(background_path(settings, space.name))
        if has_own_background(settings, space.name)
        else None,
        "calibrated_on": scorer.calibrated_on,
        "terms": len(scorer.wordings.tags),
        "undecided": list(scorer.undecided),
        "warnings": [*warnings, *advice(scorer)],
    }
