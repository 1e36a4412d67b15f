"""Thumbnails: how people tell the items of a package apart at a glance."""

import shutil
from pathlib import Path

from dam_pipeline.errors import MediaError
from dam_pipeline.media.decoder import Decoder
from dam_pipeline.stages.visual_pass import POSTER_FILE
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stock.record import Finding, Item

POSTER_AT = 0.1  # share of the duration, as the stage `poster` has it


def make_thumbnail(
    tools: Toolbox, decoder: Decoder, item: Item, deliverable: Path, target: Path
) -> Finding | None:
    """Write a small upright JPEG: the media's poster, else a picture out of the deliverable.

    Returns why there is none, where nothing can be drawn.
    """
    target.unlink(missing_ok=True)
    poster = tools.derived.path(item.media.media_id, POSTER_FILE)
    if poster.exists():
        shutil.copyfile(poster, target)
        return None
    at_s = item.probe.duration_s * POSTER_AT
    try:
        decoder.poster(deliverable, item.probe.kind, target, tools.settings.poster_px, at_s)
    except MediaError as error:
        return Finding("no-thumbnail", f"There is no thumbnail: {error}")
    return None
