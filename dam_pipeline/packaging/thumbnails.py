"""Thumbnails: how people tell the items of a package apart at a glance."""

import shutil
from pathlib import Path

from dam_pipeline.errors import MediaError
from dam_pipeline.media.decoder import Decoder
from dam_pipeline.records import MediaKind
from dam_pipeline.stages.visual_pass import POSTER_FILE
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stock.record import Finding

POSTER_AT = 0.1  # share of the duration, as the stage `poster` has it


def make_thumbnail(
    tools: Toolbox, decoder: Decoder, media_id: str, deliverable: Path, target: Path
) -> Finding | None:
    """Write a small upright JPEG: the media's poster, else a picture out of the deliverable.

    Returns why there is none, where nothing can be drawn.
    """
    target.parent.mkdir(exist_ok=True)
    poster = tools.derived.path(media_id, POSTER_FILE)
    if poster.exists():
        shutil.copyfile(poster, target)
        return None
    media = tools.catalogue.media([media_id])[media_id]
    at_s = 0.0
    if media.kind is not MediaKind.IMAGE:
        stored = tools.derived.outcome(media_id, "probe")
        at_s = POSTER_AT * float(stored.result["duration_s"]) if stored else 0.0
    try:
        decoder.poster(deliverable, media.kind, target, tools.settings.poster_px, at_s)
    except MediaError as error:
        return Finding("no-thumbnail", f"There is no thumbnail: {error}")
    return None
