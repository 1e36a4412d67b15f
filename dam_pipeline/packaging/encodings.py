"""What a recording is encoded into for an agency, by what it asks for and by what the master is."""

import re
from dataclasses import replace
from pathlib import Path

from dam_pipeline.agencies.agency import Agency, MediaRules, Transcode
from dam_pipeline.errors import UnsupportedMedia
from dam_pipeline.media.containers import Container
from dam_pipeline.media.encoding import Encoding
from dam_pipeline.records import Probe
from dam_pipeline.stock.record import Rendition
from dam_pipeline.stock.rules.formats import HELD

APPLE = (".mov", ".mp4")  # where Apple's players take HEVC by the name hvc1 only
DOLBY_VISION = "dvh"  # their tags' beginning
COUNTED_RATES = (24, 25, 30, 48, 50, 60)  # and their 1000/1001, SMPTE ST 12-1
SUBSAMPLED = re.compile(r"4(20|22|11|10)|nv1[26]|nv21|p[02]1[026]")  # pixel formats of half width
HALF_HEIGHT = re.compile(r"4(20|10)|nv12|nv21|p01[026]")


def encoding_of(agency: Agency, probe: Probe, rendition: Rendition) -> Encoding:
    """What a recording is made into for an agency."""
    rules = agency.rules_for(probe.kind)
    anew = rules.transcode or Transcode("")
    if rendition.how == "remux":
        return Encoding(
            audio_codec=_sound(probe, rendition, anew),
            drop_audio=rendition.drop_audio,
            timecode=_timecode(probe),
        )
    if not (anew.codec or anew.audio_codec):
        raise UnsupportedMedia(
            f"cannot be made into what {agency.name} takes: its specification names no encoder. "
            "Encode it yourself, or complete the specification."
        )
    size = size_of(probe, rendition, rules)
    is_sized = bool(rendition.width) or size != (probe.width, probe.height)
    return Encoding(
        codec=anew.codec,
        pixel_format=anew.pixel_format,
        options=anew.options,
        audio_codec=anew.audio_codec,
        width=size[0] if is_sized else 0,
        height=size[1] if is_sized else 0,
        frame_rate=rendition.frame_rate,
        is_cut=_is_a_line_less(probe, size),
        is_interlaced=rendition.is_deinterlaced,
        hdr=probe.colour_transfer or "" if rendition.is_toned else "",
        drop_audio=rendition.drop_audio or rules.audio == "forbidden",
        timecode="" if rendition.frame_rate else _timecode(probe),
    )


def suited(wanted: Encoding, found: Container, target: Path) -> Encoding:
    """The encoding with what only the master itself can tell."""
    if wanted.codec:
        return replace(
            wanted,
            lag_s=found.lag_s,
            is_flagged=found.codecs[:1] == ("dvvideo",),
            is_rgb=found.is_rgb,
            is_timed_by_frame=found.is_timed_by_frame,
            sample_aspect=found.sample_aspect,
        )
    is_hevc = found.codecs[:1] == ("hevc",) and not found.picture_tag.startswith(DOLBY_VISION)
    return replace(wanted, tag="hvc1") if is_hevc and target.suffix in APPLE else wanted


def size_of(probe: Probe, rendition: Rendition, rules: MediaRules) -> tuple[int, int]:
    """Width and height of the deliverable, less an odd line where the pixel format holds pairs."""
    width, height = rendition.width or probe.width, rendition.height or probe.height
    anew = rules.transcode if rendition.how == "transcode" else None
    form = anew.pixel_format if anew else ""
    if SUBSAMPLED.search(form):
        width -= width % 2
    if HALF_HEIGHT.search(form):
        height -= height % 2
    return width, height


def _timecode(probe: Probe) -> str:
    """The timecode that the pictures begin with; at other rates than these containers have none."""
    is_counted = round(probe.frame_rate) in COUNTED_RATES
    return probe.timecode or "" if is_counted else ""


def _sound(probe: Probe, rendition: Rendition, anew: Transcode) -> str:
    """The encoder of the sound when only the container changes; empty where it can hold it as it is."""
    held = HELD.get(rendition.suffix, ())
    if not held or rendition.drop_audio or all(one in held for one in probe.codecs[1:]):
        return ""
    return anew.audio_codec or "aac"


def _is_a_line_less(probe: Probe, size: tuple[int, int]) -> bool:
    lines = (probe.width - size[0], probe.height - size[1])
    return all(0 <= one <= 1 for one in lines)
