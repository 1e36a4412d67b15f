"""Rules on recordings: frame rate, length, sound, and how the light is coded."""

from collections.abc import Iterator
from dataclasses import replace

from dam_pipeline.records import MediaKind
from dam_pipeline.stock.rules.formats import encoded
from dam_pipeline.stock.rules.rule import Advice, Case, Mended, Said, Wrong, rule

SAME_RATE = 0.0006  # 29.97 and 30000/1001 are the same rate, 29.97 and 30 (1 in 1,000) are not
NEAR_RATE = 0.01  # a constant rate so near is met by leaving out or doubling a frame now and then
NEAR_VARIABLE_RATE = 0.06  # what a telephone calls 30 is 28.6 or 30.2 in the mean

SEE_THROUGH = ("yuva", "gbrap", "rgba", "bgra", "argb", "abgr", "ya8", "ya16")
"""Beginnings of ffmpeg's pixel formats with transparency."""


@rule("error", "fix")
def frame_rate(case: Case) -> Iterator[Said]:
    """Frames come at a rate that the agency takes, all at equal steps; else at the next one below."""
    probe, taken = case.item.probe, case.form.frame_rates
    rate, is_variable = probe.frame_rate, probe.is_variable_frame_rate
    if not taken or not rate:
        return
    if not is_variable and any(abs(rate - one) <= SAME_RATE * one for one in taken):
        return
    before = f"{rate:.5g} frames a second{', variable' if is_variable else ''}"
    takes = f"{', '.join(f'{one:g}' for one in taken)} frames a second, constant"
    what = f"{case.agency.name} does not take this frame rate"
    to = _rate_for(rate, taken, NEAR_VARIABLE_RATE if is_variable else NEAR_RATE)
    if to:
        after = f"{to:g} frames a second"
        yield encoded(case, what, before, after, takes, frame_rate=to)
    else:
        message = f"{what}: it takes {takes}, and this is {before}."
        yield Wrong(message, "Export it at one of these rates from your editor.")


@rule("warning")
def variable_frame_rate(case: Case) -> Iterator[Said]:
    """Frames come at equal steps: reviewers see jumps otherwise."""
    if case.item.probe.is_variable_frame_rate and not case.form.frame_rates:
        message = (
            f"Its frames come at unequal steps ({case.item.probe.frame_rate:.5g} in the mean)."
        )
        yield Advice(message, "Export it at a constant frame rate, and `dam ingest` the copy.")


@rule("error")
def clip_too_short(case: Case) -> Iterator[Said]:
    """Recordings last as long as the agency asks for at least."""
    length_s, least_s = case.item.probe.duration_s, case.form.min_duration_s
    if _lasts(case) and length_s < least_s:
        message = f"It lasts {length_s:.2f} s, {case.agency.name} asks for {least_s:g} s."
        yield Wrong(message, "Export a longer cut, and `dam ingest` it.")


@rule("error")
def clip_too_long(case: Case) -> Iterator[Said]:
    """Recordings last no longer than the agency takes."""
    length_s, most_s = case.item.probe.duration_s, case.form.max_duration_s
    if _lasts(case) and most_s and length_s > most_s:
        message = f"It lasts {length_s:.2f} s, {case.agency.name} takes {most_s:g} s."
        yield Wrong(message, "Export a shorter cut, and `dam ingest` it.")


@rule("fix")
def sound_forbidden(case: Case) -> Iterator[Said]:
    """Where the agency takes clips without sound, it is left out of the copy."""
    probe, made = case.item.probe, case.rendition
    if case.form.audio == "forbidden" and probe.has_audio and probe.has_video:
        silent = replace(made, drop_audio=True)
        if made.how == "copy":
            silent = replace(silent, how="remux")
        message = f"{case.agency.name} takes clips without sound."
        yield Mended(message, _tracks(probe.audio_streams), _tracks(0), {"rendition": silent})


@rule("warning", "fix")
def interlaced(case: Case) -> Iterator[Said]:
    """Whole pictures are recorded, not every other line; what is encoded anew is deinterlaced."""
    if not case.item.probe.is_interlaced:
        return
    if case.rendition.how == "transcode":
        made = replace(case.rendition, is_deinterlaced=True)
        message = "It is interlaced, which agencies seldom take: the copy has whole pictures."
        yield Mended(message, "fields", "whole pictures", {"rendition": made})
    else:
        fix = "Deinterlace it in your editor, and `dam ingest` the copy."
        yield Advice("It is interlaced, which agencies seldom take.", fix)


@rule("warning", "fix")
def high_dynamic_range(case: Case) -> Iterator[Said]:
    """The light is coded for an ordinary screen (Rec. 709); what is encoded anew is brought there."""
    probe = case.item.probe
    if not probe.is_hdr:
        return
    coded = f"It is coded for an HDR screen ({probe.colour_transfer})"
    is_wide = probe.colour_primaries in (None, "bt2020")  # from others nothing here converts
    if case.rendition.how == "transcode" and probe.has_video and is_wide:
        made = replace(case.rendition, is_toned=True)
        message = f"{coded}: the copy is brought to Rec. 709. Look at it before it goes out."
        yield Mended(message, str(probe.colour_transfer), "bt709", {"rendition": made})
    else:
        yield Advice(f"{coded}.", "Grade it for Rec. 709 unless the agency asks for HDR.")


@rule("warning")
def transparency(case: Case) -> Iterator[Said]:
    """Clips have no transparent parts where they are encoded anew: the copy has none."""
    probe = case.item.probe
    if case.rendition.how == "transcode" and (probe.pixel_format or "").startswith(SEE_THROUGH):
        message = "It has transparent parts; the copy has none, and shows what lies beneath them."
        yield Advice(message, "Lay it on a background in your editor, and `dam ingest` the copy.")


@rule("warning")
def log_material(case: Case) -> Iterator[Said]:
    """The material is graded: a camera's log curve looks grey to reviewers."""
    if case.item.gamma and not case.item.probe.is_hdr:
        message = f"It was recorded with the log curve {case.item.gamma}, and looks grey as it is."
        yield Advice(message, "Grade it, and `dam ingest` the graded copy.")


LENGTH_RULES = (clip_too_short, clip_too_long)
FRAME_RULES = (frame_rate, variable_frame_rate, sound_forbidden)
LOOK_RULES = (interlaced, high_dynamic_range, transparency, log_material)


def _rate_for(rate: float, taken: tuple[float, ...], tolerance: float) -> float | None:
    """The rate to which one is changed: one that is near, else the next below; None where none is."""
    near = [one for one in taken if abs(rate - one) <= tolerance * one]
    if near:
        return min(near, key=lambda one: abs(rate - one))
    return max((one for one in taken if one < rate), default=None)


def _lasts(case: Case) -> bool:
    return case.item.probe.kind is not MediaKind.IMAGE


def _tracks(count: int) -> str:
    return "1 sound track" if count == 1 else f"{count or 'no'} sound tracks"
