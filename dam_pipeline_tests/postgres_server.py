"""A Postgres server for tests, from `.ci/postgres.sh`, and an empty database in it for each test."""

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from dam_pipeline.catalogue.postgres import with_driver
from dam_pipeline_tests import servers

SCRIPT = Path(__file__).resolve().parents[1] / ".ci" / "postgres.sh"


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A server of our own; `url` is the address of its first database, as its superuser."""

    folder: Path
    url: str

    def kill(self) -> None:
        """End it at once, as when its machine loses power: all its processes die."""
        servers.kill_server(self.folder)

    def start(self) -> None:
        """Start it again on its data and its port; returns when it answers."""
        subprocess.run([SCRIPT, "start", self.folder], check=True, capture_output=True)

    @contextmanager
    def own_database(self) -> Iterator[str]:
        """Address of an empty database that is there meanwhile."""
        name = f"test_{uuid.uuid4().hex}"
        self.run(f"CREATE DATABASE {name}")
        try:
            yield self.url.rpartition("/")[0] + f"/{name}"
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def run(self, statement: str) -> None:
        """Run a statement as the superuser, outside a transaction."""
        engine = sa.create_engine(with_driver(self.url), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(statement))
        engine.dispose()


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A server that runs meanwhile; skips the test where none is installed."""
    with servers.running_server("postgres") as (folder, url):
        yield PostgresServer(Path(folder), url)
