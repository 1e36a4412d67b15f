"""Checks of the catalogue's database for `dam doctor`."""

from collections.abc import Iterator

from dam_pipeline.catalogue.server_facts import database_facts
from dam_pipeline.cli.findings import Finding, well, wrong
from dam_pipeline.stages.work import Toolbox

LEAST_FREE_CONNECTIONS = 10  # a worker takes two, a busy web server a dozen


def check_catalogue(tools: Toolbox) -> Iterator[Finding]:
    """Which database it is, whether it is whole, and whether it has room for more workers."""
    facts = database_facts(tools.catalogue)
    text = f"{len(tools.catalogue.all_media())} files, {facts.name}, form {facts.form}"
    if facts.damage:
        mend = f"Move {facts.where} away, then `dam rebuild`."
        yield wrong("catalogue", f"{facts.where} is damaged: {facts.damage}.", mend)
        return
    yield well("catalogue", f"{text} ({facts.where})")
    if facts.free_connections is None:
        return
    free = f"Postgres takes {facts.free_connections} more connections."
    if facts.free_connections >= LEAST_FREE_CONNECTIONS:
        yield well("connections", free)
    else:
        yield wrong("connections", free, "Raise max_connections there, or run fewer workers.")
