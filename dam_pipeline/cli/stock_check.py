"""`dam stock check`: hold media against an agency's rules before they are packaged."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.options import AgencyId, AsJson, MediaOrShortlist
from dam_pipeline.cli.output import OUT, Exit, bar, command, print_json, say, table
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.settings import load_settings

if TYPE_CHECKING:
    from dam_pipeline.agencies.agency import Agency
    from dam_pipeline.stock.record import Verdict

STYLES = {"error": "red", "warning": "yellow", "fix": "green"}
SHOWN = 70  # characters of a text before and after a fix


@command
def run(
    media: MediaOrShortlist = None,
    agency: AgencyId = "",
    again: Annotated[
        bool, typer.Option("--again", help="Do not mind what the agency has already.")
    ] = False,
    rules: Annotated[
        bool, typer.Option("--rules", help="List all rules instead, with what they see to.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Check media against an agency's rules: errors, warnings, and what is made right of itself.

    Nothing is written. Items with errors are left out of packages; each finding says what to do.
    Exit code 3 when some item has an error.

    Examples: dam stock check --agency adobe-stock · dam stock check --agency pond5 reel-4e2c3 --json
    """
    if rules:
        return _tell_rules(as_json)
    if not agency:
        raise ConfigurationError("Say for whom: --agency ID (`dam stock agencies` lists them).")
    from dam_pipeline.agencies.loading import find_agency
    from dam_pipeline.stages.work import Toolbox
    from dam_pipeline.stock.items import load_items
    from dam_pipeline.stock.rules import check_items
    from dam_pipeline.stock.shortlist import chosen

    settings = load_settings()
    found = find_agency(settings, agency)
    with Toolbox.open(settings) as tools:
        wanted = chosen(tools, media or ())
        with bar("reading", len(wanted)) as tell:
            items = load_items(tools, wanted, progress=tell)
        verdicts = check_items(tools, items, found, again=again)
    if as_json:
        print_json([one.to_json() for one in verdicts])
    else:
        _tell(found, verdicts)
    return Exit.SOME_FAILED if any(one.errors for one in verdicts) else Exit.OK


def _tell_rules(as_json: bool) -> int:
    from dam_pipeline.stock.rules import RULES

    if as_json:
        rules = [{"rule": x.id, "levels": list(x.levels), "says": x.sentence} for x in RULES]
        print_json(rules)
    else:
        rows = [(one.id, ", ".join(one.levels), one.sentence) for one in RULES]
        table(("rule", "gives", "sees that"), rows)
    return Exit.OK


def _tell(agency: "Agency", verdicts: Sequence["Verdict"]) -> None:
    from dam_pipeline.agencies.templates import require_template

    for verdict in verdicts:
        OUT.print(verdict.item.media.partition_key, style="bold", markup=False)
        for level, rule, message, fix in _lines(verdict):
            OUT.print(f"  {level:8} {rule}: {message}", style=STYLES[level], markup=False)
            if fix:
                OUT.print(f"           {fix}", markup=False)
    counts = Counter(level for one in verdicts for level, *_ in _lines(one))
    bad = sum(bool(one.errors) for one in verdicts)
    say(
        f"{agency.name}, as of {agency.verified_on} (confidence {agency.confidence}): "
        f"{len(verdicts)} items, {len(verdicts) - bad} to be packaged, {bad} left out; "
        f"{counts['error']} errors, {counts['warning']} warnings, {counts['fix']} fixes."
    )
    try:
        require_template(agency)
    except ConfigurationError as error:
        say(f"Before it is packaged: {error}")


def _lines(verdict: "Verdict") -> Iterator[tuple[str, str, str, str]]:
    for error in verdict.errors:
        yield "error", error.rule, error.message, f"→ {error.fix}" if error.fix else ""
    for warning in verdict.warnings:
        yield "warning", warning.rule, warning.message, f"→ {warning.fix}" if warning.fix else ""
    for fix in verdict.fixes:
        yield "fix", fix.rule, fix.message, f"{_short(fix.before)} → {_short(fix.after)}"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
