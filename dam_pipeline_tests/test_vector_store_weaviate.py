"""What is Weaviate's alone: finding its server, refusals, outages, and filling it from derived files.

What every store must do is tested over both in test_vector_store.
"""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread, Timer
from urllib.parse import urlsplit

import pyarrow as pa
import pytest

from dam_pipeline.errors import ConfigurationError, StoreUnavailable
from dam_pipeline.records import Space
from dam_pipeline.settings import Settings
from dam_pipeline.stores.vectors import WORDS, VectorStore, open_vector_store
from dam_pipeline.stores.vectors.stems import stems_asked, stems_of
from dam_pipeline_tests.handmade import axis
from dam_pipeline_tests.processed import Library, run_dam
from dam_pipeline_tests.test_vector_store import SPACE, found, heard, vectors, words
from dam_pipeline_tests.weaviate_server import Gate, own_prefix

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
    from dam_pipeline.stores.vectors.weaviate_store import WeaviateStore

    with pytest.raises(
        StoreUnavailable, match=r"127\.0\.0\.1:9 .*refused.*DAM_WEAVIATE_URL"
    ) as said:
        WeaviateStore(Settings(home=tmp_path, **NOBODY), wait_s=0.3)
    assert said.value.blocks


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://127.0.0.1", "http://"])
def test_an_address_that_is_none_is_named(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"DAM_WEAVIATE_URL.*http://127\.0\.0\.1:8080"):
        open_vector_store(Settings(home=tmp_path, vector_store="weaviate", weaviate_url=url))


class _OldServer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"hostname": "x", "version": "1.24.10"}).encode())

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


def test_a_server_of_an_old_version_is_refused_with_both_versions(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), _OldServer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(StoreUnavailable, match=r"version 1\.24\.10, but 1\.33 or newer"):
            open_vector_store(Settings(home=tmp_path, vector_store="weaviate", weaviate_url=url))
        server.shutdown()


def test_the_key_is_not_shown_with_the_settings(tmp_path: Path) -> None:
    assert "hush" not in repr(Settings(home=tmp_path, weaviate_api_key="hush"))


@pytest.mark.parametrize("stranger", ["running foxes", "日本 本語", "cafe"])
def test_stems_hold_every_form_and_no_other_order_of_letters(stranger: str) -> None:
    said = set(stems_of(["He runs with a fox to the Café, 日本語"])[0].split())
    assert said.issuperset(stems_asked(stranger))
    assert not said.issuperset(stems_asked("語日"))


@pytest.mark.weaviate
def test_a_wrong_key_is_refused_at_once(settings: Settings) -> None:
    wrong = settings.model_copy(update={"weaviate_api_key": "wrong"})
    with pytest.raises(StoreUnavailable, match=r"refuses the API key.*DAM_WEAVIATE_API_KEY"):
        open_vector_store(wrong)


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
    store = open_vector_store(through(gates, settings))
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
    with pytest.raises(StoreUnavailable, match=r"did not take 1 of 1 rows .*length 4"):
        store.put(shorter, ["b"], vectors("b", axis(0, 4)))
    assert store.counts() == {SPACE.name: 1}


@pytest.mark.weaviate
def test_one_refused_row_among_many_is_not_passed_over(
    store: VectorStore, settings: Settings, expected_error_logs: list[str]
) -> None:
    from dam_pipeline.stores.vectors.weaviate_collections import collection_of
    from dam_pipeline.stores.vectors.weaviate_rows import insert, vector_objects
    from dam_pipeline.stores.vectors.weaviate_server import connect

    expected_error_logs.append("Failed to send")
    store.put(SPACE, ["a"], vectors("a", axis(0)))
    objects = vector_objects(vectors("b", axis(0), axis(1)), ["b:0", "b:1"])(1)
    objects += vector_objects(vectors("c", axis(0, 4)), ["c:0"])(1)
    with connect(settings) as client:
        collection = client.collections.use(collection_of(settings.weaviate_prefix, SPACE).name)
        with pytest.raises(StoreUnavailable, match=r"did not take 1 of 3 rows .*length 4"):
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
