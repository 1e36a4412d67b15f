"""Which media a command is about."""

import os
from collections.abc import Sequence

from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.identity import path_to_uri
from dam_pipeline.records import Media
from dam_pipeline.stages import STAGES


def media_below(
    catalogue: Catalogue, paths: Sequence[str], *, may_be_unknown: bool = False
) -> list[Media]:
    """Media with a present place at or below these paths, in the order of their keys.

    Superseded ones are left out. Raises ConfigurationError for a path that neither exists nor is
    known, unless it may be.
    """
    found: dict[str, Media] = {}
    for path in paths:
        uri = path if "://" in path else path_to_uri(path)
        places = catalogue.locations(below=uri)
        if not places and not may_be_unknown and not os.path.lexists(path):
            raise ConfigurationError(f"{path} does not exist and is not known. Check the spelling.")
        ids = sorted({place.media_id for place in places if place.missing_since is None})
        found |= {k: m for k, m in catalogue.media(ids).items() if m.superseded_by is None}
    return sorted(found.values(), key=lambda one: one.partition_key)


def check_stages(names: Sequence[str] | None) -> list[str]:
    """The names, when all of them are stages; raises ConfigurationError naming those there are."""
    for name in names or ():
        if name not in STAGES:
            raise ConfigurationError(f"{name} is no stage. Stages: {', '.join(STAGES)}.")
    return list(names or ())
