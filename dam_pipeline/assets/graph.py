"""The library's graph: what resembles what, across all files."""

import dagster as dg

from dam_pipeline.assets.media import OWNER
from dam_pipeline.graph.build import build_graph
from resources.library import LibraryResource


@dg.asset(
    deps=["shots", "keyframes", "clip_embeddings", "face_embeddings", "transcript", "scenes"],
    group_name="L3_library",
    owners=[OWNER],
    kinds={"duckdb"},
    code_version="1",
    output_required=False,
)
def media_graph(
    context: dg.AssetExecutionContext, library: LibraryResource
) -> dg.MaterializeResult:
    """Files, shots, faces, words, and the edges between files: look-alikes, same face, same words.

    Made of every file that has results, whether or not others have failed.
    """
    with library.open() as tools:
        report = build_graph(tools.settings, tools.catalogue, tools.derived, context.run.run_id)
    return dg.MaterializeResult(
        metadata={
            **{f"edges/{kind}": count for kind, count in report.edges.items()},
            **{f"nodes/{kind}": count for kind, count in report.nodes.items()},
            **({"warnings": "\n".join(report.warnings)} if report.warnings else {}),
            "seconds": round(report.seconds, 3),
            "path": dg.MetadataValue.path(str(report.path)),
        }
    )
