"""How the commands of `dam stock` write values of records for people."""

from collections.abc import Mapping

from dam_pipeline.records import Json
from dam_pipeline.stock.sheets.cells import listed

ANSWERS = {True: "yes", False: "no"}
SHOWN = 50  # entries of a list


def value_text(value: Json) -> str:
    """A value of a stock record as a person reads it; empty where nobody said anything."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return ANSWERS[value]
    if isinstance(value, Mapping):
        return _mapping_text(value)
    if isinstance(value, list | tuple):
        more = f", … and {len(value) - SHOWN:,} more" if len(value) > SHOWN else ""
        return listed(map(value_text, value[:SHOWN])) + more
    return str(value)


def _mapping_text(value: Mapping[str, Json]) -> str:
    """A release, a place, or categories by agency."""
    if "sha256" in value:
        named = f" ({value['name']})" if value.get("name") else ""
        return f"{value['kind']} {value['path']}{named}"
    if "country_code" in value:
        return ", ".join(
            part for part in (value["city"], value["region"], value["country"]) if part
        )
    return ", ".join(f"{key}: {text}" for key, text in value.items())
