"""The graph's tables in DuckDB: written from Arrow, never with an extension from elsewhere."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from dam_pipeline.errors import StoreUnavailable
from dam_pipeline.graph.edges import Edge
from dam_pipeline.graph.tables import EDGES, MADE_FROM
from dam_pipeline.records import Json
from dam_pipeline.stores.derived import raise_if_full

FORMAT = 2
# JSON is compiled into DuckDB's wheel; nothing may be fetched from its extension server.
_OFFLINE = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
EDGES_AT_ONCE = 20_000

_TABLES_SQL = """
    CREATE TABLE edges (
        kind VARCHAR NOT NULL,
        a_media VARCHAR NOT NULL, a_start_s DOUBLE NOT NULL, a_end_s DOUBLE NOT NULL,
        b_media VARCHAR NOT NULL, b_start_s DOUBLE NOT NULL, b_end_s DOUBLE NOT NULL,
        weight DOUBLE NOT NULL, evidence JSON NOT NULL
    );
    CREATE TABLE made_from (what VARCHAR, media_id VARCHAR, version VARCHAR);
    CREATE TABLE meta (key VARCHAR NOT NULL, value JSON NOT NULL);
"""
# Media, not stale themselves, that had a full list of strongest partners and lose one of it.
_BEREFT_SQL = """
    WITH sides AS (
        SELECT a_media AS media, 'a' AS side, b_media AS other FROM edges WHERE kind = $kind
        UNION ALL SELECT b_media, 'b', a_media FROM edges WHERE kind = $kind
    ),
    full_ones AS (SELECT media, side FROM sides GROUP BY ALL HAVING count(*) >= $kept)
    SELECT DISTINCT media FROM sides SEMI JOIN full_ones USING (media, side)
    SEMI JOIN stale ON sides.other = stale.media_id ANTI JOIN stale ON sides.media = stale.media_id
"""
_FORGET_SQL = """
    DELETE FROM edges WHERE kind = $kind AND (
        a_media IN (SELECT media_id FROM stale) OR b_media IN (SELECT media_id FROM stale)
    )
