"""What a person should know before a package goes to an address; nothing is forbidden by it."""

from collections.abc import Iterator

from dam_pipeline.agencies.loading import find_agency
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.publishing import Destination, warning_of
from dam_pipeline.settings import Settings


def advice(settings: Settings, agency: str, destination: Destination) -> list[str]:
    """Warnings about an address: of its protocol, and by what is known of the agency."""
    plain = warning_of(destination)
    return [*([plain] if plain else []), *_of_the_agency(settings, agency, destination)]


def _of_the_agency(settings: Settings, agency: str, destination: Destination) -> Iterator[str]:
    try:
        known = find_agency(settings, agency)
    except ConfigurationError:
        return  # packaged where its specification was
    takes, host = known.transport.schemes, known.transport.host
    if destination.scheme == "file":
        return
    if not takes:
        yield f"{known.name} takes files in its portal only, as far as is known."
    elif destination.scheme not in takes:
        yield f"{known.name} takes {', '.join(takes)}, as far as is known."
    elif destination.scheme == "ftp" and takes[0] != "ftp":
        yield f"{known.name} takes {takes[0]} as well, which nobody on the way can read."
    if host and destination.host != host:
        yield f"{known.name} is reached at {host}, as far as is known, not {destination.host}."
