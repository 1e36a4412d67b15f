"""The code location: everything that Dagster is shown. Loading it opens no socket and no model."""

import dagster as dg

from dam_pipeline import jobs
from dam_pipeline.assets.graph import media_graph
from dam_pipeline.assets.media import media_assets, original
from dam_pipeline.settings import Settings, load_settings
from resources.library import LibraryResource
from sensors.blocked import build_resume_blocked
from sensors.library_graph import library_graph
from sensors.media_folders import build_media_folders


def build_definitions(settings: Settings) -> dg.Definitions:
    """The location for these settings; tests assemble the same one on a home of their own."""
    return dg.Definitions(
        assets=[original, media_assets(settings), media_graph],
        jobs=[jobs.ingest, jobs.graph],
        sensors=[build_media_folders(settings), library_graph, build_resume_blocked()],
        resources={"library": LibraryResource(home=str(settings.home))},
        # Models are loaded once a process: a process a step would load them again.
        executor=dg.in_process_executor,
    )


defs = build_definitions(load_settings())
