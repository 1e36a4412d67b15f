"""A Postgres server for tests, from `.ci/postgres.sh`, and an empty database in it for each test."""

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from dam_pipeline.catalogue.postgres import with_driver
from dam_pipeline_tests import servers

SCRIPT = Path(__file__).resolve().parents[1] / ".ci" / "postgres.sh"
GONE_WITHIN_S = 20.0  # until its parent has taken note: a server does not start beside a zombie


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A server of our own; `url` is the address of its first database, as its superuser."""

    folder: Path
    url: str

    def kill(self) -> None:
        """End it at once, as when its machine loses power: all its processes die."""
        pid = int((self.folder / "pid").read_text().split()[0])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in (pid, *map(int, children)):
            os.kill(one, signal.SIGKILL)
        until_s = time.monotonic() + GONE_WITHIN_S
        while Path(f"/proc/{pid}").exists() and time.monotonic() < until_s:
            time.sleep(0.05)

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
