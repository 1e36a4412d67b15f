"""L0: one small picture to know the file by."""

from pathlib import Path

from PIL import Image

from dam_pipeline.records import MediaKind, State
from dam_pipeline.stages.outcome import Outcome
from dam_pipeline.stages.stage import Stage, each
from dam_pipeline.stages.visual_pass import POSTER_FILE, look_at
from dam_pipeline.stages.work import Toolbox, Work

POSTER_AT = 0.1  # share of the duration: past slates and fades in, before the story's end


def _run(work: Work, tools: Toolbox) -> Outcome:
    probe = work.probe
    unfinished = work.scratch / POSTER_FILE
    width, height = _make(work, tools, unfinished)
    work.take_in(POSTER_FILE, unfinished)
    shows = "waveform" if probe.kind is MediaKind.AUDIO else "picture"
    result = {"path": POSTER_FILE, "width": width, "height": height, "shows": shows}
    return Outcome(State.DONE, result=result)


def _make(work: Work, tools: Toolbox, path: Path) -> tuple[int, int]:
    """Write the poster; returns its width and height."""
    probe = work.probe
    if probe.kind is MediaKind.IMAGE:
        look_at(work, tools)  # decodes it for the stages to come as well
        with Image.open(path) as poster:
            return poster.size
    at_s = probe.duration_s * POSTER_AT
    with work.original.opened() as original:
        return tools.decoder.poster(original, probe.kind, path, tools.settings.poster_px, at_s)


STAGE = Stage(
    name="poster",
    level="L0",
    version=2,
    description="A small upright picture of the file; for sound, its waveform.",
    run=each(_run),
    inputs=("probe",),
    settings=("poster_px", "max_megapixels"),
    kinds=("image",),
)
