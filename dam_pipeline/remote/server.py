"""A library behind a webserver: launch its jobs, see their runs and what these said."""

import getpass
import json
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from dam_pipeline.errors import ConfigurationError, RemoteError
from dam_pipeline.records import Json
from dam_pipeline.remote import queries
from dam_pipeline.remote.endpoint import Endpoint
from dam_pipeline.run_tags import LAUNCHED_BY_TAG, REPEATED_WITHIN_S, VERSION

LOCATION = "dam_pipeline"
NEEDED_JOBS = ("ingest", "graph", "discover", "reprocess")
ENDED = ("SUCCESS", "FAILURE", "CANCELED")
WILL_RETRY, RETRIED_AS = "dagster/will_retry", "dagster/auto_retry_run_id"


@dataclass(frozen=True, slots=True)
class RemoteRun:
    """A run as the webserver tells of it; `materializations` are results so far.

    `changed_s` is when it last did (seconds since 1970), 0 where that is not known.
    """

    run_id: str
    job: str
    status: str
    tags: Mapping[str, str]
    materializations: int
    changed_s: float = 0.0

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes of it, a retry included that Dagster has announced."""
        is_announced = self.tags.get(WILL_RETRY) == "true" and not self.was_retried
        is_awaited = not self.changed_s or time.time() < self.changed_s + REPEATED_WITHIN_S
        return self.status in ENDED and not (is_announced and is_awaited)

    @property
    def was_retried(self) -> bool:
        """Whether Dagster has started another run in its place."""
        return RETRIED_AS in self.tags

    @property
    def waits(self) -> bool:
        """Whether it is still in the queue."""
        return self.status in ("NOT_STARTED", "QUEUED")


@dataclass(frozen=True, slots=True)
class Said:
    """What a run said: its answer, its warnings, its failure in words.

    `failure_class` is that of what was raised first.
    """

    run_id: str = ""
    answer: Json = None
    failure: str = ""
    failure_class: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Server:
    """A webserver that shows our code location."""

    endpoint: Endpoint
    location: str
    repository: str
    version: str

    @classmethod
    def connect(cls, url: str, token: str = "") -> Self:
        """Find our code location there.

        Raises RemoteUnavailable when nothing answers, RemoteError when the location is not there,
        is broken, or is of a version without the jobs that we launch.
        """
        endpoint = Endpoint(url, token)
        workspace = endpoint.ask(queries.LOCATIONS).data["workspaceOrError"]
        if workspace["__typename"] != "Workspace":
            raise RemoteError(f"{endpoint.url} has no workspace: {workspace.get('message')}.")
        entries = {one["name"]: one for one in workspace["locationEntries"]}
        found = [cls(endpoint, *one) for one in _with_our_jobs(entries)]
        if found:
            return sorted(found, key=lambda one: one.location != LOCATION)[0]
        raise RemoteError(_why_not_ours(endpoint.url, entries))

    def run_url(self, run_id: str) -> str:
        """The page of a run, where it can be watched and terminated."""
        return f"{self.endpoint.url}/runs/{run_id}"

    def launch(
        self,
        job: str,
        config: Mapping[str, Json] | None = None,
        tags: Mapping[str, str] | None = None,
        stages: Sequence[str] = (),
    ) -> str:
        """Launch a job; returns the run's id. Raises RemoteError when the server refuses it."""
        selector: dict[str, Json] = {
            "repositoryLocationName": self.location,
            "repositoryName": self.repository,
            "jobName": job,
        }
        if stages:
            selector["assetSelection"] = [{"path": [name]} for name in stages]
        all_tags = {LAUNCHED_BY_TAG: whoami(), **(tags or {})}
        params = {
            "selector": selector,
            "runConfigData": dict(config or {}),
            "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in all_tags.items()]},
        }
        said = self.endpoint.ask(queries.LAUNCH, {"params": params}).data["launchRun"]
        if said["__typename"] != "LaunchRunSuccess":
            raise RemoteError(self._refusal(job, said))
        return str(said["run"]["runId"])

    def runs(
        self, *, run_ids: Sequence[str] = (), tags: Mapping[str, str] | None = None
    ) -> list[RemoteRun]:
        """Runs by id or by tag, the newest first."""
        asked: dict[str, Json] = {"runIds": list(run_ids)} if run_ids else {}
        if tags:
            asked["tags"] = [{"key": key, "value": value} for key, value in tags.items()]
        found = self.endpoint.ask(queries.RUNS, {"filter": asked}).data["runsOrError"]
        if found["__typename"] != "Runs":
            raise RemoteError(f"{self.endpoint.url} cannot list runs: {found.get('message')}.")
        return [_run(one) for one in found["results"]]

    def said(self, run_id: str) -> Said:
        """What a run has said so far; reads its whole log."""
        answer, failure, failure_class, warnings = None, "", "", []
        for event in self._events(run_id):
            match event["__typename"]:
                case "ExecutionStepOutputEvent":
                    answer = _answer(event) or answer
                case "ExecutionStepFailureEvent":
                    failure, failure_class = _failure(event)
                case "RunFailureEvent":
                    failure = failure or str(event["message"])
                case "LogMessageEvent" if event["level"] == "WARNING":
                    warnings.append(str(event["message"]))
        return Said(run_id, answer, failure, failure_class, tuple(warnings))

    def _events(self, run_id: str) -> Iterator[Json]:
        after, has_more = None, True
        while has_more:
            asked = {"runId": run_id, "after": after}
            page = self.endpoint.ask(queries.EVENTS, asked).data["logsForRun"]
            if page["__typename"] != "EventConnection":
                raise RemoteError(f"{self.run_url(run_id)}: {page.get('message')}.")
            yield from page["events"]
            after, has_more = page["cursor"], page["hasMore"]

    def _refusal(self, job: str, said: Mapping[str, Json]) -> str:
        words = said.get("message") or "; ".join(one["message"] for one in said.get("errors", ()))
        kind = said["__typename"]
        mend = "Look at its log."
        if kind == "RunConfigValidationInvalid":
            mend = f"Install the same version on both sides (there: {self.version or 'unknown'})."
        elif kind == "UnauthorizedError":
            mend = "Its read-only webserver launches nothing: give the address of the other one."
        elif kind in ("PipelineNotFoundError", "InvalidSubsetError"):
            mend = "Reload the code location there."
        return f"{self.endpoint.url} refuses to launch the job {job} ({kind}): {words}. {mend}"


