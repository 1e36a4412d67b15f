"""`ingest`, `retry` and `status` on a library behind a webserver (`DAM_DAGSTER_URL`).

No home is opened here: choosing and processing happen on the library's own machines, and what is told
comes from its webserver.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from dam_pipeline.cli.output import Exit, bar, print_json, say, table
from dam_pipeline.cli.troubles import tell_left_out
from dam_pipeline.errors import ConfigurationError, RunBroken
from dam_pipeline.records import Json, State
from dam_pipeline.remote.following import follow, follow_requested
from dam_pipeline.remote.server import RemoteRun, Said, Server, check_paths
from dam_pipeline.remote.states import Files, RemoteState, failures_in, file_states, worst
from dam_pipeline.settings import Settings
from dam_pipeline.stages import STAGES

COUNTED = (State.DONE, State.FAILED, State.BLOCKED)


def ingest(settings: Settings, paths: Sequence[str], *, as_json: bool) -> int:
    """Have the server look at paths of its own and process what is new, changed or unfinished."""
    check_paths(paths)
    server = _connect(settings)
    said = _ask(server, "discover", {"ops": {"find_media": {"config": {"paths": list(paths)}}}})
    run_ids, files = _process(server, said, list(STAGES))
    found = said.answer
    counts = Counter(found["settled"])
    counts.update(_counts(files))
    if as_json:
        print_json(
            {name: found[name] for name in ("discovered", "new", "unchanged")}
            | {state.value: counts[state.value] for state in COUNTED}
            | {"run_ids": run_ids, "media": _media(files)}
        )
    else:
        say(
            f"{found['discovered']} files found, {found['new']} new, {found['unchanged']} "
            f"unchanged: {_in_words(counts)}."
        )
        tell_left_out(found["notes"], found["waiting"], found["skipped"])
        for one in found["troubles"]:
            say("{partition_key} at {stage} {state}: {reason}".format_map(one))
        _tell_troubles(files)
    return _exit_code(counts)


def retry(settings: Settings, config: Mapping[str, Json], *, as_json: bool) -> int:
    """Have the server choose files and stages, and process them; `config` is the job's."""
    check_paths([one for one in config["media"] if "/" in one])
    server = _connect(settings)
    said = _ask(server, "reprocess", {"ops": {"choose_media": {"config": dict(config)}}})
    plan, chosen = said.answer["media"], said.answer["chosen"]
    if config["dry_run"] or not chosen:
        return _tell_plan(plan, chosen, as_json)
    run_ids, files = _process(server, said, said.answer["stages"])
    counts = _counts(files)
    if as_json:
        now = {key: worst(stages).value for key, stages in files.items()}
        media = [one | {"state": now.get(one["partition_key"], one["state"])} for one in plan]
        shown = {state.value: counts[state.value] for state in COUNTED}
        print_json({**shown, "run_ids": run_ids, "media": media})
    else:
        say(f"{chosen} files ran again: {_in_words(counts)}.")
        _tell_troubles(files)
    return _exit_code(counts)


def status(settings: Settings, paths: Sequence[str] | None, *, metrics: bool, as_json: bool) -> int:
    """Tell the states that Dagster knows of."""
    if paths or metrics:
        raise ConfigurationError(
            "A webserver knows neither what lies below a path nor the library's metrics. Leave "
            "these out, or run `dam status` where the library is, without DAM_DAGSTER_URL."
        )
    server = _connect(settings)
    files = file_states(server, list(STAGES))
    totals = {
        name: dict(Counter(stages[name].state.value for stages in files.values()))
        for name in STAGES
        if files
    }
    if as_json:
        print_json(
            {"media": [_file(key, stages) for key, stages in files.items()]} | {"totals": totals}
        )
    elif not files:
        say("No media there yet. `dam ingest /FOLDER/OF/THE/SERVER` adds some.")
    else:
        table(("file", "state"), [(key, worst(one).value) for key, one in files.items()])
        say("")
        states = sorted({state for count in totals.values() for state in count})
        rows = [(name, *(str(n.get(s, "")) for s in states)) for name, n in totals.items()]
        table(("stage", *states), rows)
        _tell_troubles(files)
    return _exit_code(_counts(files))


def _connect(settings: Settings) -> Server:
    return Server.connect(settings.dagster_url, settings.dagster_token)


