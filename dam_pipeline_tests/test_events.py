"""Events: what is told of what happens, and that it arrives, on a real NATS server and a real webhook."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import dagster as dg
import jsonschema
import nats
import pytest

from dam_pipeline.catalogue.catalogue import Catalogue, open_catalogue
from dam_pipeline.definitions import build_definitions
from dam_pipeline.errors import EventsUndelivered
from dam_pipeline.events import open_sink
from dam_pipeline.events.kinds import KINDS, MediaFailed, schema_of
from dam_pipeline.records import StageRow, State
from dam_pipeline.settings import Settings, load_settings
from dam_pipeline.stages.work import Toolbox
from dam_pipeline_tests.places import Library, aged, write
from dam_pipeline_tests.processed import Library as Processed
from dam_pipeline_tests.processed import dam, dam_json
from dam_pipeline_tests.servers import SCRIPTS, kill_server
from resources.library import LibraryResource, close_libraries
from sensors.events import build_tell_failures

LOGIN = "dam"


@pytest.fixture
def told(nats_server: str, monkeypatch: pytest.MonkeyPatch, dam_home: Path) -> Callable[[], Any]:
    """What a listener of this test's own stream finds there, as documents, oldest first."""
    stream = f"T{abs(hash(dam_home)):x}"
    for name, value in {"URL": nats_server, "STREAM": stream, "PREFIX": stream.lower()}.items():
        monkeypatch.setenv(f"DAM_NATS_{name}", value)
    return lambda: heard(nats_server, stream)


def heard(url: str, stream: str) -> list[dict[str, Any]]:
    """All that a stream holds, oldest first; each is checked against the schema of its type."""

    async def read() -> list[dict[str, Any]]:
        client = await nats.connect(url)
        jetstream = client.jetstream()
        found = []
        try:
            state = (await jetstream.stream_info(stream)).state
            for number in range(state.first_seq, state.last_seq + 1):
                found.append(json.loads((await jetstream.get_msg(stream, number)).data or b""))
        finally:
            await client.close()
        return found

    documents = asyncio.run(read())
    for one in documents:
        jsonschema.validate(one, dict(schema_of(one["type"])))
    return documents


def names(documents: Sequence[Mapping[str, Any]]) -> list[str]:
    return [one["type"] for one in documents]


@pytest.fixture
def watched(tmp_path: Path, settings: Settings) -> Iterator[Library]:
    """A watched folder with one film, and a catalogue that has somebody to tell."""
    folder = tmp_path / "films"
    write(folder / "a.mp4", "first")
    with open_catalogue(settings.home, sinks=("nats",)) as catalogue:
        yield Library(settings, catalogue, folder)


def deliver(catalogue: Catalogue, settings: Settings) -> Any:
    return catalogue.outbox.deliver(lambda name: open_sink(settings, name))


@pytest.mark.nats
def test_what_happens_to_a_file_is_told_in_order(told: Callable[[], Any], watched: Library) -> None:
    settings = load_settings()
    watched.settle()
    (watched.folder / "a.mp4").rename(watched.folder.parent / "away.mp4")
    write(watched.folder / "b.mp4", "second")  # a folder that is empty at once is not believed
    watched.settle()
    (watched.folder.parent / "away.mp4").rename(watched.folder / "a.mp4")
    watched.settle()
    write(watched.folder / "a.mp4", "other bytes")
    watched.settle()
    assert deliver(watched.catalogue, settings).troubles == {}
    found = told()
    of_a = [one for one in found if one["subject"].startswith("a-") or "away" in one["subject"]]
    first = of_a[0]["data"]["media_id"]
    assert [(one["type"], one["data"]["media_id"] == first) for one in of_a] == [
        ("media.discovered", True),
        ("media.missing", True),
        ("media.returned", True),
        ("media.discovered", False),
        ("media.superseded", True),
    ]
    assert of_a[1]["data"]["present"] is False
    assert of_a[2]["data"]["uri"] == f"file://{watched.folder}/a.mp4"
    assert of_a[4]["data"]["superseded_by"] == of_a[3]["data"]["media_id"]


@pytest.mark.nats
@pytest.mark.slow
@pytest.mark.weights
def test_an_ingest_tells_of_each_file_with_the_run_that_did_it(
    told: Callable[[], Any], tmp_path: Path, sample_library: Any, dam_home: Path
) -> None:
    originals = tmp_path / "originals"
    photo = sample_library["photos/IMG_1001.jpg"].path
    write(originals / "good.jpg", photo.read_bytes())
    write(originals / "bad.mp4", b"no film at all")
    result = dam("ingest", str(originals), "--json")
    assert result.exit_code == 3
    run_id = json.loads(result.stdout)["run_ids"][0]
    close_libraries()
    found = told()
    data = {(one["type"], one["subject"].split("-")[0]): one["data"] for one in found}
    assert data["media.indexed", "good"]["run_id"] == run_id
    assert data["media.failed", "bad"]["run_id"] == run_id
    assert data["media.failed", "bad"]["stage"] == "probe"
    assert data["media.failed", "bad"]["reason"]
    assert ("media.indexed", "bad") not in data
    assert dam_json("events", "waiting") == {}


