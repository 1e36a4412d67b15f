"""The catalogue in a SQLite file (the default): its pragmas, and what its errors mean."""

import sqlite3
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dam_pipeline.errors import DiskFull, StoreError, StoreUnavailable

BUSY_TIMEOUT_MS = 60_000


def sqlite_engine(path: Path) -> sa.Engine:
    """Connections to the file at `path`; its folder is made. Raises StoreUnavailable.

    What SQLite reports later is raised as StoreUnavailable or DiskFull.
    """
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})
    sa.event.listen(engine, "connect", _set_pragmas)
    sa.event.listen(engine, "handle_error", lambda context: _translate(path, context))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _meaning(path, error) from error
    return engine


def _translate(path: Path, context: sa.ExceptionContext) -> None:
    error = context.original_exception
    # An IntegrityError and its like tell of rows, not of the file.
    if type(error).__name__ in ("OperationalError", "DatabaseError"):
        raise _meaning(path, error) from error


def _meaning(path: Path, error: BaseException) -> StoreError:
    if "disk is full" in str(error):
        return DiskFull(f"There is no room left for the catalogue {path}. Free some space.")
    return StoreUnavailable(
        f"The catalogue {path} cannot be used: {error}. Check the disk and the permissions; "
        "if the file is damaged, move it away and run `dam rebuild`."
    )


def _set_pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    _write_ahead(cursor)
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Turn on write-ahead logging; where two do so at once, SQLite refuses one without waiting."""
    until = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > until:
                raise
            time.sleep(0.01)