def whoami() -> str:
    """USER@HOST of this process, as launched runs are tagged."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def check_paths(paths: Sequence[str]) -> None:
    """Raise ConfigurationError for a relative path: the server stands in another folder."""
    for path in paths:
        if "://" not in path and not path.startswith("/"):
            raise ConfigurationError(
                f"{path} is relative, and the library is on another machine. Give the path as its "
                "workers see it, from / on, or an address like s3://bucket/folder."
            )


def _with_our_jobs(entries: Mapping[str, Json]) -> Iterator[tuple[str, str, str]]:
    """Location, repository and version of all that hold the jobs we launch."""
    for name, entry in entries.items():
        for repository in (entry["locationOrLoadError"] or {}).get("repositories", ()):
            jobs = {one["name"]: one for one in repository["jobs"]}
            if set(NEEDED_JOBS) <= set(jobs):
                told = {one["label"]: one for one in jobs["discover"]["metadataEntries"]}
                yield name, repository["name"], told.get(VERSION, {}).get("text", "")


def _why_not_ours(url: str, entries: Mapping[str, Json]) -> str:
    for name, entry in entries.items():
        if entry["loadStatus"] == "LOADING":
            return f"{url} is still loading {name}. Try again in a moment."
        error = entry["locationOrLoadError"] or {}
        if error.get("__typename") == "PythonError":
            words = " ".join(str((error["causes"] or [error])[-1]["message"]).split())
            return f"{url} could not load {name}: {words}. Mend it there and reload the location."
    return (
        f"No code location of {url} ({', '.join(entries) or 'there is none'}) has the jobs "
        f"{', '.join(NEEDED_JOBS)}: it is another Dagster, or an older dam_pipeline. Correct "
        "DAM_DAGSTER_URL, or install the same version on both sides."
    )


def _run(told: Mapping[str, Json]) -> RemoteRun:
    return RemoteRun(
        run_id=told["runId"],
        job=told["jobName"],
        status=told["status"],
        tags={tag["key"]: tag["value"] for tag in told["tags"]},
        materializations=(told["stats"] or {}).get("materializations", 0),
        changed_s=told["updateTime"] or 0.0,
    )


def _answer(event: Mapping[str, Json]) -> Json:
    found = [one for one in event["metadataEntries"] if one["label"] == "answer"]
    return json.loads(found[0]["jsonString"]) if found else None


def _failure(event: Mapping[str, Json]) -> tuple[str, str]:
    """The words of a failed step, ours where there are some, and the class of what was raised."""
    error = event["error"] or {"message": "", "className": "", "causes": []}
    first = (error["causes"] or [error])[-1]
    described = (event["failureMetadata"] or {}).get("description")
    return str(described or first["message"]).strip(), str(first["className"] or "")
