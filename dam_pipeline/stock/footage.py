"""What raw tags say of a recording that agencies' rules ask for, and the probe has no field for."""

import re
from collections.abc import Iterator, Mapping

from dam_pipeline.records import Json

# Tags in which cameras name the curve by which light is coded (exiftool's names of them).
_CURVE_TAG = re.compile(
    r"gamma|acquisitionrecordgroupitemvalue|photostyle|filmmode|picture(style|profile|control)"
    r"|colou?r(mode|profile)",
    re.IGNORECASE,
)
_LOG = re.compile(
    r"\b(?:(?:[cdfilnsvz]|apple|arri|canon|panasonic)[- ]?log ?\d?(?:-cine)?|log[- ]?c\d?)\b",
    re.IGNORECASE,
)


def profile_of(raw: Mapping[str, Json]) -> str:
    """The codec's profile of the first video stream, as ffprobe names it: `HQ`, `DNXHR HQX`."""
    return next((str(one.get("profile", "")) for one in _videos(raw)), "")


def gamma_of(raw: Mapping[str, Json]) -> str:
    """The camera's log curve as tags name it, such as `s-log3-cine`; empty for an ordinary one."""
    for text in _curves(raw):
        if found := _LOG.search(text):
            return found[0]
    coded = (str(one.get("color_transfer", "")) for one in _videos(raw))
    return next((one for one in coded if one.startswith("log")), "")


def _curves(raw: Mapping[str, Json]) -> Iterator[str]:
    for name, value in raw.get("exiftool", {}).items():
        if _CURVE_TAG.search(name):
            yield from map(str, value if isinstance(value, list) else (value,))


def _videos(raw: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    streams = raw.get("ffprobe", {}).get("streams", ())
    return (one for one in streams if one.get("codec_type") == "video")
