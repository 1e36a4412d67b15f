"""`dam stock agencies`: what each agency wants, where that comes from, and templates of its table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.default_list import ListByDefault
from dam_pipeline.cli.options import AsJson
from dam_pipeline.cli.output import Exit, command, print_json, say, table
from dam_pipeline.records import Json
from dam_pipeline.settings import load_settings

if TYPE_CHECKING:
    from dam_pipeline.agencies.agency import Source
    from dam_pipeline.agencies.loading import KnownAgency

AgencyId = Annotated[
    str, typer.Argument(metavar="AGENCY", help="The agency's id, such as adobe-stock.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]

app = typer.Typer(
    cls=ListByDefault,
    help="Agencies: what each wants, where that comes from, templates of their tables.",
)


@app.command("list")
@command
def list_(as_json: AsJson = False) -> int:
    """List the agencies: how files get there, the table, and how sure and how old the rules are.

    Confidence is that of the weakest source: A the agency's own page, B several others that agree,
    C one other. Nothing was checked against a live agency. Exit code 3 when a file of yours is wrong.

    Examples: dam stock agencies · dam stock agencies list --json
    """
    from dam_pipeline.agencies.loading import broken_agencies, known_agencies

    settings = load_settings()
    known, broken = known_agencies(settings), broken_agencies(settings)
    for trouble in broken.values():
        say(trouble)
    code = Exit.SOME_FAILED if broken else Exit.OK
    if as_json:
        print_json([_entry(one) for one in known])
        return code
    table(
        ("agency", "transport", "table", "sure", "read on", "file"),
        [
            (
                one.agency.id,
                ", ".join(one.agency.transport.schemes) or "portal only",
                _table_in_words(one),
                one.agency.confidence,
                one.agency.verified_on,
                "yours" if one.is_own else "shipped",
            )
            for one in known
        ],
    )
    for one in known:
        if one.shipped:
            say(f"{one.agency.id}: {_file_in_words(one)}")
    return code


@app.command()
@command
def show(agency: AgencyId, as_json: AsJson = False) -> int:
    """Show all that is known of an agency: rules, the steps of a person, notes, and every source.

    Example: dam stock agencies show adobe-stock
    """
    from dataclasses import asdict

    from dam_pipeline.agencies.listing import rules_of
    from dam_pipeline.agencies.loading import known_agency

    known = known_agency(load_settings(), agency)
    if as_json:
        print_json({**_entry(known), "specification": asdict(known.agency)})
        return Exit.OK
    found = known.agency
    say(f"{found.name}, version {found.version}, {known.path} ({_file_in_words(known)})")
    say(
        f"confidence {found.confidence}, read on {found.verified_on}; table: {_table_in_words(known)}"
    )
    table(("rule", ""), rules_of(found))
    for title, lines in (("In the portal", found.human_steps), ("Notes", found.notes)):
        if lines:
            table((f"\n{title}",), [(f"{n}. {line}",) for n, line in enumerate(lines, start=1)])
    table(
        ("\nSources, each with how sure it is",),
        [(_source_in_words(one),) for one in found.sources],
    )
    return Exit.OK


@app.command("import")
@command
def import_(
    agency: AgencyId,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What you downloaded: CSV, text or XLSX.")
    ],
    mapped: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="HEADING=VALUE", help="What a heading means; repeatable."),
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Import the template of an agency's table: its headings, word for word, as you downloaded them.

    Headings that nothing is known of stay empty and are named; --map says what they mean.

    Examples: dam stock agencies import pond5 ~/Downloads/template.csv --dry-run ·
    dam stock agencies import pond5 template.csv --map "Shooting date=date"
    """
    from dam_pipeline.agencies.keeping import import_template
    from dam_pipeline.agencies.loading import read_agency, specification_file
    from dam_pipeline.agencies.templates import missing_columns

    settings = load_settings()
    template = import_template(settings, agency, file, mapped or (), dry_run=dry_run)
    missing = missing_columns(read_agency(specification_file(settings, agency)), template)
    if as_json:
        columns = [{"heading": one.heading, "value": one.value} for one in template.columns]
        print_json(
            {
                "agency": template.agency,
                "file": str(file),
                "sha256": template.sha256,
                "delimiter": template.delimiter,
                "encoding": template.encoding,
                "columns": columns,
                "unknown": list(template.unknown),
                "missing": missing,
                "dry_run": dry_run,
            }
        )
        return Exit.OK
    table(
        ("heading", "what stands in it"),
        [(one.heading, one.value or one.text or "(empty)") for one in template.columns],
    )
    if template.unknown:
        say(
            f"Not known, and so left empty: {', '.join(template.unknown)}. --map says what they mean."
        )
    if missing:
        say(f"{agency} asks for {', '.join(missing)}, and no column is for that. --map may help.")
    say(
        "Nothing was kept (--dry-run)." if dry_run else f"{agency} is packaged with these headings."
    )
    return Exit.OK


