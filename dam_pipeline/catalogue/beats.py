"""Runs that live: each says so every few seconds, so that a dead worker's files find another.

A process that was killed, or whose machine was lost, says nothing. Who watches (`sensors/lost_runs`)
compares what a run said at two moments by a clock of its own, so clocks of machines may differ.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from dam_pipeline.catalogue.database import is_alive, one_at_a_time, this_process, upsert
from dam_pipeline.catalogue.tables import BEAT, LEASE
from dam_pipeline.errors import DamError, RunBroken

_LOG = logging.getLogger(__name__)


class Beats:
    """Reads and writes `beat`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._owner = this_process()

    def begin(self, run_id: str) -> None:
        """Say that this process works on a run from now on."""
        with self._engine.begin() as connection:
            upsert(connection, BEAT, [{"run_id": run_id, "owner": self._owner, "beats": 0}])

    def again(self, run_id: str) -> bool:
        """Say that it still does; False when the run was given up as lost meanwhile."""
        mine = sa.and_(BEAT.c.run_id == run_id, BEAT.c.owner == self._owner)
        with self._engine.begin() as connection:
            more = sa.update(BEAT).where(mine).values(beats=BEAT.c.beats + 1)
            return bool(connection.execute(more).rowcount)

    def end(self, run_id: str) -> None:
        """Say that this process has ended its work on a run."""
        mine = sa.and_(BEAT.c.run_id == run_id, BEAT.c.owner == self._owner)
        with self._engine.begin() as connection:
            connection.execute(sa.delete(BEAT).where(mine))

    def counts(self) -> dict[str, int]:
        """By run, how often it has said that it lives; it is lost when this stands still."""
        with self._engine.connect() as connection:
            return {row.run_id: row.beats for row in connection.execute(sa.select(BEAT))}

    def cut_off(self) -> list[str]:
        """Runs whose process on this host died in the middle of them."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(BEAT.c.run_id, BEAT.c.owner)).all()
        return [row.run_id for row in rows if not is_alive(row.owner)]

    def give_up(self, run_id: str) -> None:
        """Take a run's files from it: if its process lives after all, it stops at the next beat."""
        with self._engine.begin() as connection:
            one_at_a_time(connection, LEASE)
            connection.execute(sa.delete(LEASE).where(LEASE.c.run_id == run_id))
            connection.execute(sa.delete(BEAT).where(BEAT.c.run_id == run_id))

    @contextmanager
    def kept_up(
        self, run_id: str, every_s: float, extend: Callable[[], None], stop: Callable[[], None]
    ) -> Iterator[None]:
        """Say meanwhile, from a thread, that this process works on a run.

        With each beat `extend` is called, so that the run's leases outlast a long file. When the run
        was given up, `stop` is called and the beats end.
        """
        done = threading.Event()

        def go_on() -> None:
            while not done.wait(every_s):
                try:
                    if not self.again(run_id):
                        stop()
                        return
                    extend()
                # The database is away, or busy: it is tried again. Who falls silent here is taken
                # for dead.
                except (DamError, sa.exc.SQLAlchemyError) as error:
                    _LOG.warning("%s", error)

        self.begin(run_id)
        thread = threading.Thread(target=go_on, name="beat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            try:
                self.end(run_id)
            except DamError as error:  # who watches clears it; what ended the run is to be told
                _LOG.warning("%s", error)


def given_up(run_id: str) -> RunBroken:
    """What a process raises that finds its run given to another one."""
    return RunBroken(
        f"Run {run_id} was given up as lost, because its worker had not been heard of for longer "
        "than DAM_LOST_AFTER_S: it slept, or the database was away. What it finished before is "
        "kept, and another run takes up the rest."
    )
