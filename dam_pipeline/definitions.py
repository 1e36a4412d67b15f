"""The code location: everything that Dagster is shown.

Loading it opens no model and, but for the catalogue that is asked which embedding spaces are active,
no connection; where the catalogue does not answer, it loads all the same.
"""

import dagster as dg

from dam_pipeline import jobs
from dam_pipeline.assets.estimates import run_estimates
from dam_pipeline.assets.fixity import originals_verified
from dam_pipeline.assets.graph import media_graph
from dam_pipeline.assets.media import media_assets, original
from dam_pipeline.assets.metrics import library_metrics
from dam_pipeline.assets.spaces import space_assets
from dam_pipeline.assets.stock import (
    package_check,
    stock_checks,
    stock_deliverable,
    stock_delivery,
    stock_package,
    stock_shortlist,
)
from dam_pipeline.catalogue.active_models import library_settings
from dam_pipeline.settings import Settings, load_settings
from resources.library import LibraryResource
from sensors.blocked import build_resume_blocked
from sensors.events import build_send_events, build_tell_failures
from sensors.library_graph import library_graph
from sensors.lost_runs import build_lost_runs
from sensors.media_folders import build_media_folders
from sensors.nightly import build_nightly
from sensors.promoted_space import promoted_space
from sensors.publishing import build_publish_approved
from sensors.unfinished_files import unfinished_files
from sensors.weekly import build_weekly_verify


def build_definitions(settings: Settings) -> dg.Definitions:
    """The location for these settings; tests assemble the same one on a home of their own."""
    settings = library_settings(settings)
    return dg.Definitions(
        assets=[
            original,
            media_assets(settings),
            media_graph,
            library_metrics,
            run_estimates,
            originals_verified,
            *space_assets(settings),
            stock_shortlist,
            stock_deliverable,
            stock_package,
            stock_delivery,
        ],
        asset_checks=[stock_checks(settings), package_check],
        jobs=[
            jobs.ingest,
            jobs.graph,
            jobs.discover,
            jobs.reprocess,
            jobs.process_files,
            jobs.verify_originals,
            jobs.build_space,
            jobs.promote_space,
            jobs.check_shortlist,
            jobs.package_for_stock,
            jobs.publish_packages,
        ],
        sensors=[
            build_media_folders(settings),
            library_graph,
            promoted_space,
            build_resume_blocked(),
            build_lost_runs(settings),
            unfinished_files,
            build_send_events(settings),
            build_tell_failures(settings),
        ],
        schedules=[
            build_nightly(settings),
            build_weekly_verify(settings),
            build_publish_approved(settings),
        ],
        resources={"library": LibraryResource(home=str(settings.home))},
        # Models are loaded once a process: a process a step would load them again.
        executor=dg.in_process_executor,
    )


defs = build_definitions(load_settings())