@app.command()
@command
def add(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The specification, named <id>.toml.")
    ],
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Check a specification of your own and give it to the library; one of the same id is replaced.

    Example: dam stock agencies add my-agency.toml --dry-run
    """
    from dam_pipeline.agencies.keeping import add_agency
    from dam_pipeline.agencies.loading import shipped_files

    agency = add_agency(load_settings(), file, dry_run=dry_run)
    replaces = agency.id in shipped_files()
    if as_json:
        print_json(
            {"id": agency.id, "name": agency.name, "replaces_shipped": replaces, "dry_run": dry_run}
        )
        return Exit.OK
    say(f"{file} is well: {agency.name}, version {agency.version}, confidence {agency.confidence}.")
    if replaces:
        say("It takes the place of the shipped specification of the same id.")
    if dry_run:
        say("Nothing was kept (--dry-run).")
    return Exit.OK


@app.command()
@command
def remove(agency: AgencyId, dry_run: DryRun = False, as_json: AsJson = False) -> int:
    """Forget your own specification of an agency and its template; what ships counts again.

    Example: dam stock agencies remove pond5
    """
    from dam_pipeline.agencies.keeping import forget_agency

    names = forget_agency(load_settings(), agency, dry_run=dry_run)
    if as_json:
        print_json({"id": agency, "removed": names, "dry_run": dry_run})
        return Exit.OK
    say(f"{'Would be forgotten' if dry_run else 'Forgotten'}: {', '.join(names)}.")
    return Exit.OK


def _entry(known: "KnownAgency") -> dict[str, Json]:
    """One agency in the documented form."""
    agency, template = known.agency, known.template
    return {
        "id": agency.id,
        "name": agency.name,
        "version": agency.version,
        "verified_on": agency.verified_on,
        "confidence": agency.confidence,
        "transport": list(agency.transport.schemes),
        "host": agency.transport.host,
        "table": agency.table.format if agency.table else None,
        "needs_template": bool(agency.table and agency.table.needs_template),
        "template": {"file": template.file, "read_on": template.read_on} if template else None,
        "is_own": known.is_own,
        "replaces": known.shipped.version if known.shipped else None,
        "path": str(known.path),
    }


def _table_in_words(known: "KnownAgency") -> str:
    table = known.agency.table
    if table is None:
        return "none"
    if known.template:
        return f"{table.format}, template of {known.template.read_on}"
    return f"{table.format}, template needed" if table.needs_template else table.format


def _source_in_words(source: "Source") -> str:
    note = f" {source.note}" if source.note else ""
    return f"{source.confidence}  {', '.join(source.what)}: {source.where}, {source.read_on}.{note}"


def _file_in_words(known: "KnownAgency") -> str:
    if known.shipped:
        return f"yours, replaces the shipped version {known.shipped.version}"
    return "yours" if known.is_own else "shipped"
