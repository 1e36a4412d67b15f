"""What exiftool's tags say of a file in words a person would use: when, where, by what, of whom."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dam_pipeline.records import Json

FIRST_YEAR = 1826  # of the oldest photograph there is
EPOCHS = ("1904-01-01T00:00:00", "1970-01-01T00:00:00")  # clocks that were never set
DATE = re.compile(
    r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d)(?::(\d\d))?(?:\.\d+)?\s*(Z|[+-]\d\d:?\d\d)?"
)

# Names in the order in which they are believed; the second one of a pair holds the offset.
CREATED = (
    ("XMP:DateTimeOriginal", ""),
    ("EXIF:DateTimeOriginal", "EXIF:OffsetTimeOriginal"),
    ("QuickTime:CreationDate", ""),
    ("XML:CreationDateValue", ""),
    ("QuickTime:ContentCreateDate", ""),
    ("QuickTime:DateTimeOriginal", ""),
    ("EXIF:CreateDate", "EXIF:OffsetTimeDigitized"),
    ("RIFF:DateTimeOriginal", ""),
    ("Matroska:DateTimeOriginal", ""),
    ("ASF:CreationDate", ""),
    ("Composite:DateTimeCreated", ""),
    ("XMP:DateCreated", ""),
    ("XMP:CreateDate", ""),
    ("PNG:CreationTime", ""),
    ("ID3:RecordingTime", ""),
    ("Vorbis:Date", ""),
)
CREATED_UTC = ("QuickTime:CreateDate", "QuickTime:MediaCreateDate")  # ISO 14496-12: in UTC
MAKE = ("EXIF:Make", "QuickTime:Make", "QuickTime:AndroidMake", "XML:DeviceManufacturer")
MODEL = ("EXIF:Model", "QuickTime:Model", "QuickTime:AndroidModel", "XML:DeviceModelName")
LENS = (
    "EXIF:LensModel",
    "QuickTime:LensModel",
    "XMP:LensModel",
    "XMP:Lens",
    "MakerNotes:LensModel",
)
TITLE = ("XMP:Title", "IPTC:ObjectName", "QuickTime:Title", "ID3:Title", "Vorbis:Title")
KEYWORDS = ("XMP:Subject", "IPTC:Keywords", "QuickTime:Keywords", "EXIF:XPKeywords")
KEYWORDS_IN_ONE = {"QuickTime:Keywords": "[,;]", "EXIF:XPKeywords": ";"}
"""Tags that hold all keywords in one text, and what stands between them."""
RATING = ("XMP:Rating", "EXIF:Rating", "QuickTime:Rating")
LATITUDE = ("Composite:GPSLatitude", "EXIF:GPSLatitude", "XMP:GPSLatitude")
LONGITUDE = ("Composite:GPSLongitude", "EXIF:GPSLongitude", "XMP:GPSLongitude")

Tags = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Description:
    """What the tags say; empty where they are silent."""

    created_at: str | None = None
    camera: str | None = None
    lens: str | None = None
    gps: tuple[float, float] | None = None
    title: str | None = None
    keywords: tuple[str, ...] = ()
    rating: float | None = None
    face_regions: tuple[Mapping[str, Json], ...] = ()


def describe(embedded: Tags, sidecars: Sequence[Tags], orientation: int = 1) -> Description:
    """The file's description; what a sidecar says wins over what is embedded.

    Face regions are turned upright: programs write them for the stored picture (MWG guidelines).
    """
    layers = [*sidecars, embedded]
    return Description(
        created_at=_first(created_at(tags) for tags in layers),
        camera=_first(camera(tags) for tags in [embedded, *sidecars]),
        lens=_first(_text(tags, LENS) for tags in [embedded, *sidecars]),
        gps=_first(gps(tags) for tags in layers),
        title=_first(_text(tags, TITLE) for tags in layers),
        keywords=_first(keywords(tags) for tags in layers) or (),
        rating=_first(rating(tags) for tags in layers),
        face_regions=_first(face_regions(tags, orientation) for tags in layers) or (),
    )


def _first(values: Any) -> Any:
    return next((value for value in values if value not in (None, ())), None)


def _text(tags: Tags, names: Sequence[str]) -> str | None:
    for name in names:
        value = tags.get(name)
        if isinstance(value, dict):  # a language alternative
            value = value.get("x-default") or next(iter(value.values()), None)
        text = "" if value is None or isinstance(value, list) else str(value).strip("\0 \t\r\n")
        if text:
            return text
    return None


def iso_date(value: Any, offset: Any = None, assume: str = "") -> str | None:
    """ISO 8601 to the second, with an offset only if the text or `offset` has one (or `assume`)."""
    match = DATE.match(str(value).strip())
    if match is None:
        return None
    year, month, day, hour, minute, second, zone = match.groups()
    zone = zone or str(offset or "").strip() or assume
    text = f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}"
    if text in EPOCHS or int(year) < FIRST_YEAR:
        return None
    if zone in ("Z", "+00:00", "+0000"):
        zone = "+00:00"
    elif re.fullmatch(r"[+-]\d\d:?\d\d", zone):
        zone = f"{zone[:3]}:{zone[-2:]}"
    else:
        zone = ""
    try:
        datetime.fromisoformat(text + zone)
    except ValueError:
        return None
    return text + zone


def created_at(tags: Tags) -> str | None:
    """When the picture or sound was taken, by the most trustworthy tag."""
    for name, offset_name in CREATED:
        found = iso_date(tags.get(name, ""), tags.get(offset_name))
        if found:
            return found
    for name in CREATED_UTC:
        found = iso_date(tags.get(name, ""), assume="Z")
        if found and found[:19] not in EPOCHS:
            return found
    return None


def camera(tags: Tags) -> str | None:
    """Make and model, without the make twice."""
    make, model = _text(tags, MAKE), _text(tags, MODEL)
    if not make or not model:
        return model or make
    doubled = model.split()[0].casefold() == make.split()[0].casefold()
    return model if doubled else f"{make} {model}"


def gps(tags: Tags) -> tuple[float, float] | None:
    """Latitude and longitude in degrees; a fix of exactly 0, 0 is none."""
    latitude, longitude = _number(tags, LATITUDE), _number(tags, LONGITUDE)
    if latitude is None or longitude is None or (latitude, longitude) == (0.0, 0.0):
        return None
    if tags.get("Composite:GPSLatitude") is None:
        latitude *= -1 if str(tags.get("EXIF:GPSLatitudeRef", "")).upper().startswith("S") else 1
        longitude *= -1 if str(tags.get("EXIF:GPSLongitudeRef", "")).upper().startswith("W") else 1
    inside = abs(latitude) <= 90 and abs(longitude) <= 180
    return (latitude, longitude) if inside else None


def keywords(tags: Tags) -> tuple[str, ...]:
    """The words a person gave, each once, in their order."""
    for name in KEYWORDS:
        value = tags.get(name)
        if name in KEYWORDS_IN_ONE and isinstance(value, str):
            value = re.split(KEYWORDS_IN_ONE[name], value)
        values = value if isinstance(value, list) else [] if value is None else [value]
        words = tuple(dict.fromkeys(text for v in values if (text := str(v).strip("\0 \t\r\n"))))
        if words:
            return words
    return ()


def rating(tags: Tags) -> float | None:
    """Stars, −1 (rejected) to 5."""
    found = _number(tags, RATING)
    return found if found is not None and -1 <= found <= 5 else None


def face_regions(tags: Tags, orientation: int) -> tuple[Mapping[str, Json], ...]:
    """Named faces as {name, box} with upright (x, y, w, h) in 0–1, MWG's first, else Microsoft's."""
    info = tags.get("XMP:RegionInfo")
    listed = info.get("RegionList") if isinstance(info, dict) else None
    found = [_mwg_face(region) for region in _list(listed)]
    if not any(found):
        info = tags.get("XMP:RegionInfoMP")
        listed = info.get("Regions") if isinstance(info, dict) else None
        found = [_microsoft_face(region) for region in _list(listed)]
    return tuple(
        {"name": name, "box": _upright(box, orientation)}
        for name, box in (face for face in found if face is not None)
    )


Face = tuple[str | None, tuple[float, float, float, float]]


def _mwg_face(region: Any) -> Face | None:
    area = region.get("Area") if isinstance(region, dict) else None
    if not isinstance(area, dict) or region.get("Type", "Face") != "Face":
        return None
    if area.get("Unit", "normalized") != "normalized":
        return None
    try:
        x, y, w, h = (float(area[key]) for key in "XYWH")
    except (KeyError, TypeError, ValueError):
        return None
    name = str(region["Name"]) if region.get("Name") else None
    return name, (x - w / 2, y - h / 2, w, h)


def _microsoft_face(region: Any) -> Face | None:
    if not isinstance(region, dict):
        return None
    try:
        x, y, w, h = (float(part) for part in str(region.get("Rectangle")).split(","))
    except ValueError:
        return None
    name = str(region["PersonDisplayName"]) if region.get("PersonDisplayName") else None
    return name, (x, y, w, h)


def _upright(box: tuple[float, float, float, float], orientation: int) -> list[float]:
    """The box in the picture as EXIF orientation 1–8 turns it, cut to the picture."""
    x, y, w, h = box
    if orientation in (5, 6, 7, 8):
        x, y, w, h = y, x, h, w
    if orientation in (2, 3, 6, 7):
        x = 1 - x - w
    if orientation in (3, 4, 7, 8):
        y = 1 - y - h
    left, top = max(0.0, x), max(0.0, y)
    right, bottom = min(1.0, x + w), min(1.0, y + h)
    edges = (left, top, max(0.0, right - left), max(0.0, bottom - top))
    return [round(edge, 6) for edge in edges]


def _number(tags: Tags, names: Sequence[str]) -> float | None:
    for name in names:
        try:
            return float(tags[name])
        except (KeyError, TypeError, ValueError):
            continue
    return None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