@pytest.mark.nats
def test_events_wait_while_the_server_is_away_and_arrive_when_it_is_back(
    tmp_path: Path, watched: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "nats"
    url = start(folder)
    try:
        monkeypatch.setenv("DAM_NATS_URL", url)
        kill_server(folder)
        watched.settle()
        delivery = deliver(watched.catalogue, load_settings())
        assert "cannot be reached" in delivery.troubles["nats"]
        assert "@" not in delivery.troubles["nats"]  # no login in words
        assert watched.catalogue.outbox.waiting()["nats"].count == 1
        assert start(folder) == url
        assert deliver(watched.catalogue, load_settings()).sent == {"nats": 1}
        assert watched.catalogue.outbox.waiting() == {}
        assert names(heard(url, "DAM")) == ["media.discovered"]
    finally:
        subprocess.run([SCRIPTS / "nats.sh", "stop", folder], check=True)


DIES_BEFORE_IT_NOTES_WHAT_WAS_TAKEN = """
import os, signal
from dam_pipeline.events import open_sink
from dam_pipeline.settings import load_settings
from dam_pipeline.stages.work import Toolbox

class Dying:
    def __init__(self, sink): self.sink = sink
    def send(self, events):
        self.sink.send(events)
        os.kill(os.getpid(), signal.SIGKILL)

settings = load_settings()
with Toolbox.open(settings) as tools:
    tools.catalogue.outbox.deliver(lambda name: Dying(open_sink(settings, name)))
"""


@pytest.mark.nats
def test_a_sender_that_is_killed_loses_no_event_and_tells_none_twice(
    told: Callable[[], Any], settings: Settings
) -> None:
    count = 1200
    with open_catalogue(settings.home, sinks=("nats",)) as catalogue:
        catalogue.outbox.tell_now(
            MediaFailed(f"{n:032x}", f"k-{n}", "video", "", "", "probe", "no", False, 1)
            for n in range(count)
        )
        child = [sys.executable, "-c", DIES_BEFORE_IT_NOTES_WHAT_WAS_TAKEN]
        killed = subprocess.run(child, check=False)
        assert killed.returncode == -signal.SIGKILL
        assert catalogue.outbox.waiting()["nats"].count == count
        assert 0 < len(told()) < count
        assert deliver(catalogue, load_settings()).sent == {"nats": count}
    assert [one["subject"] for one in told()] == [f"k-{n}" for n in range(count)]


@pytest.mark.nats
def test_a_server_without_jetstream_is_named(
    tmp_path: Path, watched: Library, monkeypatch: pytest.MonkeyPatch, nats_server: str
) -> None:
    program = subprocess.run(
        [SCRIPTS / "nats.sh", "cached"], capture_output=True, text=True, check=True
    ).stdout.strip()
    ports = tmp_path / "ports"
    ports.mkdir()
    child = subprocess.Popen(
        [program, "--addr", "127.0.0.1", "--port", "-1", "--ports_file_dir", ports],
        stderr=subprocess.DEVNULL,
    )
    try:
        while not (found := list(ports.glob("*.ports"))) or not found[0].read_text():
            time.sleep(0.05)
        monkeypatch.setenv("DAM_NATS_URL", json.loads(found[0].read_text())["nats"][0])
        watched.settle()
        delivery = deliver(watched.catalogue, load_settings())
        assert "has no JetStream" in delivery.troubles["nats"]
    finally:
        child.terminate()
        child.wait()


def test_a_file_that_fails_again_and_again_is_told_each_time(watched: Library) -> None:
    watched.settle()
    media_id = watched.media()["a.mp4"].media_id
    row = StageRow(
        media_id=media_id,
        stage="probe",
        state=State.FAILED,
        reason="no film",
        attempts=1,
        run_id="r1",
        updated_at="2026-05-05T12:00:00.000000+00:00",
    )
    watched.catalogue.states.record([row])
    watched.catalogue.states.record([row])
    assert watched.catalogue.outbox.waiting()["nats"].count == 3


def test_without_somebody_to_tell_nothing_waits(tmp_path: Path, settings: Settings) -> None:
    write(tmp_path / "films" / "a.mp4", "first")
    with Toolbox.open(settings) as tools:
        Library(settings, tools.catalogue, tmp_path / "films").settle()
        assert tools.catalogue.outbox.waiting() == {}


@pytest.mark.slow
@pytest.mark.weights
def test_a_rebuild_tells_nothing_again(
    library: Processed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = library.copy(tmp_path / "home")
    own.enter(monkeypatch)
    (own.home / "catalogue.db").unlink()
    monkeypatch.setenv("DAM_NATS_URL", "nats://127.0.0.1:9")
    assert dam("rebuild").exit_code == 0
    assert dam_json("events", "waiting") == {}
    assert dam_json("status", "--metrics")["files"] == len(library.ingest["media"])


def test_a_webhook_that_refuses_gets_the_event_later(tmp_path: Path, settings: Settings) -> None:
    with receiver([500, 200]) as (url, bodies):
        own = settings.model_copy(update={"webhook_url": url})
        with open_catalogue(settings.home, sinks=("webhook",)) as catalogue:
            failed_run(own, tmp_path, catalogue)
            assert "answers 500" in deliver(catalogue, own).troubles["webhook"]
            assert deliver(catalogue, own).sent == {"webhook": 1}
    assert [one["id"] for one in bodies] == [bodies[0]["id"]] * 2
    assert bodies[0]["type"] == "run.failed"


def test_a_run_that_failed_is_told_with_every_file_and_reason(
    tmp_path: Path, settings: Settings
) -> None:
    with receiver([200]) as (url, bodies):
        own = settings.model_copy(update={"webhook_url": url, "ui_url": "https://dag.example"})
        with open_catalogue(settings.home, sinks=("webhook",)) as catalogue:
            run_id = failed_run(own, tmp_path, catalogue)
            deliver(catalogue, own)
    (body,) = bodies
    jsonschema.validate(body, dict(schema_of("run.failed")))
    assert body["data"]["run_id"] == run_id
    assert body["data"]["url"] == f"https://dag.example/runs/{run_id}"
    assert body["text"].startswith("bad-")
    assert " at probe: " in body["text"]


def test_a_webhook_address_never_shows_in_words(settings: Settings) -> None:
    own = settings.model_copy(update={"webhook_url": "http://127.0.0.1:9/secret-token"})
    with pytest.raises(EventsUndelivered) as raised, open_catalogue(settings.home) as catalogue:
        catalogue.outbox.deliver(lambda name: open_sink(own, name))
        open_sink(own, "webhook").send([event()])
    assert "secret-token" not in str(raised.value)
    assert "secret-token" not in repr(own)


def test_every_type_has_a_schema_that_says_what_its_fields_mean() -> None:
    for name in KINDS:
        schema = schema_of(name)
        jsonschema.Draft202012Validator.check_schema(schema)
        for field, about in schema["properties"]["data"]["properties"].items():
            assert about.get("description"), f"{name}: {field}"


def test_the_schema_of_an_unknown_type_is_wrong_use() -> None:
    result = dam("events", "schema", "media.eaten")
    assert result.exit_code == 2
    assert "media.indexed" in result.stderr


def event() -> Any:
    from dam_pipeline.events.kinds import RunFailed, event_of

    return event_of(RunFailed("r", "ingest", "it broke", ""))


def failed_run(settings: Settings, folder: Path, catalogue: Catalogue) -> str:
    """The id of a run that failed of one file, after the sensor has seen it."""
    films = folder / "films"
    write(films / "bad.mp4", b"no film at all")
    aged(films / "bad.mp4", 3600)
    watched = Library(settings, catalogue, films)
    (media,) = watched.settle().new
    resource = LibraryResource(home=str(settings.home))
    with dg.instance_for_test(temp_dir=str(folder)) as instance:
        instance.add_dynamic_partitions("media", [media.partition_key])
        job = build_definitions(settings).resolve_job_def("ingest")
        result = job.execute_in_process(
            instance=instance,
            tags={
                "dagster/asset_partition_range_start": media.partition_key,
                "dagster/asset_partition_range_end": media.partition_key,
            },
            raise_on_error=False,
        )
        failure = next(e for e in result.all_events if e.is_run_failure)
        context = dg.build_run_status_sensor_context(
            sensor_name="tell_failures",
            dagster_event=failure,
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            resources={"library": resource},
        )
        close_libraries()
        with pytest.MonkeyPatch.context() as patch, context.for_run_failure() as failed:
            patch.setenv("DAM_WEBHOOK_URL", settings.webhook_url)
            build_tell_failures(settings)(failed)
            close_libraries()
    return result.run_id


@contextmanager
def receiver(answers: list[int]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A web server that answers with these codes in turn; its address and what it was sent."""
    bodies: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            bodies.append(json.loads(self.rfile.read(length)))
            self.send_response(answers[len(bodies) - 1])
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook", bodies
    finally:
        server.shutdown()
        server.server_close()


def start(folder: Path) -> str:
    """Start a NATS server on a folder, or again on what it held; returns its address."""
    done = subprocess.run(
        [SCRIPTS / "nats.sh", "start", folder], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no server of nats: {done.stderr.strip()}")
    return done.stdout.split()[1]
