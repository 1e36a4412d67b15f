"""L1: the words that are spoken, on the file's own time axis."""

import os
from dataclasses import asdict

import numpy as np
import pyarrow as pa

from dam_pipeline import schemas
from dam_pipeline.records import State
from dam_pipeline.stages.gates import check_order
from dam_pipeline.stages.outcome import Outcome, partial_reason
from dam_pipeline.stages.stage import Stage, each
from dam_pipeline.stages.work import Toolbox, Work

SAMPLES_FILE = "samples.f32"


def _run(work: Work, tools: Toolbox) -> Outcome:
    if not work.probe.has_audio:
        return Outcome.empty("no sound in this file")
    if not tools.settings.speech:
        return Outcome.empty("speech is switched off (DAM_SPEECH)")
    model = tools.speech
    path = work.scratch / SAMPLES_FILE
    with work.original.opened() as original:
        track = tools.sound_decoder.audio(original, path)
    if track is None or track.samples == 0:
        return Outcome.empty("the sound has no samples", model=model.ref)
    partial = partial_reason(track.partial)
    samples = np.memmap(path, dtype="<f4", mode="r", shape=(track.samples,))
    transcript = model.transcribe(samples, work.progress)
    del samples
    os.unlink(path)
    if not transcript.segments:
        reason = "; ".join(filter(None, ("no speech found", partial)))
        return Outcome.empty(reason, model=model.ref)
    check_order(transcript.segments)
    table = pa.Table.from_pylist([asdict(s) for s in transcript.segments], schemas.TRANSCRIPT)
    result = {"language": transcript.language, "speech_s": transcript.speech_s}
    return Outcome(
        State.DONE, partial, result=result, table=table, model=model.ref, also=model.also
    )


STAGE = Stage(
    name="transcript",
    level="L1",
    version=2,
    description="What is said and when: segments and words with their times, in the language heard.",
    run=each(_run),
    inputs=("probe",),
    settings=("speech", "speech_language", "speech_window_s"),
    models=("speech",),
    kinds=("whisper", "parquet"),
)
