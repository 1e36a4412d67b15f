"""`dam worker`: works on runs that come through the broker, one at a time."""

import os
import socket
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from dam_pipeline.cli.options import AsJson
from dam_pipeline.cli.output import Exit, command, print_json, say
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.settings import Settings, load_settings

DEFAULT_QUEUE = "cpu"
RESULT_KEPT_S = 7 * 24 * 3600  # the daemon takes a run whose result has expired for a dead one


@command
def run(
    queue: Annotated[
        list[str] | None,
        typer.Option(help="Queue to take runs from; may be repeated. Without: cpu."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of this worker; without: host and process.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Take runs from the broker of DAM_CELERY_BROKER and work on them, one at a time.

    Start as many as the machine has room for, on as many machines as there are. Models stay loaded
    between runs. Ctrl-C ends it after its run; a second one gives the run back at once.

    Examples: dam worker · dam worker --queue gpu · dam worker --queue cpu --queue gpu --name box1
    """
    from dam_pipeline.dagster_home import prepare_home

    settings = load_settings()
    _check(settings)
    prepare_home(settings)
    queues = queue or [DEFAULT_QUEUE]
    host = socket.gethostname()
    node = f"{name or f'{host}-{os.getpid()}'}@{host}"
    _work(settings.celery_broker, queues, node, as_json)
    return Exit.OK


def _check(settings: Settings) -> None:
    """Raise ConfigurationError where runs could not reach this worker, or not be told of again."""
    if not settings.celery_broker:
        raise ConfigurationError(
            "No broker is set, so no run can come here. Set DAM_CELERY_BROKER=redis://HOST:6379/0 "
            "for the UI, the daemon and all workers (docs/how-to/scale-out.md)."
        )
    if not settings.postgres_url:
        raise ConfigurationError(
            "Workers share runs and states through Postgres. Set DAM_POSTGRES_URL for the UI, the "
            "daemon and all workers (docs/how-to/install-for-a-team.md)."
        )


def _work(broker: str, queues: list[str], node: str, as_json: bool) -> None:
    """Serve until somebody ends it."""
    from celery.signals import task_postrun, worker_ready

    def tell(**_signal: Any) -> None:
        if as_json:
            print_json({"worker": node, "queues": queues, "broker": _without_login(broker)})
        else:
            waits_for = " and ".join(queues)
            say(f"dam: worker {node} waits for runs of {waits_for}. Ctrl-C ends it after its run.")

    worker_ready.connect(tell)
    task_postrun.connect(_end_if_cancelled)
    app = celery_app(broker)
    # A process beside the one that talks to the broker: a run that dies does not take it along.
    options = ["--pool", "prefork", "--concurrency", "1", "--without-gossip", "--without-mingle"]
    told = ["--hostname", node, "--queues", ",".join(queues), "--loglevel", "WARNING"]
    app.worker_main(["--quiet", "worker", *options, *told])


def _end_if_cancelled(kwargs: dict[str, Any], **_signal: Any) -> None:
    """Let a fresh process take the next run, once this one was interrupted wherever it was.

    An import of torch that was broken off, for one, cannot be repeated in the same process. Celery
    says that its child was lost, and starts another.
    """
    from dagster import DagsterInstance, DagsterRunStatus
    from dagster._grpc.types import ExecuteRunArgs
    from dagster._serdes import unpack_value

    asked = unpack_value(next(iter(kwargs.values())), as_type=ExecuteRunArgs)
    with DagsterInstance.get() as instance:
        run = instance.get_run_by_id(asked.run_id)
    if run and run.status in (DagsterRunStatus.CANCELED, DagsterRunStatus.CANCELING):
        os._exit(Exit.INTERRUPTED)


def celery_app(broker: str) -> Any:
    """Dagster's Celery application, with the task that carries out a run."""
    from dagster_celery.make_app import make_app
    from dagster_celery.tasks import create_execute_job_task

    app = make_app(
        {
            "broker": broker,
            "backend": broker,
            "config_source": {
                # A busy worker keeps no run from idle ones, and none that the broker would hand
                # out a second time because it was not begun within its time limit.
                "worker_disable_prefetch": True,
                "worker_prefetch_multiplier": 1,
                "result_expires": RESULT_KEPT_S,
                "worker_hijack_root_logger": False,
                "worker_redirect_stdouts": False,
                "broker_connection_retry_on_startup": True,
            },
        }
    )
    create_execute_job_task(app)
    return app


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
