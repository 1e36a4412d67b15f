"""What a pass over a file's pictures is asked for; carried from the parent to the decoder child."""

from dataclasses import dataclass

from dam_pipeline.records import Shot


@dataclass(frozen=True, slots=True)
class LookPlan:
    """One look's orders; defaults are those of the settings.

    shot_threshold: how much a frame must stand out from its neighbours to be a cut (ratio).
    keyframe_gap_s: longest span, and longest time between two keyframes of a shot.
    keyframe_change: share of changed picture that earns a keyframe (0–1).
    keyframes_per_minute: most keyframes that change may earn; cuts and the gap come first.
    keyframe_px: longest side of a stored keyframe.
    max_megapixels: larger pictures are refused.
    shots: cuts that are known already; None: detect them.
    poster_file, poster_px: where a photograph's poster is written on the way, and its longest side.
    duration_s: what the probe said of the whole file; the streams' own words are believed first.
    is_hdr, is_interlaced: what the probe said; frames that say more for themselves are believed.
    """

    shot_threshold: float = 3.0
    keyframe_gap_s: float = 5.0
    keyframe_change: float = 0.12
    keyframes_per_minute: int = 20
    keyframe_px: int = 1280
    max_megapixels: float = 400.0
    shots: tuple[Shot, ...] | None = None
    poster_file: str = ""
    poster_px: int = 640
    duration_s: float = 0.0
    is_hdr: bool = False
    is_interlaced: bool = False
