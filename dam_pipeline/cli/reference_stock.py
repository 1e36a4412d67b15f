"""The generated reference pages on stock: the agencies that ship, and the rules of `dam stock check`."""

from collections.abc import Iterator

from dam_pipeline.agencies.agency import Agency
from dam_pipeline.agencies.columns import VALUES
from dam_pipeline.agencies.listing import rules_of
from dam_pipeline.agencies.loading import shipped_agencies
from dam_pipeline.cli.markdown import page, table
from dam_pipeline.stock.rules import RULES


def agencies_page() -> str:
    """Every agency that ships: its rules, the steps of a person, notes, and where they come from."""
    known = shipped_agencies()
    overview = [
        (
            f"[`{one.id}`](#{one.id})",
            one.name,
            ", ".join(one.transport.schemes) or "portal only",
            ("template needed" if one.table.needs_template else one.table.format)
            if one.table
            else "none",
            one.confidence,
            one.verified_on,
        )
        for one in known
    ]
    return page(
        "Agencies",
        "What ships, as data: `dam_pipeline/agencies/specifications/<id>.toml`. **Nothing was checked "
        "against a live agency.** Confidence is that of the weakest source: A the agency's own page, "
        "B several others that agree, C one other; a rule without a source is a cautious default. "
        "[Add an agency](../how-to/add-an-agency.md) tells how to correct one or add your own.",
        table(("agency", "name", "transport", "table", "sure", "read on"), overview),
        "## What may stand in a column",
        table(("value", "meaning"), [(f"`{name}`", text) for name, text in VALUES.items()]),
        *(part for one in known for part in _agency(one)),
    )


def stock_rules_page() -> str:
    """Every rule that media are held against before they are packaged."""
    rows = [(f"`{one.id}`", ", ".join(one.levels), one.sentence) for one in RULES]
    return page(
        "Stock rules",
        "What `dam stock check` and `dam stock package` look at, in this order. The limits are the agency's own: "
        "[Agencies](agencies.md). An item with an **error** is left out of the package, and named; a **warning** is "
        "advice; a **fix** is made of itself, in the copy and the table of that agency alone: your words and your "
        "files stay as they are.",
        table(("rule", "gives", "sees to it that"), rows),
    )


def _agency(agency: Agency) -> Iterator[str]:
    yield f"## {agency.id}"
    yield f"{agency.name}, version {agency.version}."
    yield table(("rule", ""), [(f"`{name}`", f"`{text}`") for name, text in rules_of(agency)])
    yield "What a person does in the portal:\n\n" + "\n".join(
        f"{n}. {step}" for n, step in enumerate(agency.human_steps, start=1)
    )
    yield "Notes:\n\n" + "\n".join(f"- {note}" for note in agency.notes)
    rows = [
        (
            one.confidence,
            ", ".join(f"`{name}`" for name in one.what),
            one.where,
            one.read_on,
            one.note,
        )
        for one in agency.sources
    ]
    yield table(("sure", "of", "source", "read on", ""), rows)
