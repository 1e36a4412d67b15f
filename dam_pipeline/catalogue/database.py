"""Opening the catalogue's database: connections, pragmas, migrations, dialect differences."""

import os
import socket
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from dam_pipeline.errors import StoreUnavailable

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_MS = 60_000
IN_LIST = 500  # values in one IN (…): SQLite's old limit is 999 variables a statement


def open_database(path: Path) -> sa.Engine:
    """The SQLite catalogue at `path`, made or migrated to the newest form.

    Raises StoreUnavailable when it cannot be opened or written.
    """
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})
    sa.event.listen(engine, "connect", _set_pragmas)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _migrate(engine)
    except (OSError, sa.exc.SQLAlchemyError) as error:
        raise StoreUnavailable(
            f"The catalogue {path} cannot be opened: {error}. Check the disk and the permissions; "
            "if the file is damaged, move it away and run `dam rebuild`."
        ) from error
    return engine


def insert_or(engine: sa.Engine, table: sa.Table) -> Any:
    """An INSERT that knows ON CONFLICT, in the engine's dialect."""
    return (postgresql if engine.dialect.name == "postgresql" else sqlite).insert(table)


def chunks(values: Sequence[str], size: int = IN_LIST) -> Iterator[list[str]]:
    """`values` in lists short enough for one IN (…)."""
    it = iter(values)
    while piece := list(islice(it, size)):
        yield piece


def this_process() -> str:
    """Owner of leases: `host/pid/start`, where start tells a reused pid from the same process."""
    return f"{socket.gethostname()}/{os.getpid()}/{_process_start(os.getpid())}"


def is_alive(owner: str) -> bool:
    """Whether the owner's process still lives; owners on other hosts are believed to."""
    host, pid, start = owner.rsplit("/", 2)
    if host != socket.gethostname():
        return True
    return _process_start(int(pid)) == start


def _process_start(pid: int) -> str:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return "gone"
    # A zombie has ended all the same: nobody will finish its work.
    return "gone" if fields[0] == "Z" else fields[19]


def _set_pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.close()


def _migrate(engine: sa.Engine) -> None:
    if _revision(engine) == max(path.stem[:4] for path in (MIGRATIONS / "versions").glob("*.py")):
        return
    # Alembic takes 0.4 s to import, which a search from the command line need not wait for.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def _revision(engine: sa.Engine) -> str | None:
    if not sa.inspect(engine).has_table("alembic_version"):
        return None
    with engine.connect() as connection:
        found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        return found
