"""States of files as a webserver alone can tell them: Dagster's partitions and its runs' words.

Less than the catalogue knows: `empty` shows as `done`, `stale` as what it was, and `blocked` as
`never` unless the runs at hand tell of it.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dam_pipeline.records import Json, State
from dam_pipeline.remote import queries
from dam_pipeline.remote.server import Said, Server

FAILED_AT = re.compile(r"^(?P<key>\S+) at (?P<stage>\w+): (?P<reason>.+)$")
WAITS_ON = re.compile(r"^(?P<stage>\w+) waits on \d+ files?: (?P<reason>.+)$", re.DOTALL)
PAIRS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class RemoteState:
    """State of one stage on one file, with its reason and the run that tells of it, if known."""

    state: State
    reason: str = ""
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class StageStatuses:
    """What Dagster knows of one asset's partitions."""

    inputs: tuple[str, ...]
    keys: tuple[str, ...]
    done: frozenset[str]
    failed: frozenset[str]
    running: frozenset[str]


@dataclass(frozen=True, slots=True)
class Reasons:
    """What runs said: of failed (key, stage), and of stages that wait for their surroundings."""

    failed: dict[tuple[str, str], str] = field(default_factory=dict)
    blocked: dict[str, str] = field(default_factory=dict)

    def take(self, said: Said) -> None:
        """Add what one run said."""
        for key, stage, reason in failures_in(said.failure):
            self.failed[key, stage] = reason
        for words in said.warnings:
            if found := WAITS_ON.match(words):
                self.blocked[found["stage"]] = found["reason"]


Files = dict[str, dict[str, RemoteState]]


def statuses(server: Server, stages: Sequence[str]) -> dict[str, StageStatuses]:
    """What Dagster knows of these stages, in their order; one request."""
    assets = [{"path": [name]} for name in stages]
    nodes = server.endpoint.ask(queries.STATUSES, {"assets": assets}).data["assetNodes"]
    found = {node["assetKey"]["path"][-1]: _statuses(node) for node in nodes}
    return {name: found[name] for name in stages if name in found}


def file_states(
    server: Server,
    stages: Sequence[str],
    keys: Collection[str] | None = None,
    run_ids: Iterable[str] = (),
) -> Files:
    """State of every stage of these files, or of all; `run_ids` are runs whose words count.

    The words of other runs are fetched where a file has failed and none of these says why.
    """
    known = statuses(server, stages)
    all_keys = next(iter(known.values())).keys if known else ()
    wanted = [key for key in all_keys if keys is None or key in keys]
    reasons = Reasons()
    for run_id in run_ids:
        reasons.take(server.said(run_id))
    pairs = [pair for pair in _failed_first(known, frozenset(wanted)) if pair not in reasons.failed]
    runs = _latest_runs(server, pairs)
    for run_id in dict.fromkeys(runs.values()):
        reasons.take(Said(failure=server.said(run_id).failure))
    return {key: _states_of(key, known, reasons, runs) for key in wanted}


def failures_in(words: str) -> Iterator[tuple[str, str, str]]:
    """(key, stage, reason) of each line "KEY at STAGE: reason" of a run's failure."""
    for line in words.splitlines():
        if found := FAILED_AT.match(line):
            yield found["key"], found["stage"], found["reason"]


def worst(stages: Mapping[str, RemoteState]) -> State:
    """The file's state in one word, as `dam status` gives it."""
    states = {one.state for one in stages.values()}
    for state in (State.FAILED, State.BLOCKED, State.RUNNING, State.NEVER):
        if state in states:
            return state
    return State.DONE


def _statuses(node: Mapping[str, Json]) -> StageStatuses:
    told = node["assetPartitionStatuses"]
    return StageStatuses(
        inputs=tuple(one["path"][-1] for one in node["dependencyKeys"]),
        keys=tuple(node["partitionKeys"]),
        done=frozenset(told.get("materializedPartitions", ())),
        failed=frozenset(told.get("failedPartitions", ())),
        running=frozenset(told.get("materializingPartitions", ())),
    )


def _failed_first(
    known: Mapping[str, StageStatuses], keys: Collection[str]
) -> Iterator[tuple[str, str]]:
    """(key, stage) that Dagster calls failed and that wait for no other failed stage."""
    for stage, told in known.items():
        earlier = [known[name].failed for name in told.inputs if name in known]
        for key in sorted(told.failed & set(keys)):
            if not any(key in failed for failed in earlier):
                yield key, stage


def _latest_runs(server: Server, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Id of the newest run of each (key, stage)."""
    found = {}
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        piece = pairs[start : start + PAIRS_AT_ONCE]
        query, variables = queries.latest_runs([(stage, key) for key, stage in piece])
        told = server.endpoint.ask(query, variables).data
        for number, pair in enumerate(piece):
            run = (told[f"at{number}"] or {}).get("latestRunForPartition")
            if run:
                found[pair] = str(run["runId"])
    return found


def _states_of(
    key: str,
    known: Mapping[str, StageStatuses],
    reasons: Reasons,
    runs: Mapping[tuple[str, str], str],
) -> dict[str, RemoteState]:
    states: dict[str, RemoteState] = {}
    for stage, told in known.items():
        run_id = runs.get((key, stage))
        waits_for = [
            name
            for name in told.inputs
            if name in states and states[name].state not in (State.DONE, State.RUNNING)
        ]
        if (key, stage) in reasons.failed:
            state = RemoteState(State.FAILED, reasons.failed[key, stage], run_id)
        elif key in told.done:
            state = RemoteState(State.DONE)
        elif key in told.running:
            state = RemoteState(State.RUNNING)
        elif waits_for:
            state = RemoteState(State.NEVER, f"waits for {waits_for[0]}")
        elif stage in reasons.blocked:
            state = RemoteState(State.BLOCKED, reasons.blocked[stage])
        elif key in told.failed:
            state = RemoteState(State.NEVER, "its last run ended before it", run_id)
        else:
            state = RemoteState(State.NEVER)
        states[stage] = state
    return states
