"""The jobs: find files, bring them up to date, do it again; the graph; packages for stock."""

import dagster as dg

from dam_pipeline import __version__
from dam_pipeline.ops.discover import find_media
from dam_pipeline.ops.package_for_stock import make_package
from dam_pipeline.ops.process_files import process_files as process_files_op
from dam_pipeline.ops.publish_packages import send_packages
from dam_pipeline.ops.reprocess import choose_media
from dam_pipeline.run_tags import JOB_TAG, VERSION
from dam_pipeline.stages import STAGES

ingest = dg.define_asset_job(
    "ingest",
    selection=dg.AssetSelection.assets(*STAGES),
    description="Bring a range of media files up to date; what is done and fresh is left alone.",
    tags={"dagster/max_retries": "1", "dagster/retry_on_asset_or_op_failure": "false"},
)

graph = dg.define_asset_job(
    "graph",
    selection=dg.AssetSelection.assets("media_graph", "library_metrics"),
    description="Bring the graph of the whole library and its numbers up to date.",
    tags={JOB_TAG: "graph"},
)

verify_originals = dg.define_asset_job(
    "verify_originals",
    selection=dg.AssetSelection.assets("originals_verified"),
    description="Read a sample of the originals whole and compare them with what was taken in.",
    tags={JOB_TAG: "verify_originals", "dagster/max_retries": "0"},
)


@dg.job(
    description="Ingest a path: find media there, register them, and request runs for them.",
    tags={"dagster/max_retries": "0"},
    metadata={VERSION: __version__},
)
def discover() -> None:
    """Ingest a path from the launchpad or over GraphQL."""
    find_media()


@dg.job(
    description="Process again what failed or is stale, or what a filter names.",
    tags={"dagster/max_retries": "0"},
    metadata={VERSION: __version__},
)
def reprocess() -> None:
    """Choose files by state and filter from the launchpad or over GraphQL."""
    choose_media()


@dg.job(
    description="Bring any set of media files up to date in one run: what schedules start.",
    tags={
        JOB_TAG: "process_files",
        "dagster/max_retries": "1",
        "dagster/retry_on_asset_or_op_failure": "false",
    },
)
def process_files() -> None:
    """Files by their partition keys, scattered or not."""
    process_files_op()


build_space = dg.define_asset_job(
    "build_space",
    selection=dg.AssetSelection.assets("candidate_embeddings"),
    description="Build candidate embedding spaces for a range of files; searches do not notice.",
    tags={
        JOB_TAG: "build_space",
        "dagster/max_retries": "1",
        "dagster/retry_on_asset_or_op_failure": "false",
    },
)

promote_space = dg.define_asset_job(
    "promote_space",
    selection=dg.AssetSelection.assets("candidate_space", "active_space"),
    description="Compare a candidate embedding space with the active one; promote it if it is fit.",
    tags={JOB_TAG: "promote_space", "dagster/max_retries": "0"},
)


@dg.job(
    description="Package media for one stock agency; those with errors are left out and named.",
    tags={JOB_TAG: "package_for_stock", "dagster/max_retries": "0"},
    metadata={VERSION: __version__},
)
def package_for_stock() -> None:
    """`dam stock package` from the launchpad or over GraphQL."""
    make_package()


@dg.job(
    description="Send packages to where they are wanted: those named, or all that people approved.",
    tags={JOB_TAG: "publish_packages", "dagster/max_retries": "0"},
    metadata={VERSION: __version__},
)
def publish_packages() -> None:
    """`dam stock publish` from the launchpad, over GraphQL or by schedule."""
    send_packages()


check_shortlist = dg.define_asset_job(
    "check_shortlist",
    selection=dg.AssetSelection.assets("stock_shortlist"),
    description="Hold what people chose for stock against the rules of every agency.",
    tags={JOB_TAG: "check_shortlist", "dagster/max_retries": "0"},
)
