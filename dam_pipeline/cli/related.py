"""`dam related`: which other files a file has to do with."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.options import AsJson, MediaRef
from dam_pipeline.cli.output import OUT, Exit, command, print_json, say, table
from dam_pipeline.cli.wording import place, span
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.graph.edges import EDGE_KINDS
from dam_pipeline.records import Json
from dam_pipeline.settings import load_settings

if TYPE_CHECKING:
    from dam_pipeline.graph.read import Community, Related


@command
def run(
    media: MediaRef,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Only {', '.join(EDGE_KINDS[:-1])} or {EDGE_KINDS[-1]}; may be repeated."
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Show the files that this one has to do with, how, and where in each of them.

    Copies and cuts of it (near_duplicate), look-alikes, files with the same face or the same words,
    and the take before or after it (continues); and the community of files that it belongs to.

    Examples: dam related tape-07-3f2a9c · dam related a.mov --kind same_face --json
    """
    from dam_pipeline.catalogue.catalogue import open_catalogue
    from dam_pipeline.graph.read import community_of, related

    if unknown := [one for one in kind or () if one not in EDGE_KINDS]:
        raise ConfigurationError(f"{unknown[0]} is no kind of relation: {', '.join(EDGE_KINDS)}.")
    settings = load_settings()
    with open_catalogue(settings.home, settings.postgres_url) as catalogue:
        asked = catalogue.find(media)
        found = [
            one
            for one in related(settings, asked.media_id, catalogue)
            if not kind or one.kind in kind
        ]
        community = None if as_json else community_of(settings, asked.media_id)
    if as_json:
        print_json([one.to_json() for one in found])
    elif found:
        _print(found)
    else:
        say(f"Nothing is related to {asked.partition_key}.")
    if community:
        OUT.print(f"Community {community.community}: {_described(community)}", markup=False)
    return Exit.OK


def _print(found: Sequence["Related"]) -> None:
    table(
        ("how", "weight", "here", "there", "evidence", "file"),
        [
            (
                one.kind,
                f"{one.weight:.2f}",
                span(one.start_s, one.end_s),
                span(one.other_start_s, one.other_end_s),
                _evidence(one.evidence),
                place(one.other_uri),
            )
            for one in found
        ],
    )


def _evidence(evidence: Json) -> str:
    """What is shared in a few words; the lists and the space are for scripts."""
    shown = []
    if text := evidence.get("text"):
        shown.append(f"“{text}”")
    if evidence.get("role"):
        shown.append("comes next" if evidence["role"] == "first" else "comes before")
        shown += [_reason(name, value) for name, value in evidence["reasons"].items()]
    if evidence.get("is_mirrored"):
        shown.append("mirrored")
    if "share" in evidence:
        shown.append(f"{evidence['share']:.0%} of this, {evidence['other_share']:.0%} of that")
    for name in ("cosine", "distance", "count"):
        if name in evidence:
            value = evidence[name]
            shown.append(f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}")
    return ", ".join(shown)


def _reason(name: str, reason: Json) -> str:
    """A reason for a continuation in a few words."""
    told = {
        "time": "{gap_s:.0f} s later",
        "timecode": "timecode goes on",
        "camera": "same camera",
        "name": "next name",
        "place": "{distance_m:.0f} m away",
        "look": "looks alike ({cosine:.2f})",
    }
    return told[name].format(**reason)


def _described(community: "Community") -> str:
    return f"{community.name} ({community.media} files, named by {community.named_by})"
