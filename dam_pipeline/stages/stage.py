"""The form of a stage, and the wrapper that lifts a function of one file to a batch."""

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from dam_pipeline.records import Json
from dam_pipeline.settings import Settings
from dam_pipeline.stages.outcome import Outcome, as_dam_error
from dam_pipeline.stages.work import Toolbox, Work

RunOne = Callable[[Work, Toolbox], Outcome]
RunBatch = Callable[[Sequence[Work], Toolbox], Generator[Outcome]]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the chain.

    `inputs` must have settled before it runs. `enrichments` are used where they have settled; the
    stage goes stale when one arrives later. `settings` names those that change the result, `models`
    the kinds of model it uses (`image_text`, `face`, `speech`). `others` gives further values that
    change it, such as hashes of files that a person edits, and must not raise. `run` gives one
    outcome for each file, in order; an error it raises counts for all files that have none yet.
    """

    name: str
    level: str
    version: int
    description: str
    run: RunBatch
    inputs: tuple[str, ...] = ()
    enrichments: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    others: Callable[[Settings], Mapping[str, Json]] | None = None


def each(run_one: RunOne, *, reads_original: bool = True) -> RunBatch:
    """A batch function that runs files one by one; an error fails or blocks that file alone.

    With `reads_original` the original is looked at before and after, so that no result stands on a
    file that changed meanwhile.
    """

    def run(works: Sequence[Work], tools: Toolbox) -> Generator[Outcome]:
        for work in works:
            yield attempt(partial(_checked, run_one, work, tools, reads_original), work)

    return run


def attempt(run: Callable[[], Outcome], work: Work) -> Outcome:
    """The outcome of `run`, or what its error says: one bad file never stops the others."""
    try:
        return run()
    except Exception as error:  # noqa: BLE001 (it becomes the outcome of this file)
        if as_dam_error(error) is None:
            _LOG.exception("%s: unexpected error", work.media.partition_key)
        return Outcome.of_error(error)


def _checked(run_one: RunOne, work: Work, tools: Toolbox, reads_original: bool) -> Outcome:
    tools.derived.check_room()
    if not reads_original:
        return run_one(work, tools)
    work.original.check()
    outcome = run_one(work, tools)
    work.original.check()
    return outcome