def _ask(server: Server, job: str, config: Mapping[str, Json]) -> Said:
    """Run one of the jobs that choose and request; raises what went wrong there as our own error."""
    run_id = server.launch(job, config)
    with _going_on(server, run_id), bar(f"{job} at {server.endpoint.url}", None) as tell:
        ended = follow(
            server, run_id, lambda runs: tell(0, runs[-1].status.lower() if runs else "")
        )
        said = server.said(run_id)
    if all(run.status != "SUCCESS" for run in ended) or said.answer is None:
        words = said.failure or "it was called off"
        if said.failure_class == ConfigurationError.__name__:
            raise ConfigurationError(words)
        raise RunBroken(f"{words} Its log: {server.run_url(run_id)}")
    return said


def _process(server: Server, said: Said, stages: Sequence[str]) -> tuple[list[str], Files]:
    """Follow the runs that were requested, then link the library; their ids and the files' states."""
    keys = frozenset(said.answer["keys"])
    if not keys:
        return [], {}
    asked_by = said.run_id
    with _going_on(server, *said.answer["run_ids"]):
        with bar("processing", len(keys) * len(stages)) as tell:
            runs = follow_requested(server, asked_by, lambda now: _show(now, tell))
        say("linking the library …")
        graph = server.launch("graph")
        linked = follow(server, graph)
    run_ids = [one.run_id for one in reversed(runs)]
    for one in (*runs, *linked):
        _check_ended_well(server, one)
    return [*run_ids, graph], file_states(server, list(STAGES), keys, run_ids)


def _check_ended_well(server: Server, run: RemoteRun) -> None:
    """Raise RunBroken for a run that ended for another reason than its files."""
    if run.status == "CANCELED":
        raise RunBroken(f"Somebody called the run off: {server.run_url(run.run_id)}")
    if run.status == "FAILURE" and not run.was_retried:
        words = server.said(run.run_id).failure
        if not any(failures_in(words)):
            raise RunBroken(
                f"A run broke off: {words} What was finished is kept. Its log: "
                f"{server.run_url(run.run_id)}"
            )


def _show(runs: Sequence[RemoteRun], tell: Callable[[int, str], None]) -> None:
    left = Counter(one.status.lower() for one in runs if not one.has_ended)
    note = ", ".join(f"{count} {status}" for status, count in sorted(left.items()))
    tell(sum(one.materializations for one in runs), note)


@contextmanager
def _going_on(server: Server, *run_ids: str) -> Iterator[None]:
    """Say on Ctrl-C that the runs go on without us, and where to end them."""
    try:
        yield
    except KeyboardInterrupt:
        say("dam: no longer following; the library goes on without us. Terminate it there:")
        for run_id in run_ids:
            say(f"  {server.run_url(run_id)}")
        raise SystemExit(Exit.INTERRUPTED) from None


def _counts(files: Files) -> Counter[str]:
    return Counter(worst(stages).value for stages in files.values())


def _in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts.get(state.value, 0)} {state.value}" for state in COUNTED)


def _exit_code(counts: Mapping[str, int]) -> int:
    trouble = counts.get(State.FAILED.value, 0) + counts.get(State.BLOCKED.value, 0)
    return Exit.SOME_FAILED if trouble else Exit.OK


def _tell_troubles(files: Files) -> None:
    waiting: Counter[tuple[str, str]] = Counter()
    for key, stages in files.items():
        for stage, one in stages.items():
            if one.state is State.FAILED:
                say(f"{key} at {stage} failed: {one.reason}")
            elif one.state is State.BLOCKED:
                waiting[stage, one.reason] += 1
    for (stage, reason), count in waiting.items():
        say(f"{count} {'file' if count == 1 else 'files'} at {stage} blocked: {reason}")


def _media(files: Files) -> list[dict[str, Json]]:
    return [{"partition_key": key, "state": worst(one).value} for key, one in files.items()]


def _file(key: str, stages: Mapping[str, RemoteState]) -> dict[str, Json]:
    told = {
        name: {"state": one.state.value, "reason": one.reason, "run_id": one.run_id}
        for name, one in stages.items()
    }
    return {"partition_key": key, "stages": told}


def _tell_plan(plan: Sequence[Mapping[str, Json]], chosen: int, as_json: bool) -> int:
    if as_json:
        print_json({"run_ids": [], "media": list(plan)})
    elif not chosen:
        say("Nothing to run again.")
    else:
        rows = [
            (one["partition_key"], stage, told["state"], told["reason"])
            for one in plan
            for stage, told in one["stages"].items()
        ]
        table(("file", "stage", "state", "reason"), rows)
        say(f"{chosen} files would run, and what depends on these stages.")
    return Exit.OK
