"""What may stand in each field of a stock record, and how it is kept: the check of what people type."""

import hashlib
import math
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import get_args

from dam_pipeline.errors import ConfigurationError
from dam_pipeline.records import Json
from dam_pipeline.stock.gazetteer import country_of
from dam_pipeline.stock.record import Usage
from dam_pipeline.stock.wording import clean

LISTS = ("keywords", "releases")  # may be added to and taken from
MAPPINGS = ("place", "categories")  # change part by part
LONGEST = 10_000  # characters of a description; a title and the rest a tenth of it
MOST_PEOPLE = 1_000_000
RELEASE_KINDS = ("model", "property")
PLACE_PARTS = ("city", "region", "country", "country_code")


def checked(changes: Mapping[str, Json]) -> dict[str, Json]:
    """The changes as they are kept, see `people.edit_record`; raises ConfigurationError."""
    kept: dict[str, Json] = {}
    for name, value in changes.items():
        if name not in FIELDS:
            raise ConfigurationError(f"{name} is no field of a stock record: {', '.join(FIELDS)}.")
        if name in LISTS and isinstance(value, Mapping):
            kept[name] = _checked_parts(name, value)
        else:
            kept[name] = None if value is None else FIELDS[name](value)
    return kept


def _checked_parts(name: str, value: Mapping[str, Json]) -> dict[str, Json]:
    if not {"add", "remove"} >= set(value):
        raise ConfigurationError(f"{name} is a list, or {{add: […], remove: […]}}.")
    parts = {key: value[key] for key in ("add", "remove") if key in value}
    if name == "releases" and "remove" in parts:  # their files may be gone
        removed = [{"path": str(_path_of(one))} for one in parts.pop("remove")]
        return {**{key: FIELDS[name](part) for key, part in parts.items()}, "remove": removed}
    return {key: FIELDS[name](part) for key, part in parts.items()}


def each_once(words: Iterable[str]) -> list[str]:
    """The words that are not empty, each once, whatever its case, where it stands first."""
    found: dict[str, str] = {}
    for word in words:
        if word:
            found.setdefault(word.casefold(), word)
    return list(found.values())


def _line(value: Json) -> str:
    text = clean(_text(value))
    if len(text) > LONGEST // 10:
        raise ConfigurationError(f"{text[:40]!r}… has {len(text)} characters. Shorten it.")
    return text


def _paragraphs(value: Json) -> str:
    text = "\n".join(clean(line) for line in _text(value).splitlines()).strip()
    if len(text) > LONGEST:
        raise ConfigurationError(f"{text[:40]!r}… has {len(text)} characters. Shorten it.")
    return text


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"{value!r} is no text.")
    return value


def _keywords(value: Json) -> list[str]:
    """Each once, whatever its case, in the order of their importance."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list | tuple):
        raise ConfigurationError(f"{value!r} is no list of keywords.")
    return each_once(_line(one) for one in value)


def _categories(value: Json) -> dict[str, Json]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{value!r} does not map agencies to categories.")
    return {_line(agency): None if name is None else _line(name) for agency, name in value.items()}


def _usage(value: Json) -> str:
    if value not in get_args(Usage):
        raise ConfigurationError(f"{value!r} is no usage: commercial or editorial.")
    return str(value)


def _releases(value: Json) -> list[dict[str, Json]]:
    if not isinstance(value, list | tuple):
        raise ConfigurationError(f"{value!r} is no list of releases.")
    releases = [_release(one) for one in value]
    return list({one["path"]: one for one in releases}.values())


def _release(value: Json) -> dict[str, Json]:
    path = _path_of(value)
    kind = value.get("kind", "model") if isinstance(value, Mapping) else "model"
    if kind not in RELEASE_KINDS:
        raise ConfigurationError(f"{kind!r} is no kind of release: {' or '.join(RELEASE_KINDS)}.")
    name = _line(value.get("name") or "") if isinstance(value, Mapping) else ""
    return {"kind": kind, "path": str(path), "name": name, "sha256": _sha256(path)}


def _path_of(value: Json) -> Path:
    path = value.get("path") if isinstance(value, Mapping) else value
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise ConfigurationError(f"{value!r} names no file of a release.")
    return Path(os.path.abspath(Path(path).expanduser()))


def _sha256(path: Path) -> str:
    """Of a release's file, which must be there and hold something."""
    try:
        if path.exists() and not (path.is_file() and path.stat().st_size):
            raise ConfigurationError(
                f"The release {path} is no file with anything in it. Give the path of the signed one."
            )
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigurationError(
            f"The release {path} cannot be read ({error.strerror}). Give the path of its file."
        ) from error


def _place(value: Json) -> dict[str, Json]:
    """Parts of a place; a country by name or code gives both."""
    if not isinstance(value, Mapping) or not set(PLACE_PARTS) >= set(value):
        raise ConfigurationError(f"{value!r} is no place: {', '.join(PLACE_PARTS)}.")
    parts = {key: _line(part or "") for key, part in value.items()}
    named = [parts[key] for key in ("country", "country_code") if parts.get(key)]
    found = [country_of(one) for one in named]
    if len({code for code, _ in found}) > 1:
        raise ConfigurationError(f"{named[0]} and {named[1]} are different countries.")
    if found:
        parts["country_code"], parts["country"] = found[0]
    elif "country" in parts or "country_code" in parts:
        parts |= {"country": "", "country_code": ""}
    return parts


def _date(value: Json) -> str:
    text = _line(value)
    if not text:
        return ""
    for form in (date.fromisoformat, datetime.fromisoformat):
        try:
            return form(text).isoformat()
        except ValueError:
            continue
    raise ConfigurationError(
        f"{text!r} is no date. Write it as 2026-03-01, with a time as 2026-03-01T18:30."
    )


def _people(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_PEOPLE:
        raise ConfigurationError(f"{value!r} is no number of people.")
    return value


def _flag(value: Json) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{value!r} is neither true nor false.")
    return value


def _price(value: Json) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 0:
        raise ConfigurationError(f"{value!r} is no price in US dollars.")
    return float(value)


FIELDS: Mapping[str, Callable[[Json], Json]] = {
    "title": _line,
    "description": _paragraphs,
    "keywords": _keywords,
    "category": _line,
    "categories": _categories,
    "usage": _usage,
    "releases": _releases,
    "place": _place,
    "date": _date,
    "people": _people,
    "is_generated": _flag,
    "is_mature": _flag,
    "is_illustration": _flag,
    "price_usd": _price,
    "creator": _line,
    "copyright": _line,
}
"""The fields of `StockRecord` and the check of each, which gives the value as it is kept."""
