"""L0: one small picture to know the file by."""

import os

from dam_pipeline.records import MediaKind, State
from dam_pipeline.stages.outcome import Outcome
from dam_pipeline.stages.stage import Stage, each
from dam_pipeline.stages.work import Toolbox, Work

POSTER_FILE = "poster.jpg"
POSTER_AT = 0.1  # share of the duration: past slates and fades in, before the story's end


def _run(work: Work, tools: Toolbox) -> Outcome:
    probe = work.probe
    unfinished = work.scratch / POSTER_FILE
    at_s = probe.duration_s * POSTER_AT
    width, height = tools.decoder.poster(
        work.path, probe.kind, unfinished, tools.settings.poster_px, at_s
    )
    work.folder.mkdir(parents=True, exist_ok=True)
    os.replace(unfinished, work.folder / POSTER_FILE)
    shows = "waveform" if probe.kind is MediaKind.AUDIO else "picture"
    result = {"path": POSTER_FILE, "width": width, "height": height, "shows": shows}
    return Outcome(State.DONE, result=result)


STAGE = Stage(
    name="poster",
    level="L0",
    version=1,
    description="A small upright picture of the file; for sound, its waveform.",
    run=each(_run),
    inputs=("probe",),
    settings=("poster_px", "max_megapixels"),
    kinds=("image",),
)
