"""Requesting runs from within a run, as a sensor would: created, queued, and started by the daemon."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg
from dagster._core.run_coordinator import SubmitRunContext

from dam_pipeline.errors import ConfigurationError, DamError
from dam_pipeline.ops.run_parts import RunParts, few_runs
from dam_pipeline.partitions import add_keys
from dam_pipeline.records import Json, Media
from dam_pipeline.run_tags import LAUNCHED_BY_TAG, REQUESTED_BY_TAG
from dam_pipeline.settings import Settings

ANSWER = "answer"
"""Name of the metadata that scripts read: one JSON document; the rest is for people."""


@dataclass(frozen=True, slots=True)
class Requested:
    """The runs that were asked for, and the keys that they are about."""

    run_ids: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


def request_runs(
    context: dg.OpExecutionContext,
    settings: Settings,
    media: Sequence[Media],
    stages: Sequence[str] = (),
) -> Requested:
    """Queue as few runs as these media take: ranges of partitions, or sets where they are scattered.

    Only of these `stages`; none: all. They carry this run's id and who launched it. Raises
    ConfigurationError where this run was not launched by a webserver, sensor or daemon.
    """
    if not media:
        return Requested()
    sizes = {one.partition_key: one.size_bytes for one in media}
    all_keys = add_keys(context.instance, list(sizes))
    parts = few_runs(all_keys, sizes, settings, stages)
    run_ids = [_queue(context, one) for one in parts]
    return Requested(tuple(run_ids), tuple(key for one in parts for key in one.keys))


@contextmanager
def failures_told() -> Iterator[None]:
    """Fail the run with our own words alone where the fault is one of ours."""
    try:
        yield
    except DamError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error


def answer(context: dg.OpExecutionContext, document: Json, words: Mapping[str, Json]) -> None:
    """Put what came out on the op's output: `words` for people, `document` for scripts."""
    shown = {name: value for name, value in words.items() if value not in ("", 0, None)}
    context.add_output_metadata({**shown, ANSWER: dg.MetadataValue.json(document)})


def _queue(context: dg.OpExecutionContext, parts: RunParts) -> str:
    """Create and queue one run; returns its id."""
    asking = context.run
    if asking.remote_job_origin is None or asking.job_code_origin is None:
        raise ConfigurationError(
            "Runs can only be requested by a run that a webserver launched. Launch the job in the "
            "UI, over GraphQL, or run `dam ingest` or `dam retry` here."
        )
    who = {name: asking.tags[name] for name in (LAUNCHED_BY_TAG,) if name in asking.tags}
    job = context.repository_def.get_job(parts.job)
    run = context.instance.create_run_for_job(
        job,
        run_config=parts.config,
        tags={**job.run_tags, **parts.tags, **who, REQUESTED_BY_TAG: asking.run_id},
        asset_selection=set(parts.selection) or None,
        remote_job_origin=asking.remote_job_origin._replace(job_name=job.name),
        job_code_origin=asking.job_code_origin._replace(job_name=job.name),
    )
    # The queue looks at nothing but the run: it needs no workspace.
    context.instance.run_coordinator.submit_run(SubmitRunContext(run, workspace=None))  # type: ignore[arg-type]
    return run.run_id
