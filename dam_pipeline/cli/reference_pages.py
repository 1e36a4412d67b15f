"""The generated reference pages: settings, commands, tables and agencies, as Markdown.

`make docs` writes them; a test compares what is committed with what this gives. How a page reads is
decided here, what it says by the settings, commands and schemas themselves.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal, get_args, get_origin

import pyarrow as pa
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from dam_pipeline import schemas
from dam_pipeline.catalogue.tables import METADATA
from dam_pipeline.cli.markdown import listed, page, table
from dam_pipeline.cli.reference import CommandHelp, commands
from dam_pipeline.cli.reference_stock import agencies_page, stock_rules_page
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.graph.tables import NODE_STAGES, OWN_TABLES
from dam_pipeline.settings import SETTINGS_FILE, Settings
from dam_pipeline.stages import STAGES
from dam_pipeline.stores.vectors import WORD_ROWS, vector_rows

DIMENSION = 512  # stands for the dimension of a space, and is shown as `d`
MADE_WHERE_IT_RUNS = "the user's data folder"
LIMITS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
TYPES = {
    "bool": "boolean",
    "boolean": "boolean",
    "double": "float64",
    "float": "float32",
    "varchar": "text",
    "string": "text",
    "bigint": "int64",
    "integer": "int32",
}
"""Names of column types as the pages show them, by those of Arrow and SQL in lower case."""

DERIVED: dict[str, pa.Schema] = {
    "shots": schemas.SHOTS,
    "keyframes": schemas.KEYFRAMES,
    "clip_embeddings": schemas.clip_embeddings(DIMENSION),
    "face_embeddings": schemas.face_embeddings(DIMENSION),
    "tags": schemas.TAGS,
    "transcript": schemas.TRANSCRIPT,
    "sentence_embeddings": schemas.sentence_embeddings(DIMENSION),
    "scenes": schemas.SCENES,
}


def settings_page() -> str:
    """Every setting: its variable, values, default and meaning."""
    rows = [
        (f"`{_variable(name)}`", _values(field), _default(field), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return page(
        "Settings",
        f"A setting is the variable below or, in `DAM_HOME/{SETTINGS_FILE}`, the same name in lower "
        "case without `DAM_` (`clip_batch = 16`). The variable wins over the file, the file over "
        "the default. Lists are JSON in a variable: `DAM_EXCLUDE='[\"proxies/*\"]'`.",
        table(("variable", "values", "default", "meaning"), rows),
    )


def commands_page() -> str:
    """Every command: usage, help, arguments and options."""
    return page(
        "Commands",
        "Exit codes: 0 all well; 1 an error; 2 wrong use; 3 finished, but some file that was asked "
        "about is failed or blocked; 130 stopped by Ctrl-C. What `--json` prints is in "
        "[JSON](json.md). `dam --install-completion` sets up completion in your shell.",
        *(_command(one) for one in commands()),
    )


def tables_page() -> str:
    """Derived tables, the catalogue, the graph and the vector store, column by column."""
    return page(
        "Tables",
        "Times are seconds on the file's own axis, spans half-open `[start_s, end_s)`; boxes are "
        "x, y, w, h in 0–1 of the upright picture; vectors have length 1, and `d` is the dimension "
        "of their space. What is made of what: [how it is built](../architecture.md).",
        "## Derived files",
        "`DAM_HOME/derived/ab/<media_id>/<stage>.parquet`, a row an item, numbered from 0 in the "
        "order of the rows, with the provenance as JSON in the footer. Beside each lies "
        "`<stage>.json` with state, reason, result and provenance; the stages "
        + listed([name for name in STAGES if name not in DERIVED])
        + " have that alone.",
        *_sections(DERIVED.items(), lambda name: STAGES[name].description),
        "## Catalogue",
        "`DAM_HOME/catalogue.db`, or schema `dam` of the Postgres that the settings name: an index that "
        "`dam rebuild` makes again.",
        *_catalogue(),
        "## Graph",
        "A DuckDB file a version below `DAM_HOME/graph/`, made anew after every batch. `item` is the "
        "number of a row in its file's derived table.",
        *_sections(_graph().items()),
        "## Vector store",
        "One table an embedding space, and one of spoken words; `item` as in the graph.",
        *_sections({"vectors": vector_rows(DIMENSION), "words": WORD_ROWS}.items()),
    )


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "commands.md": commands_page,
    "tables.md": tables_page,
    "agencies.md": agencies_page,
    "stock-rules.md": stock_rules_page,
}
"""What makes a page, by the page's file name."""


