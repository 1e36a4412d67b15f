"""The library of a home, opened once a process so that models stay loaded between runs."""

import atexit
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import dagster as dg

from dam_pipeline.settings import Settings, load_settings
from dam_pipeline.stages.work import Toolbox

_OPEN = ExitStack()


class LibraryResource(dg.ConfigurableResource):
    """The library under `home`; empty: the home that the settings name (`DAM_HOME`)."""

    home: str = ""

    def settings(self) -> Settings:
        """The settings of this home, read anew."""
        return load_settings(Path(self.home) if self.home else None)

    @contextmanager
    def open(self) -> Iterator[Toolbox]:
        """The opened tools; they stay open for the next run in this process."""
        yield _toolbox(self.settings())


def close_libraries() -> None:
    """Close what is open in this process; the next `open` starts afresh."""
    _toolbox.cache_clear()
    _OPEN.close()


# A run's process ends without a word to us: its scratch files and its decoder child go with it.
atexit.register(close_libraries)


@cache
def _toolbox(settings: Settings) -> Toolbox:
    return _OPEN.enter_context(Toolbox.open(settings))
