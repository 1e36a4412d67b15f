"""`dam init`: make a home."""

from dam_pipeline.cli.options import AsJson
from dam_pipeline.cli.output import command, print_json, say
from dam_pipeline.settings import load_settings


@command
def run(as_json: AsJson = False) -> None:
    """Make the home that DAM_HOME names, with its settings file and Dagster's.

    Safe to repeat: what is there is kept.

    Example: DAM_HOME=/srv/library dam init
    """
    from dam_pipeline.catalogue.catalogue import open_catalogue
    from dam_pipeline.dagster_home import prepare_home

    settings = load_settings()
    prepare_home(settings)
    with open_catalogue(settings.home, settings.postgres_url):
        pass  # made, or brought to the newest form; a wrong address is said now
    if as_json:
        print_json({"home": str(settings.home), "profile": settings.profile})
    else:
        say(f"The library lives in {settings.home} (profile {settings.profile}).")
        say("Next: `dam ingest FOLDER`, or `dam source add FOLDER` and `dam ui`.")
