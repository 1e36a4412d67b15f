"""Runs a batch of media through stages, in two lanes that work at the same time.

The lane ahead looks at originals, file by file, in a thread: decoding is the decoder child's work.
The lane behind takes the files that are ready, as many as there are, through the models and what
stands on them. So a file is encoded while the next is decoded, in batches across files.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, Full, Queue

from dam_pipeline.catalogue.beats import given_up
from dam_pipeline.catalogue.deaths import apart
from dam_pipeline.records import Location, State
from dam_pipeline.sources.originals import is_remote, is_there
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.freshness import stage_versions
from dam_pipeline.stages.lane import Finished, Lane, Tell
from dam_pipeline.stages.queues import uses_models
from dam_pipeline.stages.stage import Stage
from dam_pipeline.stages.work import Stopped, Toolbox, Work

__all__ = ["BatchReport", "Finished", "run_stages"]

SMALL_BATCH = 8  # files handed over where none wait: CLIP is about as fast as with 32
PATIENCE_S = 2.0  # after which fewer are handed over
LEAD = 2  # groups that may be ready: files are to be finished, not only begun, when the disk fills
LOOK_EVERY_S = 0.2  # whether to stop, while the lane behind is too far behind


@dataclass(slots=True)
class BatchReport:
    """All that a run dealt with, in order."""

    finished: list[Finished] = field(default_factory=list)

    def of(self, state: State) -> list[Finished]:
        """Those that ended in a state, waiting ones left out."""
        return [one for one in self.finished if one.row and one.row.state is state]


@dataclass(frozen=True, slots=True)
class _Ready:
    """Files that the lane ahead is through with, and what it has to tell."""

    works: list[Work]
    finished: list[Finished]


def run_stages(
    tools: Toolbox,
    media_ids: Sequence[str],
    stage_names: Sequence[str],
    run_id: str,
    listener: Tell = lambda _finished: None,
) -> BatchReport:
    """Bring the stages of these media up to date; fresh ones are left as they are.

    `listener` hears, in the calling thread, of each (file, stage) after it is recorded, stage by
    stage. Bad files and blocked stages are outcomes, not errors; leases are given up whatever
    happens. Raises RunBroken when the run was given to another process meanwhile.
    """
    stages = [STAGES[name] for name in STAGES if name in stage_names]
    catalogue = tools.catalogue
    catalogue.deaths.count()
    deaths = {
        pair: died
        for pair, died in catalogue.deaths.of(media_ids).items()
        if pair[1] in stage_names
    }
    run = _Run(tools, stages, run_id, listener, deaths)
    try:
        for together in apart(media_ids, deaths, tools.settings.max_attempts):
            run.all(together)
    except Stopped as stopped:
        raise given_up(run_id) from stopped
    finally:
        tools.copies.clear()
        tools.derived.drop_unstored()
        catalogue.states.release(run_id)
        catalogue.deaths.end(run_id)
    return run.report


class _Run:
    """The state of one run: its two lanes and its report."""

    def __init__(
        self,
        tools: Toolbox,
        stages: list[Stage],
        run_id: str,
        listener: Tell,
        deaths: Mapping[tuple[str, str], int],
    ) -> None:
        self.report = BatchReport()
        self._tools = tools
        self._listener = listener
        ahead = [stage for stage in stages if not uses_models(stage)]
        behind = [stage for stage in stages if stage not in ahead]
        versions = stage_versions(tools.settings)
        self._told_ahead: list[Finished] = []
        tell = self._told_ahead.extend
        self._ahead = Lane(tools, ahead, versions, run_id, tell, "ahead", deaths)
        self._behind = Lane(tools, behind, versions, run_id, self._tell, "behind", deaths)

    def all(self, media_ids: Sequence[str]) -> None:
        """Take all files through both lanes."""
        with self._working_ahead(media_ids) as batches:
            for ready in batches:
                self._tools.check_stopped()
                self._tell(ready.finished)
                self._behind.claim(ready.works)
                self._behind.take(ready.works)
                self._behind.commit()
                for work in ready.works:
                    work.clean()

    @contextmanager
    def _working_ahead(self, media_ids: Sequence[str]) -> Iterator[Iterator[_Ready]]:
        """What comes out of the lane ahead while it goes on; it ends with the block."""
        queue: _Queue = Queue(LEAD)
        arguments = (list(media_ids), queue)
        thread = threading.Thread(target=self._work_ahead, args=arguments, name="ahead")
        thread.start()
        try:
            yield _batches(queue, self._tools.settings.group_files)
        except BaseException:
            self._tools.stop()
            thread.join()
            self._tools.go_on()
            raise
        thread.join()  # not told to go on: who was told to stop just now must not begin the next files

    def _work_ahead(self, media_ids: list[str], queue: "_Queue") -> None:
        try:
            for ready in self._looked_at(media_ids, queue):
                self._ahead.commit()
                self._hand_over(_Ready(ready, self._told_ahead.copy()), queue)
                self._told_ahead.clear()
            self._hand_over(None, queue)
        except Stopped as stopped:
            with suppress(Full):
                queue.put_nowait(stopped)  # who waits was perhaps not told to stop
        except BaseException as error:  # noqa: BLE001 (it is raised in the thread that waits)
            with suppress(Stopped):
                self._hand_over(error, queue)

    def _hand_over(self, what: "_Ready | BaseException | None", queue: "_Queue") -> None:
        while True:
            try:
                queue.put(what, timeout=LOOK_EVERY_S)
                return
            except Full:
                self._tools.check_stopped()

    def _looked_at(self, media_ids: list[str], queue: "_Queue") -> Iterator[list[Work]]:
        """Files that are through the lane ahead, a group at a time, or some where they are awaited."""
        ready: list[Work] = []
        began = time.monotonic()
        for works in self._groups(media_ids):
            self._ahead.claim(works)
            for number, work in enumerate(works, start=1):
                self._tools.check_stopped()
                self._ahead.take([work])
                ready.append(work)
                is_batch = len(ready) >= SMALL_BATCH or time.monotonic() - began > PATIENCE_S
                if number == len(works) or (is_batch and queue.empty()):
                    yield ready
                    ready, began = [], time.monotonic()

    def _groups(self, media_ids: list[str]) -> Iterator[list[Work]]:
        size = self._tools.settings.group_files
        catalogue = self._tools.catalogue
        for at in range(0, len(media_ids), size):
            ids = media_ids[at : at + size]
            media = catalogue.media(ids)
            places = catalogue.locations_of(ids)
            rows = catalogue.states.of(ids)
            self._tools.derived.bring(ids)  # after the rows: files are at least as new as these
            yield [
                Work(media[one], _present(places[one]), rows[one], self._tools)
                for one in ids
                if one in media
            ]

    def _tell(self, finished: Sequence[Finished]) -> None:
        in_order = sorted(finished, key=lambda one: _ORDER[one.stage])
        self.report.finished.extend(in_order)
        for one in in_order:
            self._tools.tell_finished(one.media.partition_key, one.stage, one.state.value)
        if in_order:
            self._listener(in_order)


def _batches(queue: "_Queue", size: int) -> Iterator[_Ready]:
    """What is ready each time, about `size` files at most; raises what the other thread raised."""
    is_open = True
    while is_open:
        batch = _Ready([], [])
        found = queue.get()
        while found is not None:
            if isinstance(found, BaseException):
                raise found
            batch.works.extend(found.works)
            batch.finished.extend(found.finished)
            if len(batch.works) >= size:
                break
            try:
                found = queue.get_nowait()
            except Empty:
                break
        is_open = found is not None
        yield batch


def _present(places: Sequence[Location]) -> Location | None:
    """Where the original is now, rather on a disk than where it has to be fetched from.

    A disk that is not mounted just now is no reason to wait where there is another place.
    """
    present = [place for place in places if place.missing_since is None]
    if len(present) < 2:
        return next(iter(present), None)
    return min(present, key=lambda place: (not is_there(place.uri), is_remote(place.uri)))


_Queue = Queue[_Ready | BaseException | None]
_ORDER = {name: number for number, name in enumerate(STAGES)}
