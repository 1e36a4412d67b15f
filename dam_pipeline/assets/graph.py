"""The library's graph: what resembles what, across all files."""

import dagster as dg
from pydantic import Field

from dam_pipeline.assets.metadata import OWNER
from dam_pipeline.graph.build import build_graph
from resources.library import LibraryResource


class GraphConfig(dg.Config):
    """How the graph is built."""

    full: bool = Field(
        default=False,
        description="Build from nothing instead of going on from the graph before.",
    )


@dg.asset(
    deps=[
        *("probe", "shots", "keyframes", "fingerprints", "clip_embeddings", "face_embeddings"),
        *("transcript", "tags", "scenes"),
    ],
    group_name="L3_library",
    owners=[OWNER],
    kinds={"duckdb"},
    code_version="2",
    output_required=False,
)
def media_graph(
    context: dg.AssetExecutionContext, config: GraphConfig, library: LibraryResource
) -> dg.MaterializeResult:
    """Files, shots, faces, words, tags, and what ties files together.

    Near duplicates, look-alikes, the same face, the same words, takes that continue; people, and
    communities of files named by what tells them apart. Made of every file that has results, whether
    or not others have failed; only what changed is found anew.
    """
    with library.open() as tools:
        report = build_graph(
            tools.settings, tools.catalogue, tools.derived, context.run.run_id, full=config.full
        )
    return dg.MaterializeResult(
        metadata={
            "mode": report.mode,
            "changed_files": report.changed,
            **{f"edges/{kind}": count for kind, count in report.edges.items()},
            **{f"nodes/{kind}": count for kind, count in report.nodes.items()},
            "people": report.people,
            "communities": report.communities,
            **({"warnings": "\n".join(report.warnings)} if report.warnings else {}),
            "seconds": round(report.seconds, 3),
            "path": dg.MetadataValue.path(str(report.path)),
        }
    )
