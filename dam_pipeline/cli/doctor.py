"""`dam doctor`: what is wrong here, and how to mend it."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Annotated

import typer

from dam_pipeline.cli.findings import Finding, tried, well, wrong
from dam_pipeline.cli.options import AsJson
from dam_pipeline.cli.output import Exit, command, print_json, say, table
from dam_pipeline.errors import DamError
from dam_pipeline.settings import Settings, load_settings


@command
def run(
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended without a person.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Check tools, weights, disk, stores and Dagster, and say how to mend each that is not well.

    Exit code 1 when something is wrong and was not mended.

    Examples: dam doctor · dam doctor --repair
    """
    settings = load_settings()
    findings = [one.mended() if repair else one for one in examine(settings)]
    is_well = all(one.ok for one in findings)
    if as_json:
        print_json({"ok": is_well, "checks": [one.to_json() for one in findings]})
    else:
        _print(findings)
    return Exit.OK if is_well else Exit.ERROR


def examine(settings: Settings) -> Iterator[Finding]:
    """The findings of all checks, in an order in which earlier repairs help later checks."""
    from dam_pipeline.cli.machine_checks import (
        check_home,
        check_leftovers,
        check_storage,
        check_tools,
        check_weights,
    )

    yield from check_tools()
    yield from check_weights(settings)
    home = list(check_home(settings))
    yield from home
    if not home[0].ok:
        return
    yield check_leftovers(settings)
    if settings.storage_url:
        storage = check_storage(settings)
        yield storage
        if not storage.ok:
            return
    with ExitStack() as resources:
        yield from _examine_library(settings, resources)


def _examine_library(settings: Settings, resources: ExitStack) -> Iterator[Finding]:
    from dam_pipeline.cli import library_checks as library
    from dam_pipeline.cli.database_checks import check_catalogue
    from dam_pipeline.cli.space_checks import check_spaces
    from dam_pipeline.dagster_home import open_instance
    from dam_pipeline.launch import quiet_dagster
    from dam_pipeline.stages.work import Toolbox

    try:
        tools = resources.enter_context(Toolbox.open(settings))
    except DamError as error:
        yield wrong(
            "catalogue", str(error), "If it is lost for good, `dam rebuild` makes it again."
        )
        return
    try:
        yield from check_catalogue(tools)
    except DamError as error:
        yield wrong("catalogue", str(error), library.REBUILD)
        return
    yield library.check_leases(tools)
    yield library.check_folders(tools)
    yield from library.check_derived(tools)
    yield tried("embedding spaces", lambda: check_spaces(tools), library.REBUILD)
    yield tried("search index", lambda: library.check_index(tools), _mend_index(settings))
    quiet_dagster()
    try:
        instance = resources.enter_context(open_instance(settings))
        instance.get_runs_count()
    except Exception as error:  # noqa: BLE001 Dagster raises what its storage raises
        mend = f"Mend {settings.home / 'dagster' / 'dagster.yaml'}, or move the folder away and "
        yield wrong("dagster", f"It does not open: {error}", mend + "`dam rebuild`.")
        return
    yield well("dagster", f"{settings.home / 'dagster'} opens.")
    yield library.check_runs(instance)
    yield from library.check_dagster(tools, instance)
    yield library.check_graph(tools, instance)


def _mend_index(settings: Settings) -> str:
    if settings.vector_store == "lancedb":
        return f"Move {settings.home / 'lancedb'} away, then `dam rebuild`."
    return "If the server has lost its data, `dam rebuild` fills it again."


def _print(findings: list[Finding]) -> None:
    table(
        ("check", "", "what"),
        [
            (one.check, "mended" if one.repaired else "well" if one.ok else "wrong", one.text)
            for one in findings
        ],
    )
    for one in findings:
        if one.repaired:
            say(f"{one.check}: {one.repaired}.")
        elif not one.ok:
            say(f"{one.check}: {one.mend}")
