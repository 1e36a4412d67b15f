"""Where it was taken: the place nearest to the GPS fix, from the offline gazetteer."""

from collections.abc import Iterator
from dataclasses import asdict

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
    place, far = found.place, found.distance_km > CITY_KM
    share = min(found.distance_km / CITY_KM, 1.0)
    evidence = (
        f"GPS {latitude:.4f}, {longitude:.4f} is {found.distance_km:.1f} km from the centre of "
        f"{place.city}, {place.country}"
    )
    if far:
        place = Place("", place.region, place.country, place.country_code)
    confidence = round(SUREST - (SUREST - LEAST) * share, 2)
    yield Suggestion("place", asdict(place), "gazetteer", confidence, evidence)
