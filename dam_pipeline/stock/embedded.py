"""What people wrote into a file or its sidecar in another program, as fields of a stock record.

Read from the tags that the stage `probe` kept; what a sidecar says wins over what is embedded.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dam_pipeline.errors import ConfigurationError
from dam_pipeline.records import Json, Probe
from dam_pipeline.stock.fields import each_once
from dam_pipeline.stock.gazetteer import country_of
from dam_pipeline.stock.wording import clean

DESCRIPTION = (
    *("XMP:Description", "IPTC:Caption-Abstract", "QuickTime:Description", "EXIF:ImageDescription"),
    *("QuickTime:Comment", "RIFF:Comment", "ID3:Comment", "Vorbis:Description"),
)
CREATOR = (
    *("XMP:Creator", "IPTC:By-line", "EXIF:Artist", "QuickTime:Artist", "QuickTime:Author"),
    *("RIFF:Artist", "ID3:Artist", "Vorbis:Artist"),
)
COPYRIGHT = (
    *("XMP:Rights", "IPTC:CopyrightNotice", "EXIF:Copyright", "QuickTime:Copyright"),
    *("RIFF:Copyright", "ID3:Copyright", "Vorbis:Copyright"),
)
PLACE = {
    "city": ("XMP:City", "IPTC:City"),
    "region": ("XMP:State", "IPTC:Province-State"),
    "country": ("XMP:Country", "IPTC:Country-PrimaryLocationName"),
    "country_code": ("XMP:CountryCode",),
}
SOURCE_TYPE = ("XMP:DigitalSourceType", "IPTC:DigitalSourceType")
GENERATED = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia")
"""IPTC's terms (cv.iptc.org/newscodes/digitalsourcetype) for pictures made by a model, wholly or partly."""

OF_A_MACHINE = re.compile(
    r"(olympus digital camera|samsung camera pictures|minolta digital camera|kodak digital still camera"
    r"|sony dsc|default|untitled|screenshot|dcim.*|\S*\.(jpe?g|mp4|mov|dng|avi)|lavf[\d.]*)",
    re.IGNORECASE,
)
"""Captions that cameras and programs write by themselves."""

Tags = Mapping[str, Any]


def said_in_file(probe: Probe) -> dict[str, Json]:
    """Fields of a stock record as JSON values, only those that the file has something for."""
    layers = _layers(probe)
    found: dict[str, Json] = {
        "title": _human(clean(probe.title or "")),
        "description": _human(_first(layers, DESCRIPTION, paragraphs)),
        "keywords": _keywords(probe.keywords),
        "creator": _first(layers, CREATOR),
        "copyright": _first(layers, COPYRIGHT),
        "place": _place(layers),
    }
    if _first(layers, SOURCE_TYPE).rpartition("/")[2] in GENERATED:
        found["is_generated"] = True
    return {name: value for name, value in found.items() if value}


def paragraphs(text: str) -> str:
    """A text of several lines, each of them clean."""
    return "\n".join(clean(line) for line in text.splitlines()).strip()


def _keywords(found: Sequence[str]) -> list[str]:
    """Each once; some programs put all of them into one text with commas."""
    words = found[0].replace(";", ",").split(",") if len(found) == 1 else found
    return each_once(map(clean, words))


def _layers(probe: Probe) -> list[Tags]:
    """Tags of the sidecars, then those in the file."""
    beside = [one.get("tags") or {} for one in probe.raw.get("sidecars", ())]
    return [*beside, probe.raw.get("exiftool") or {}]


def _place(layers: Sequence[Tags]) -> dict[str, str]:
    """The place of the first layer that has one, so that no two are mixed."""
    for tags in layers:
        parts = {key: _first([tags], names) for key, names in PLACE.items()}
        if any(parts.values()):
            return _with_country(parts)
    return {}


def _with_country(parts: dict[str, str]) -> dict[str, str]:
    """Country and code fill each other where one of them is known."""
    for name in ("country_code", "country"):
        try:
            parts["country_code"], known = country_of(parts[name])
            return {**parts, "country": parts["country"] or known}
        except ConfigurationError:
            continue
    return {**parts, "country_code": ""}


def _first(layers: Sequence[Tags], names: Sequence[str], tidy: Callable[[str], str] = clean) -> str:
    texts = (_text(tags.get(name), tidy) for tags in layers for name in names)
    return next((text for text in texts if text), "")


def _text(value: Any, tidy: Callable[[str], str]) -> str:
    """A tag as one text: of a language alternative the default, of a list all."""
    if isinstance(value, dict):
        value = value.get("x-default") or next(iter(value.values()), None)
    if isinstance(value, list):
        return ", ".join(text for one in value if (text := _text(one, tidy)))
    return "" if value is None else tidy(str(value))


def _human(text: str) -> str:
    return "" if OF_A_MACHINE.fullmatch(text) else text