"""
_CUT_SQL = """
    DELETE FROM edges WHERE rowid IN (
        SELECT rowid FROM (
            SELECT rowid,
                row_number() OVER (PARTITION BY a_media ORDER BY weight DESC, b_media) AS of_a,
                row_number() OVER (PARTITION BY b_media ORDER BY weight DESC, a_media) AS of_b
            FROM edges WHERE kind = $kind
        ) WHERE of_a > $kept AND of_b > $kept
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


def make_tables(connection: Any) -> None:
    """Make the tables of a new graph that are not a stage's rows."""
    connection.execute(_TABLES_SQL)


def write_table(connection: Any, name: str, table: pa.Table) -> None:
    """Make a table of Arrow rows, in the place of one of that name."""
    connection.register("arrow_rows", table)
    connection.execute(f'CREATE OR REPLACE TABLE "{name}" AS SELECT * FROM arrow_rows')
    connection.unregister("arrow_rows")


def replace_rows(connection: Any, name: str, stale: Collection[str], rows: pa.Table) -> None:
    """Put rows into a table in the place of all that it held of media `stale`."""
    with _named(connection, stale):
        connection.execute(f'DELETE FROM "{name}" WHERE media_id IN (SELECT media_id FROM stale)')
    connection.register("arrow_rows", rows)
    connection.execute(f'INSERT INTO "{name}" SELECT * FROM arrow_rows')
    connection.unregister("arrow_rows")


def write_edges(connection: Any, edges: Iterable[Edge]) -> None:
    """Add edges, some thousands at a time."""
    remaining = iter(edges)
    while piece := list(islice(remaining, EDGES_AT_ONCE)):
        table = pa.Table.from_pylist([_row(edge) for edge in piece], EDGES)
        connection.register("arrow_rows", table)
        connection.execute("INSERT INTO edges SELECT * FROM arrow_rows")
        connection.unregister("arrow_rows")


def bereft_media(connection: Any, kind: str, stale: Collection[str], kept: int) -> set[str]:
    """Media that had as many edges of a kind as are `kept`, and lose one when `stale` ones change.

    An edge that was cut may take its place, so all of theirs must be found anew.
    """
    with _named(connection, stale):
        rows = connection.execute(_BEREFT_SQL, {"kind": kind, "kept": kept}).fetchall()
    return {row[0] for row in rows}


def forget_edges(connection: Any, kind: str, stale: Collection[str]) -> None:
    """Delete the edges of a kind of these media."""
    with _named(connection, stale):
        connection.execute(_FORGET_SQL, {"kind": kind})


def cut_edges(connection: Any, kind: str, kept: int) -> None:
    """Delete the edges of a kind that are not among so many strongest of either media.

    As `pairs` does it: the strongest with media before and with media after it are counted apart.
    """
    connection.execute(_CUT_SQL, {"kind": kind, "kept": kept})


def media_with_edges(connection: Any, kind: str, at_least: int) -> int:
    """How many media have at least so many edges of a kind."""
    found = connection.execute(_CROWDED_SQL, {"kind": kind, "least": at_least}).fetchall()
    return int(found[0][0])


def write_made_from(connection: Any, made_from: Mapping[str, Mapping[str, str]]) -> None:
    """Note of which versions each part is made: media id → version, by part."""
    rows = [
        (what, *one) for what, versions in made_from.items() for one in sorted(versions.items())
    ]
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    table = pa.table(columns, schema=MADE_FROM) if rows else MADE_FROM.empty_table()
    connection.execute("DELETE FROM made_from")
    connection.register("arrow_rows", table)
    connection.execute("INSERT INTO made_from SELECT * FROM arrow_rows")
    connection.unregister("arrow_rows")


def read_made_from(connection: Any) -> dict[str, dict[str, str]]:
    """What `write_made_from` noted."""
    found: dict[str, dict[str, str]] = {}
    query = "SELECT what, media_id, version FROM made_from"
    for what, media_id, version in connection.execute(query).fetchall():
        found.setdefault(what, {})[media_id] = version
    return found


def write_meta(connection: Any, meta: Mapping[str, Json]) -> None:
    """Note how the graph was made: keys with JSON values, in the place of what was noted."""
    noted = {"format": FORMAT, **meta}
    values = {"key": list(noted), "value": [json.dumps(value) for value in noted.values()]}
    connection.execute("DELETE FROM meta")
    connection.register("arrow_rows", pa.table(values))
    connection.execute("INSERT INTO meta SELECT * FROM arrow_rows")
    connection.unregister("arrow_rows")


def read_meta(connection: Any) -> dict[str, Json]:
    """What `write_meta` noted."""
    rows = connection.execute("SELECT key, value FROM meta").fetchall()
    return {key: json.loads(value) for key, value in rows}


def count_rows(connection: Any, table: str) -> int:
    """The number of rows of a table."""
    return int(connection.execute(f'SELECT count(*) FROM "{table}"').fetchall()[0][0])


def count_edges(connection: Any) -> dict[str, int]:
    """The number of edges by kind."""
    found = connection.execute("SELECT kind, count(*) FROM edges GROUP BY kind").fetchall()
    return dict(found)


@contextmanager
def _named(connection: Any, media_ids: Collection[str]) -> Iterator[None]:
    """The ids as a table `stale` for a statement or two."""
    connection.register("stale", pa.table({"media_id": pa.array(sorted(media_ids), pa.string())}))
    yield
    connection.unregister("stale")


def _row(edge: Edge) -> dict[str, Json]:
    names = EDGES.names[:-1]
    row = {name: getattr(edge, name) for name in names}
    row["evidence"] = json.dumps(edge.evidence, ensure_ascii=False)
    return row
