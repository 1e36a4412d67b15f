"""The jobs: bring files up to date; rebuild the library's graph."""

import dagster as dg

from dam_pipeline.stages import STAGES

JOB_TAG = "dam/job"
PROCESS_TAG = "dam/process"
"""On a run in the foreground, of `dam ingest` or `dam retry`: the process that it lives in."""

ingest = dg.define_asset_job(
    "ingest",
    selection=dg.AssetSelection.assets(*STAGES),
    description="Bring a range of media files up to date; what is done and fresh is left alone.",
    tags={"dagster/max_retries": "1", "dagster/retry_on_asset_or_op_failure": "false"},
)

graph = dg.define_asset_job(
    "graph",
    selection=dg.AssetSelection.assets("media_graph"),
    description="Rebuild the graph of the whole library from the derived files.",
    tags={"dam/job": "graph"},
)
