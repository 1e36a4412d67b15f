"""Where it was taken: the place nearest to the GPS fix, from the offline gazetteer."""

from collections.abc import Iterator
from dataclasses import asdict

from dam_pipeline.stock.gazetteer import Found
from dam_pipeline.stock.record import Place, Suggestion
from dam_pipeline.stock.suggestions.known import Known

CITY_KM = 20.0  # a caption that names a city farther away would be wrong
SUREST, LEAST = 0.9, 0.5  # at its centre, and at the farthest that is told


def suggest(known: Known) -> Iterator[Suggestion]:
    """The city with its country; only region and country where the nearest city is far."""
    found = known.found_place
    if found is None or known.probe.gps is None:
        return
    latitude, longitude = known.probe.gps
    share = min(found.distance_km / CITY_KM, 1.0)
    evidence = (
        f"GPS {latitude:.4f}, {longitude:.4f} is {found.distance_km:.1f} km from the centre of "
        f"{found.place.city}, {found.place.country}"
    )
    confidence = round(SUREST - (SUREST - LEAST) * share, 2)
    yield Suggestion("place", asdict(_told(found)), "gazetteer", confidence, evidence)


def place_of(known: Known) -> Place:
    """The place that words may name: what people and the file say, else what `suggest` does."""
    if known.record.place or known.found_place is None:
        return known.record.place or Place()
    return _told(known.found_place)


def _told(found: Found) -> Place:
    place = found.place
    if found.distance_km <= CITY_KM:
        return place
    return Place("", place.region, place.country, place.country_code)
