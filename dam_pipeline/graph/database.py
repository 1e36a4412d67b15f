"""The graph's tables in DuckDB: written once from Arrow, never with an extension from elsewhere."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from dam_pipeline.errors import StoreUnavailable
from dam_pipeline.graph.edges import Edge
from dam_pipeline.records import Json
from dam_pipeline.stores.derived import raise_if_full

FORMAT = 1
# JSON is compiled into DuckDB's wheel; nothing may be fetched from its extension server.
_OFFLINE = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
EDGES_AT_ONCE = 20_000

_EDGES: list[tuple[str, pa.DataType]] = [
    ("kind", pa.string()),
    ("a_media", pa.string()),
    ("a_start_s", pa.float64()),
    ("a_end_s", pa.float64()),
    ("b_media", pa.string()),
    ("b_start_s", pa.float64()),
    ("b_end_s", pa.float64()),
    ("weight", pa.float64()),
    ("evidence", pa.string()),
]
EDGES = pa.schema(_EDGES)
_EDGES_SQL = """
    CREATE TABLE edges (
        kind VARCHAR NOT NULL,
        a_media VARCHAR NOT NULL, a_start_s DOUBLE NOT NULL, a_end_s DOUBLE NOT NULL,
        b_media VARCHAR NOT NULL, b_start_s DOUBLE NOT NULL, b_end_s DOUBLE NOT NULL,
        weight DOUBLE NOT NULL, evidence JSON NOT NULL
    )
"""
_CROWDED_SQL = """
    SELECT count(*) FROM (
        SELECT media FROM (
            SELECT a_media AS media FROM edges WHERE kind = $kind
            UNION ALL SELECT b_media FROM edges WHERE kind = $kind
        ) GROUP BY media HAVING count(*) >= $least
    )
"""


@contextmanager
def opened(path: Path, *, writable: bool = False) -> Iterator[Any]:
    """A DuckDB connection; what goes wrong on disk is raised as StoreUnavailable or DiskFull."""
    import duckdb

    try:
        with duckdb.connect(str(path), read_only=not writable, config=_OFFLINE) as connection:
            yield connection
    except duckdb.Error as error:
        raise StoreUnavailable(
            f"The graph {path} cannot be used: {str(error).splitlines()[0]}. If it is damaged, "
            f"delete {path.parent} and run `dam rebuild`."
        ) from error
    except OSError as error:
        raise_if_full(error, path)
        raise


def write_table(connection: Any, name: str, table: pa.Table) -> int:
    """Make a table of Arrow rows; gives their number."""
    connection.register("arrow_rows", table)
    connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM arrow_rows')
    connection.unregister("arrow_rows")
    return table.num_rows


def write_edges(connection: Any, edges: Iterable[Edge]) -> int:
    """Add edges, some thousands at a time; gives their number."""
    connection.execute(_EDGES_SQL.replace("TABLE edges", "TABLE IF NOT EXISTS edges"))
    remaining = iter(edges)
    count = 0
    while piece := list(islice(remaining, EDGES_AT_ONCE)):
        table = pa.Table.from_pylist([_row(edge) for edge in piece], EDGES)
        connection.register("arrow_rows", table)
        connection.execute("INSERT INTO edges SELECT * FROM arrow_rows")
        connection.unregister("arrow_rows")
        count += len(piece)
    return count


def media_with_edges(connection: Any, kind: str, at_least: int) -> int:
    """How many media have at least so many edges of a kind."""
    found = connection.execute(_CROWDED_SQL, {"kind": kind, "least": at_least}).fetchone()
    return int(found[0])


def write_meta(connection: Any, meta: Mapping[str, Json]) -> None:
    """Note how the graph was made: keys with JSON values."""
    connection.execute("CREATE TABLE meta (key VARCHAR PRIMARY KEY, value JSON NOT NULL)")
    for key, value in {"format": FORMAT, **meta}.items():
        connection.execute("INSERT INTO meta VALUES (?, ?)", [key, json.dumps(value)])


def read_meta(connection: Any) -> dict[str, Json]:
    """What `write_meta` noted."""
    rows = connection.execute("SELECT key, value FROM meta").fetchall()
    return {key: json.loads(value) for key, value in rows}


def _row(edge: Edge) -> dict[str, Json]:
    names = EDGES.names[:-1]
    row = {name: getattr(edge, name) for name in names}
    row["evidence"] = json.dumps(edge.evidence, ensure_ascii=False)
    return row
