"""Which files, and which of their stages, somebody asks to have processed (again)."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.identity import path_to_uri
from dam_pipeline.records import Filters, Media, State
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.freshness import Verdict
from dam_pipeline.stages.listing import Listing, list_media
from dam_pipeline.stages.work import Toolbox

TROUBLED = frozenset({State.FAILED, State.STALE, State.BLOCKED})
EVERYTHING = frozenset(State) - {State.RUNNING, State.REMOVED}


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody asks for: files by reference and filter, their stages by state and name.

    Empty means all. `everything` also takes what is done and fresh, to be computed anew.
    """

    references: tuple[str, ...] = ()
    filters: Filters = field(default_factory=Filters)
    states: frozenset[State] = TROUBLED
    stages: tuple[str, ...] = ()
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Chosen:
    """A file and those of its stages that are to run again."""

    listing: Listing
    stages: Mapping[str, Verdict]

    @property
    def media(self) -> Media:
        """The file."""
        return self.listing.media

    def to_json(self) -> dict[str, object]:
        """The documented shape of one file in `retry --json`."""
        return {
            "media_id": self.media.media_id,
            "partition_key": self.media.partition_key,
            "uri": self.listing.uri,
            "state": self.listing.state.value,
            "stages": {
                stage: {"state": verdict.state.value, "reason": verdict.reason}
                for stage, verdict in self.stages.items()
            },
        }


def asked_for(
    references: Sequence[str],
    filters: Filters,
    stages: Sequence[str],
    *,
    failed: bool,
    stale: bool,
    everything: bool,
) -> Choice:
    """The choice that a command's or a job's options mean; raises ConfigurationError for a bad one."""
    if everything and (failed or stale):
        raise ConfigurationError("--all already holds --failed and --stale; give it alone.")
    asked = {State.FAILED: failed, State.STALE: stale}
    some = frozenset(state for state, is_asked in asked.items() if is_asked) or TROUBLED
    return Choice(
        tuple(references),
        filters,
        EVERYTHING if everything else some,
        tuple(check_stages(stages)),
        everything,
    )


def choose(tools: Toolbox, choice: Choice) -> list[Chosen]:
    """The files that the choice means and that have work to do, in the order of their keys.

    Raises ConfigurationError for a reference that fits nothing.
    """
    chosen = []
    for listing in list_media(tools, _files(tools.catalogue, choice)):
        picked = {
            stage: verdict
            for stage, verdict in listing.verdicts.items()
            if verdict.state in choice.states and (not choice.stages or stage in choice.stages)
        }
        if picked:
            chosen.append(Chosen(listing, picked))
    return chosen


def prepare_again(tools: Toolbox, choice: Choice, chosen: Sequence[Chosen]) -> list[str]:
    """The stages to run for the chosen, which may kill their process once more.

    What is done is forgotten first when all is asked for.
    """
    tools.catalogue.deaths.forget([(c.media.media_id, stage) for c in chosen for stage in c.stages])
    if choice.everything:
        for one in chosen:
            tools.catalogue.states.forget([one.media.media_id], list(one.stages))
    return with_dependants({stage for one in chosen for stage in one.stages})


def with_dependants(chosen: Collection[str]) -> list[str]:
    """The stages and all that is made from what they give, each after its inputs."""
    found = set(chosen)
    for stage in STAGES.values():
        if found.intersection((*stage.inputs, *stage.enrichments)):
            found.add(stage.name)
    return [name for name in STAGES if name in found]


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


def check_stages(names: Sequence[str]) -> list[str]:
    """The names, when all of them are stages; raises ConfigurationError naming those there are."""
    for name in names:
        if name not in STAGES:
            raise ConfigurationError(f"{name} is no stage. Stages: {', '.join(STAGES)}.")
    return list(names)


def _files(catalogue: Catalogue, choice: Choice) -> list[Media]:
    """The files that the references and filters name, in the order of their keys."""
    if choice.references:
        found: dict[str, Media] = {}
        for one in choice.references:
            is_path = "://" in one or os.sep in one or os.path.lexists(one)
            for media in media_below(catalogue, [one]) if is_path else [catalogue.find(one)]:
                found[media.partition_key] = media
        files = [found[key] for key in sorted(found)]
    else:
        files = catalogue.all_media()
    allowed = catalogue.matching(choice.filters)
    return [one for one in files if allowed is None or one.media_id in allowed]
