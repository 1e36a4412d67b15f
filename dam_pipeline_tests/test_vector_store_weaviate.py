"""What is Weaviate's alone: finding its server, refusals, outages, and filling it from derived files.

What every store must do is tested over both in test_vector_store.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from signal import SIGKILL
from threading import Thread, Timer
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dam_pipeline.errors import ConfigurationError, StoreUnavailable
from dam_pipeline.records import Space
from dam_pipeline.search.index_rows import VECTOR_STAGES, vectors_array
from dam_pipeline.settings import Settings
from dam_pipeline.stores.vectors import WORDS, VectorStore, open_vector_store
from dam_pipeline.stores.vectors.stems import stems_asked, stems_of
from dam_pipeline.stores.vectors.weaviate_store import WeaviateStore
from dam_pipeline_tests import servers
from dam_pipeline_tests.handmade import axis, between
from dam_pipeline_tests.processed import Library, run_dam
from dam_pipeline_tests.servers import SCRIPTS
from dam_pipeline_tests.test_vector_store import OTHER, SPACE, found, heard, vectors, words
from dam_pipeline_tests.weaviate_server import Gate, own_prefix, tls_before

NOBODY = {"vector_store": "weaviate", "weaviate_url": "http://127.0.0.1:9"}


@pytest.fixture
def settings(weaviate_server: dict[str, str | int], tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, weaviate_prefix=own_prefix(), **weaviate_server)


@pytest.fixture
def store(settings: Settings) -> Iterator[VectorStore]:
    opened = open_vector_store(settings)
    yield opened
    opened.drop()
    opened.close()


@pytest.fixture
def gates(settings: Settings) -> Iterator[tuple[Gate, Gate]]:
    """Gates before both ports of the server, shut at first."""
    made = Gate(urlsplit(settings.weaviate_url).port), Gate(settings.weaviate_grpc_port)
    yield made
    for gate in made:
        gate.shut()


def through(gates: tuple[Gate, Gate], settings: Settings) -> Settings:
    web, grpc = (gate.port for gate in gates)
    places = {"weaviate_url": f"http://127.0.0.1:{web}", "weaviate_grpc_port": grpc}
    return settings.model_copy(update=places)


def test_where_nobody_answers_it_says_which_setting_to_mend(tmp_path: Path) -> None:
    with closing(WeaviateStore(Settings(home=tmp_path, **NOBODY), wait_s=0.3)) as store:
        with pytest.raises(
            StoreUnavailable, match=r"127\.0\.0\.1:9 .*refused.*DAM_WEAVIATE_URL"
        ) as said:
            store.counts()
        assert said.value.blocks


def test_a_server_that_was_found_down_is_waited_for_once_alone(tmp_path: Path) -> None:
    wait_s, calls = 1.5, 8
    started = time.monotonic()
    with closing(WeaviateStore(Settings(home=tmp_path, **NOBODY), wait_s=wait_s)) as store:
        messages = set()
        for _ in range(calls):
            with pytest.raises(StoreUnavailable) as said:
                store.counts()
            messages.add(str(said.value))
    assert len(messages) == 1
    assert wait_s < time.monotonic() - started < calls * wait_s / 2


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://127.0.0.1", "http://"])
def test_an_address_that_is_none_is_named(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"DAM_WEAVIATE_URL.*http://127\.0\.0\.1:8080"):
        open_vector_store(Settings(home=tmp_path, vector_store="weaviate", weaviate_url=url))


class _OtherServer(BaseHTTPRequestHandler):
    version = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"hostname": "x", "version": self.version}).encode())

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("version", ["1.24.10", "2.0.1"])
def test_a_server_of_another_version_is_refused_with_both_versions(
    tmp_path: Path, version: str
) -> None:
    handler = type("_Server", (_OtherServer,), {"version": version})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        settings = Settings(home=tmp_path, vector_store="weaviate", weaviate_url=url)
        with (
            closing(open_vector_store(settings)) as store,
            pytest.raises(
                StoreUnavailable, match=rf"version {version}, but one from 1\.33 on and below 2\.0"
            ),
        ):
            store.counts()
        server.shutdown()


def test_the_key_is_not_shown_with_the_settings(tmp_path: Path) -> None:
    assert "hush" not in repr(Settings(home=tmp_path, weaviate_api_key="hush"))


@pytest.mark.parametrize("stranger", ["running foxes", "日本 本語", "cafe"])
def test_stems_hold_every_form_and_no_other_order_of_letters(stranger: str) -> None:
    said = set(stems_of(["He runs with a fox to the Café, 日本語"])[0].split())
    assert said.issuperset(stems_asked(stranger))
    assert not said.issuperset(stems_asked("語日"))


def _units(random: np.random.Generator, *shape: int) -> np.ndarray:
    rows = random.normal(size=shape)
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


@pytest.mark.weaviate
def test_a_thousand_equal_frames_hide_nothing(store: VectorStore) -> None:
    random = np.random.default_rng(1)
    space = Space("frames@1", "image_text", 512)
    frames = _units(random, 3_000, 512)
    black_and_bars = _units(random, 2, 512)[random.integers(0, 2, 1_000)]
    rows = np.concatenate([frames, black_and_bars])[random.permutation(4_000)]
    for at in range(0, len(rows), 200):
        store.put(space, [f"m{at:04d}"], vectors(f"m{at:04d}", *rows[at : at + 200]))
    asked = range(0, len(frames), 30)
    found_first = [store.nearest(space, frames[at], 1)[0] for at in asked]
    scores = [match.score for match in found_first]
    assert sum(score > 0.999 for score in scores) >= 0.98 * len(asked)
    assert len(store.nearest(space, black_and_bars[0], 4_000)) >= 3_990


@pytest.mark.weaviate
def test_a_wrong_key_is_refused_at_once(settings: Settings) -> None:
    wrong = settings.model_copy(update={"weaviate_api_key": "wrong"})
    with (
        closing(open_vector_store(wrong)) as store,
        pytest.raises(StoreUnavailable, match=r"refuses the API key.*DAM_WEAVIATE_API_KEY"),
    ):
        store.counts()


@pytest.mark.weaviate
def test_a_key_that_may_only_read_searches_and_is_told_when_it_writes(
    store: VectorStore, settings: Settings
) -> None:
    reading = settings.model_copy(
        update={"weaviate_api_key": f"{settings.weaviate_api_key}-reader"}
    )
    store.put(SPACE, ["a"], vectors("a", axis(0)))
    refused = pytest.raises(StoreUnavailable, match=r"does not allow.*DAM_WEAVIATE_API_KEY")
    with closing(open_vector_store(reading)) as reader:
        assert found(reader, axis(0)) == [("a", 0)]
        for space in (SPACE, OTHER):
            with refused:
                reader.put(space, ["a"], vectors("a", axis(1)))
        with refused:
            reader.remove(["a"])
        with refused:
            reader.drop_space(SPACE)
        assert found(reader, axis(0)) == [("a", 0)]


@pytest.mark.weaviate
def test_tenants_share_collections_and_do_not_see_each_other(settings: Settings) -> None:
    acme, other = (
        open_vector_store(settings.model_copy(update={"weaviate_tenant": name}))
        for name in ("acme", "other")
    )
    with closing(acme), closing(other):
        acme.put(SPACE, ["a"], vectors("a", axis(0)))
        acme.put_words(["a"], words("a", "hello"))
        assert (other.spaces(), other.counts(), other.media_in(SPACE)) == ([], {}, set())
        assert found(other, axis(0)) == []
        assert heard(other, "hello") == set()
        other.remove(["a"])
        other.put(SPACE, ["b"], vectors("b", axis(0)))
        assert (found(acme, axis(0)), found(other, axis(0))) == ([("a", 0)], [("b", 0)])
        acme.put(SPACE, ["a"], vectors("a", axis(1)))
        acme.drop_space(SPACE)
        assert acme.counts() == {WORDS: 1}
        acme.drop()
        assert acme.counts() == {}
        assert other.counts() == {SPACE.name: 1}
        acme.put(SPACE, ["a"], vectors("a", axis(0)))
        assert acme.counts() == {SPACE.name: 1}
        for store in (acme, other):
            store.drop()


@pytest.mark.weaviate
@pytest.mark.parametrize(("first", "then"), [("", "acme"), ("acme", "")])
def test_collections_that_were_made_with_another_tenancy_are_named(
    settings: Settings, first: str, then: str
) -> None:
    maker, late = (
        open_vector_store(settings.model_copy(update={"weaviate_tenant": name}))
        for name in (first, then)
    )
    made = f"made with{'' if first else 'out'} tenants.*DAM_WEAVIATE_TENANT"
    with closing(maker), closing(late):
        maker.put(SPACE, ["a"], vectors("a", axis(0)))
        for act in (
            lambda: late.put(SPACE, ["a"], vectors("a", axis(0))),
            lambda: late.nearest(SPACE, axis(0), 1),
            lambda: late.remove(["a"]),
            late.counts,
        ):
            with pytest.raises(StoreUnavailable, match=made):
                act()
        maker.drop()


@pytest.mark.weaviate
def test_a_killed_server_has_all_that_it_acknowledged(tmp_path: Path) -> None:
    script = SCRIPTS / "weaviate.sh"
    servers.require("weaviate")
    folder = tmp_path / "server"

    def start() -> Settings:
        done = subprocess.run([script, "start", folder], check=True, capture_output=True, text=True)
        _, url, port, key = done.stdout.split()
        return Settings(
            home=tmp_path,
            vector_store="weaviate",
            weaviate_url=url,
            weaviate_grpc_port=int(port),
            weaviate_api_key=key,
        )

    def put(store: VectorStore, number: int) -> None:
        rows = [between(0, 1 + at % 7, 0.9) for at in range(100)]
        store.put(SPACE, [f"m{number}"], vectors(f"m{number}", *rows))

    try:
        with closing(open_vector_store(start())) as store:
            put(store, 0)
            killer = Timer(0.3, os.kill, (int((folder / "pid").read_text().split()[0]), SIGKILL))
            killer.start()
            starter = Timer(0.6, start)
            starter.start()
            for number in range(1, 24):  # the put that is cut off waits for the new server or fails
                while True:
                    with suppress(StoreUnavailable):
                        put(store, number)
                        break
                    time.sleep(0.2)
            starter.join()
            assert store.counts() == {SPACE.name: 24 * 100}
            assert store.media_in(SPACE) == {f"m{number}" for number in range(24)}
            for number in range(24):
                assert len(store.nearest(SPACE, axis(0), 300, {f"m{number}"})) == 100
    finally:
        subprocess.run([script, "stop", folder], check=True)


def make_certificate(path: Path) -> None:
    """A certificate for 127.0.0.1, signed by itself, with its key."""
    name = ["-subj", "/CN=here", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    outputs = ["-nodes", "-days", "2", "-keyout", path.with_suffix(".key"), "-out", path]
    subprocess.run([*command, *outputs, *name], check=True, capture_output=True)
    path.with_suffix(".both").write_bytes(path.with_suffix(".key").read_bytes() + path.read_bytes())


@pytest.mark.weaviate
def test_both_ports_speak_tls_to_a_server_whose_certificate_is_trusted(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_certificate(tmp_path / "here.pem")
    ports = (urlsplit(settings.weaviate_url).port, settings.weaviate_grpc_port)
    web, grpc = (tls_before(port, tmp_path / "here.both") for port in ports)
    with web as web_port, grpc as grpc_port:
        places = {
            "weaviate_url": f"https://127.0.0.1:{web_port}",
            "weaviate_grpc_port": grpc_port,
        }
        secure = settings.model_copy(update=places)
        distrusted = pytest.raises(StoreUnavailable, match=r"certificate.*SSL_CERT_FILE")
        with closing(WeaviateStore(secure, wait_s=0.1)) as store, distrusted:
            store.counts()
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "here.pem"))
        with closing(open_vector_store(secure)) as store:
            store.put(SPACE, ["a"], vectors("a", axis(0)))
            assert found(store, axis(0)) == [("a", 0)]
            store.drop()


@pytest.mark.weaviate
def test_a_server_that_is_starting_is_waited_for(
    gates: tuple[Gate, Gate], settings: Settings
) -> None:
    starting = [Timer(0.5 + at, gate.open) for at, gate in enumerate(gates)]
    for one in starting:
        one.start()
    store = open_vector_store(through(gates, settings))
    assert store.counts() == {}
    store.close()
    for one in starting:
        one.join()


@pytest.mark.weaviate
def test_an_outage_in_the_middle_blocks_and_passes(
    gates: tuple[Gate, Gate], settings: Settings
) -> None:
    for gate in gates:
        gate.open()
    store = WeaviateStore(through(gates, settings), wait_s=2.0)
    store.put(SPACE, ["a"], vectors("a", axis(0)))
    for gate in gates:
        gate.shut()
    with pytest.raises(StoreUnavailable, match="DAM_WEAVIATE_URL"):
        store.put(SPACE, ["b"], vectors("b", axis(1)))
    for gate in gates:
        gate.open()
    store.put(SPACE, ["b"], vectors("b", axis(1)))
    assert store.counts() == {SPACE.name: 2}
    store.drop()
    store.close()


@pytest.mark.weaviate
def test_rows_that_the_server_refuses_are_not_passed_over(store: VectorStore) -> None:
    store.put(SPACE, ["a"], vectors("a", axis(0)))
    shorter = Space(SPACE.name, SPACE.kind, 4)
    with pytest.raises(
        StoreUnavailable, match=r"did not take 1 of 1 rows .*item 0 of b: .*length 4"
    ):
        store.put(shorter, ["b"], vectors("b", axis(0, 4)))
    assert store.counts() == {SPACE.name: 1}


@pytest.mark.weaviate
def test_one_refused_row_among_many_is_not_passed_over(
    store: VectorStore, settings: Settings, expected_error_logs: list[str]
) -> None:
    from dam_pipeline.stores.vectors.weaviate_collections import Section
    from dam_pipeline.stores.vectors.weaviate_rows import insert, vector_objects
    from dam_pipeline.stores.vectors.weaviate_server import Server

    expected_error_logs.append("Failed to send")
    store.put(SPACE, ["a"], vectors("a", axis(0)))
    objects = [*vector_objects(vectors("b", axis(0), axis(1)), ["b:0", "b:1"])(1)]
    objects += vector_objects(vectors("c", axis(0, 4)), ["c:0"])(1)
    with closing(Server(settings)) as server, server.client() as client:
        section = Section(settings.weaviate_prefix)
        collection = section.opened(client, section.of(SPACE))
        with pytest.raises(
            StoreUnavailable, match=r"did not take 1 of 3 rows .*item 0 of c: .*length 4"
        ):
            insert(collection, objects)


@pytest.mark.weaviate
def test_libraries_on_one_server_do_not_see_each_other(
    store: VectorStore, settings: Settings
) -> None:
    other = open_vector_store(settings.model_copy(update={"weaviate_prefix": own_prefix()}))
    store.put(SPACE, ["a"], vectors("a", axis(0)))
    other.put_words(["b"], words("b", "hello"))
    other.put(SPACE, ["b"], vectors("b", axis(0)))
    assert found(store, axis(0)) == [("a", 0)]
    other.drop()
    other.close()
    assert store.counts() == {SPACE.name: 1}


@pytest.mark.weaviate
def test_more_rows_than_the_server_deletes_at_once_are_all_replaced(store: VectorStore) -> None:
    many = 10_500  # it deletes 10,000 at a time
    spoken = words("a", *["the same words"] * many)
    store.put_words(["a", "b"], pa.concat_tables([spoken, words("b", "hello")]))
    assert store.counts() == {WORDS: many + 1}
    store.put_words(["a"], words("a", "the only words"))
    assert store.counts() == {WORDS: 2}
    assert heard(store, "words") == {("a", 0)}


def stored_vectors(library: Library, space: Space) -> list[np.ndarray]:
    """Up to three vectors of every media in a space, as its derived files have them."""
    stage = VECTOR_STAGES[space.kind]
    found: list[np.ndarray] = []
    for path in sorted(library.home.glob(f"derived/*/*/{stage}.parquet")):
        found += list(vectors_array(pq.read_table(path)))[:3]
    return found


@pytest.mark.weaviate
@pytest.mark.slow
def test_a_rebuild_fills_an_empty_server_with_what_lancedb_holds(
    settings: Settings, store: VectorStore, library: Library, tmp_path: Path
) -> None:
    own = library.copy(tmp_path / "home")
    names = ("vector_store", "weaviate_url", "weaviate_grpc_port", "weaviate_api_key")
    on_server = own.environment() | {
        f"DAM_{name.upper()}": str(getattr(settings, name)) for name in (*names, "weaviate_prefix")
    }
    done = run_dam(on_server, "rebuild", "--json")
    assert done.returncode == 0, done.stderr
    lance = open_vector_store(Settings(home=own.home))
    assert store.counts() == lance.counts()
    assert {(s.name, s.kind): store.media_in(s) for s in store.spaces()} == {
        (s.name, s.kind): lance.media_in(s) for s in lance.spaces()
    }
    for space in lance.spaces():
        shares = []
        for query in stored_vectors(own, space):
            here, there = (
                {(match.media_id, match.item) for match in one.nearest(space, query, 10)}
                for one in (store, lance)
            )
            shares.append(len(here & there) / len(there))
        assert np.mean(shares) >= 0.95, space  # ties at the tenth place may fall either way
    for question in ("fishermen", '"come home"'):
        here, there = (
            [hit["media_id"] for hit in json.loads(answer.stdout)["hits"]]
            for answer in (
                run_dam(variables, "search", question, "--json")
                for variables in (own.environment(), on_server)
            )
        )
        assert here
        assert here == there
