"""The one decoding pass over a file's pictures, which the stages that look at them share."""

from dam_pipeline.media.decoder import LookPlan
from dam_pipeline.records import Look, MediaKind, Shot
from dam_pipeline.stages.work import Toolbox, Work

NO_PICTURE = "no picture in this file"
PASS_FOLDER = "pass"
POSTER_FILE = "poster.jpg"


def look_at(work: Work, tools: Toolbox, shots: tuple[Shot, ...] | None = None) -> Look:
    """The pass of this batch, decoding now if nobody did yet; `shots` spares their detection.

    Keyframe pictures lie in the work's scratch folder `PASS_FOLDER` until a stage moves them, a
    photograph's poster beside it. Raises what the decoder raises.
    """
    if work.look is None:
        settings, probe = tools.settings, work.probe
        plan = LookPlan(
            shot_threshold=settings.shot_threshold,
            keyframe_gap_s=settings.keyframe_gap_s,
            keyframe_change=settings.keyframe_change,
            keyframes_per_minute=settings.keyframes_per_minute,
            keyframe_px=settings.keyframe_px,
            max_megapixels=settings.max_megapixels,
            duration_s=probe.duration_s,
            is_hdr=probe.is_hdr,
            is_interlaced=probe.is_interlaced,
            shots=shots,
            poster_file=str(work.scratch / POSTER_FILE) if probe.kind is MediaKind.IMAGE else "",
            poster_px=settings.poster_px,
        )
        out_dir = work.scratch / PASS_FOLDER
        out_dir.mkdir(exist_ok=True)
        with work.original.opened() as original:
            work.look = tools.decoder.look(original, probe.kind, out_dir, plan, work.progress)
    return work.look
