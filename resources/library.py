"""The library of a home, opened once a process so that models stay loaded between runs."""

import atexit
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Self

import dagster as dg

from dam_pipeline.settings import Settings, load_settings
from dam_pipeline.stages.work import Toolbox

_OPEN = ExitStack()
BEATS_UNTIL_LOST = 6  # signs of life that may fail to come before a run counts as lost


class LibraryResource(dg.ConfigurableResource):
    """The library under `home`; empty: the home that the settings name (`DAM_HOME`)."""

    home: str = ""

    def settings(self) -> Settings:
        """The settings of this home, read anew."""
        return load_settings(Path(self.home) if self.home else None)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[Self]:
        """As long as a run has the library, it is known to live."""
        if context.run is None:  # of a sensor, or of a test
            yield self
            return
        with self.open() as tools:
            _end_the_one_before(context, tools)
            with _alive(context.run.run_id, tools):
                yield self

    @contextmanager
    def open(self) -> Iterator[Toolbox]:
        """The opened tools; they stay open for the next run in this process."""
        tools = _toolbox(self.settings())
        tools.follow_spaces()
        yield tools


@contextmanager
def _alive(run_id: str, tools: Toolbox) -> Iterator[None]:
    states, settings = tools.catalogue.states, tools.settings
    every_s = settings.lost_after_s / BEATS_UNTIL_LOST

    def extend() -> None:
        states.extend(run_id, settings.lease_s)

    try:
        with tools.catalogue.beats.kept_up(run_id, every_s, extend, tools.stop):
            yield
    finally:
        tools.go_on()


def _end_the_one_before(context: dg.InitResourceContext, tools: Toolbox) -> None:
    """Free the files of the run that this one repeats, whose killed worker still has leases."""
    before = context.run.parent_run_id if context.run else None
    run = context.instance.get_run_by_id(before) if before and context.instance else None
    if run and run.is_finished:
        tools.catalogue.beats.give_up(run.run_id)


def close_libraries() -> None:
    """Close what is open in this process; the next `open` starts afresh."""
    _toolbox.cache_clear()
    _OPEN.close()


# A run's process ends without a word to us: its scratch files and its decoder child go with it.
atexit.register(close_libraries)


@cache
def _toolbox(settings: Settings) -> Toolbox:
    return _OPEN.enter_context(Toolbox.open(settings))