def write_pages(folder: Path) -> None:
    """Write all pages into a folder, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        (folder / name).write_text(make(), encoding="utf-8")


def main() -> None:
    """Write the pages into the folder given on the command line."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("Usage: python -m dam_pipeline.cli.reference_pages FOLDER")
    write_pages(Path(sys.argv[1]))


def _variable(name: str) -> str:
    return f"{Settings.model_config['env_prefix']}{name}".upper()


def _values(field: FieldInfo) -> str:
    """What a setting may be: its choices, or its type with the limits."""
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{one}`" for one in get_args(field.annotation))
    kinds: dict[object, str] = {
        bool: "`true`, `false`",
        int: "whole number",
        float: "number",
        str: "text",
        Path: "path",
        Path | None: "path",
        tuple[str, ...]: "list of texts",
    }
    if field.annotation not in kinds:
        raise ConfigurationError(f"The reference has no words for {field.annotation}. Add some.")
    limits = [
        f"{sign} {getattr(limit, name):g}"
        for limit in field.metadata
        for name, sign in LIMITS.items()
        if hasattr(limit, name)
    ]
    return " ".join((kinds[field.annotation], *limits[:1], *(f"and {x}" for x in limits[1:])))


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return MADE_WHERE_IT_RUNS
    if field.default in ("", None, ()):
        return ""
    is_switch = isinstance(field.default, bool)
    return f"`{str(field.default).lower() if is_switch else field.default}`"


def _command(one: CommandHelp) -> str:
    text, _, examples = one.help.rpartition("\n\n")
    if not examples.startswith("Example"):
        text, examples = one.help, ""
    parts = [f"## {one.name}", f"    {one.name} {one.usage}", text]
    if one.parameters:
        rows = [
            (", ".join(f"`{name}`" for name in p.names), f"`{p.default}`" * bool(p.default), p.help)
            for p in one.parameters
        ]
        parts.append(table(("argument or option", "default", "meaning"), rows))
    if examples:
        lines = examples.partition(":")[2].replace("\n", " ").split(" · ")
        parts.append("\n".join(f"    {line.strip()}" for line in lines))
    return "\n\n".join(parts)


def _sections(
    tables: Iterable[tuple[str, pa.Schema]], describe: Callable[[str], str] = lambda _name: ""
) -> Iterator[str]:
    for name, schema in tables:
        yield f"### `{name}`"
        if text := describe(name):
            yield text
        yield table(("column", "type"), [(f"`{x.name}`", _type(x.type)) for x in schema])


def _graph() -> dict[str, pa.Schema]:
    """The graph's tables: nodes are derived rows with `media_id` and `item` in front."""
    keys = [pa.field("media_id", pa.string()), pa.field("item", pa.int32())]
    nodes = {name: pa.schema([*keys, *schema]) for name, schema in NODE_STAGES.values()}
    own = dict(OWN_TABLES)
    return {"media": own.pop("media"), **nodes, **own}


def _catalogue() -> Iterator[str]:
    for one in METADATA.tables.values():
        rows = [
            (
                f"`{column.name}`",
                "float64" if kind == "float" else TYPES.get(kind, kind.upper()),
                "key" if column.primary_key else "may be null" if column.nullable else "",
            )
            for column in one.columns
            for kind in [str(column.type).lower()]
        ]
        yield f"### `{one.name}`"
        yield table(("column", "type", ""), rows)


def _type(kind: pa.DataType) -> str:
    """An Arrow type in words, such as `list of {start_s float64, text}`."""
    if pa.types.is_fixed_size_list(kind):
        size = "d" if kind.list_size == DIMENSION else kind.list_size
        return f"{_type(kind.value_type)} × {size}"
    if pa.types.is_list(kind):
        return f"list of {_type(kind.value_type)}"
    if pa.types.is_struct(kind):
        return "{" + ", ".join(f"{x.name} {_type(x.type)}" for x in kind) + "}"
    return TYPES.get(str(kind), str(kind))


if __name__ == "__main__":
    main()
