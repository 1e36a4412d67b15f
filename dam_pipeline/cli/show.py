"""`dam show`: all that is known of one file."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.delivery_view import told
from dam_pipeline.cli.options import AsJson, MediaRef
from dam_pipeline.cli.output import OUT, Exit, command, print_json, say, table
from dam_pipeline.cli.wording import clock, place, span
from dam_pipeline.records import Json, MediaKind, Provenance, State
from dam_pipeline.settings import load_settings

if TYPE_CHECKING:
    from dam_pipeline.stages.listing import Listing
    from dam_pipeline.stages.work import Toolbox
    from dam_pipeline.stores.derived import DerivedFiles

Rows = list[dict[str, Json]]

# Documented key: stage that gives it, and the columns of its rows that are shown.
LISTS = {
    "shots": ("shots", ("start_s", "end_s", "transition")),
    "keyframes": ("keyframes", ("time_s", "start_s", "end_s", "path", "is_hero")),
    "faces": ("face_embeddings", ("time_s", "box", "confidence", "track", "is_best")),
    "transcript": ("transcript", ("start_s", "end_s", "text")),
    "scenes": ("scenes", ("start_s", "end_s", "shots", "keyframe", "tags", "words", "faces")),
}
SETTLED = (State.DONE, State.EMPTY)


@command
def run(
    media: MediaRef,
    as_json: AsJson = False,
    vectors: Annotated[
        bool, typer.Option("--vectors", help="With the vectors of faces (JSON only).")
    ] = False,
) -> int:
    """Show all that is known of one file: states, shots, keyframes, faces, words, scenes, lineage.

    Examples: dam show tape-07-3f2a9c · dam show /media/tapes/a.mov --json
    """
    from dam_pipeline.models import spaces
    from dam_pipeline.stages.listing import list_media
    from dam_pipeline.stages.work import Toolbox

    with Toolbox.open(load_settings()) as tools:
        found = tools.catalogue.find(media)
        listing = list_media(tools, [found])[0]
        document = dossier(tools, listing, vectors=vectors)
    if as_json:
        print_json(document)
        return Exit.OK
    _print(listing, document)
    space = spaces(tools.settings).get("image_text")
    if space and space.warning and any(tag["source"] == "model" for tag in document["tags"]):
        say(f"note: {space.warning}")
    return Exit.OK


def dossier(tools: "Toolbox", listing: "Listing", *, vectors: bool = False) -> dict[str, Json]:
    """The documented shape of `show --json`."""
    from dam_pipeline.catalogue.fixity import fixity_of
    from dam_pipeline.stages import STAGES
    from dam_pipeline.stock.deliveries import Deliveries
    from dam_pipeline.tagging.effective import effective_tags

    derived, media_id = tools.derived, listing.media.media_id
    derived.bring([media_id], pictures=True)
    outcomes = {stage: derived.outcome(media_id, stage) for stage in STAGES}
    settled = {stage: one for stage, one in outcomes.items() if one and one.state in SETTLED}
    document = listing.to_json()
    if "probe" in settled:
        document["probe"] = dict(settled["probe"].result)
    for key, (stage, columns) in LISTS.items():
        wanted = (*columns, "vector") if vectors and key == "faces" else columns
        has_rows = stage in settled and settled[stage].rows > 0
        document[key] = _rows(derived, media_id, stage, wanted) if has_rows else []
    tags = effective_tags(tools.settings, derived, [listing.media])[media_id]
    document["tags"] = [tag.to_json() for tag in tags]
    folder = derived.folder(media_id).relative_to(derived.root.parent)
    for keyframe in document["keyframes"]:
        keyframe["path"] = (folder / Path(keyframe["path"])).as_posix()
    document["provenance"] = {stage: _provenance(one.provenance) for stage, one in settled.items()}
    if sha256 := "checksum" in settled and settled["checksum"].result.get("sha256"):
        document["sha256"] = sha256
    found = fixity_of(tools.catalogue, [media_id])[media_id]
    document["fixity"] = [one.to_json() for one in found]
    asset_id = listing.media.asset_id
    went = Deliveries(tools.settings).of_assets([asset_id])[asset_id]
    document["deliveries"] = [one.to_json() for one in went]
    return document


def _rows(
    derived: "DerivedFiles", media_id: str, stage: str, columns: tuple[str, ...]
) -> list[dict[str, Json]]:
    stored = derived.table(media_id, stage)
    found: Rows = stored.select(
        [name for name in columns if name in stored.schema.names]
    ).to_pylist()
    return found


def _provenance(made_by: Provenance) -> dict[str, Json]:
    document = made_by.to_json()
    names = (
        *("model", "revision", "weights_sha256", "settings_hash", "code_version"),
        *("settings", "run_id", "when", "inputs", "also", "original_sha256"),
    )
    return {name: document[name] for name in names}


def _print(listing: "Listing", document: Mapping[str, Json]) -> None:
    media, probe = listing.media, document.get("probe")
    _line(f"{media.first_name}  ({media.partition_key})")
    _line(", ".join(_facts(media.kind.value, probe)) if probe else media.kind.value)
    for where in listing.locations:
        gone = f"  gone since {where.missing_since[:10]}" if where.missing_since else ""
        _line(f"  {place(where.uri)}{gone}")
    if sha256 := document.get("sha256"):
        _line(f"  sha256 {sha256}")
    for one in document["fixity"]:
        why = f": {one['reason']}" if one["reason"] else ""
        _line(f"  verified {one['checked_at'][:10]} {one['verdict']}{why}  {place(one['uri'])}")
    for one in document["deliveries"]:
        why = f": {one['reason']}" if one["reason"] else ""
        _line(f"  {one['agency']} {one['when'][:10]} {told(one['state'])}{why}  {one['remote']}")
    _line("")
    made_by = document["provenance"]
    table(
        ("stage", "state", "seconds", "made by", "reason"),
        [
            (
                name,
                stage["state"],
                _seconds(stage["seconds"]),
                _maker(made_by, name),
                stage["reason"],
            )
            for name, stage in document["stages"].items()
        ],
    )
    _print_lists(document, media.kind)


def _maker(made_by: Mapping[str, Json], stage: str) -> str:
    """The model with its weights, or the code, of a result."""
    if stage not in made_by:
        return ""
    one = made_by[stage]
    if one["model"]:
        return f"{one['model']}@{one['weights_sha256'][:8]}"
    return f"code {one['code_version']}"


def _facts(kind: str, probe: Mapping[str, Json]) -> list[str]:
    facts = [kind]
    if kind != "image":
        facts.append(clock(probe["duration_s"]))
    if probe["width"]:
        facts.append(f"{probe['width']} × {probe['height']}")
    if probe["codecs"]:
        facts.append(" + ".join(probe["codecs"]))
    return [*facts, *(probe[name] for name in ("created_at", "camera", "lens") if probe[name])]


def _print_lists(document: Mapping[str, Json], kind: MediaKind) -> None:
    keyframes, faces = document["keyframes"], document["faces"]
    if keyframes:
        folder = Path(keyframes[0]["path"]).parent
        shots = f"{len(document['shots'])} {'shot' if len(document['shots']) == 1 else 'shots'}"
        frames = "keyframe" if len(keyframes) == 1 else "keyframes"
        _line(f"\n{shots}, {len(keyframes)} {frames} in {folder}")
        table(("at", "stands for", "picture", ""), [_keyframe(one) for one in keyframes])
    if faces:
        _line(f"\n{len(faces)} {'face' if len(faces) == 1 else 'faces'}")
        table(("at", "sure", "box x, y, w, h"), [_face(one) for one in faces])
    if tags := document["tags"]:
        _line("\ntags")
        table(("tag", "says", "score"), [_tag(one) for one in tags])
    for key, text in (("transcript", "text"), ("scenes", "words")):
        rows = [(span(one["start_s"], one["end_s"]), one[text].strip()) for one in document[key]]
        if rows and kind is not MediaKind.IMAGE:
            _line(f"\n{key}")
            table(("when", "words"), rows)


def _keyframe(one: Mapping[str, Json]) -> tuple[str, ...]:
    stands_for = span(one["start_s"], one["end_s"])
    name = Path(one["path"]).name
    return clock(one["time_s"]), stands_for, name, "hero" if one["is_hero"] else ""


def _face(one: Mapping[str, Json]) -> tuple[str, ...]:
    box = ", ".join(f"{value:.2f}" for value in one["box"])
    return clock(one["time_s"]), f"{one['confidence']:.2f}", box


def _tag(one: Mapping[str, Json]) -> tuple[str, ...]:
    score = "" if one["score"] is None else f"{one['score']:.2f}"
    return one["label"], one["source"], score


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.2f}"


def _line(text: str) -> None:
    OUT.print(text, markup=False)
