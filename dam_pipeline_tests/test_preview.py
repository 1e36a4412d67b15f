"""The preview server: its pages and pictures, and that it gives nothing else away."""

import io
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from starlette.testclient import TestClient

from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.preview import pages, wording
from dam_pipeline.preview.pictures import placeholder
from dam_pipeline.preview.server import create_app
from dam_pipeline.records import Location, Media, MediaKind, State
from dam_pipeline.settings import load_settings
from dam_pipeline_tests.processed import ODD_NAME, SAMPLES, Library

ADDRESS = "http://127.0.0.1:3001"
PROCESSED = [pytest.mark.slow, pytest.mark.weights]


def served() -> TestClient:
    """The server of the home in the environment."""
    return TestClient(create_app(load_settings()), base_url=ADDRESS)


@pytest.fixture
def client(library: Library) -> Iterator[TestClient]:
    with served() as opened:
        yield opened


@pytest.fixture
def empty(dam_home: Path) -> Iterator[TestClient]:
    with served() as opened:
        yield opened


def page(client: TestClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


def picture(client: TestClient, path: str) -> Image.Image:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/jpeg"
    return Image.open(io.BytesIO(answer.content))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0:00"), (59.99, "0:59"), (61, "1:01"), (3723, "1:02:03"), (-1, "0:00")],
)
def test_times_are_minutes_and_seconds(seconds: float, shown: str) -> None:
    assert wording.clock(seconds) == shown


def test_a_path_is_shown_printable_whatever_its_bytes_are() -> None:
    assert wording.place("file:///a%20b/caf%E9%0A%1B.mov") == r"/a b/caf\xe9\n\x1b.mov"
    assert wording.printable("ok\udce9\u202e") == "ok\\udce9\\u202e"


def test_sizes_are_in_powers_of_a_thousand() -> None:
    assert [wording.size(n) for n in (999, 1500, 2_500_000_000)] == ["999 B", "1.5 kB", "2.5 GB"]


def test_a_placeholder_holds_any_text() -> None:
    drawn = Image.open(io.BytesIO(placeholder("ü🎬\n" * 90, ["reason " * 300], is_trouble=True)))
    assert drawn.size == (640, 360)


def test_an_empty_library_says_how_to_fill_it(empty: TestClient) -> None:
    assert "dam ingest FOLDER" in page(empty, "/")


def test_it_answers_that_it_is_up(empty: TestClient) -> None:
    assert empty.get("/healthz").json() == {"ok": True}


@pytest.mark.parametrize(
    "path",
    [
        "/media/nothing",
        "/media/..%2f..%2fcatalogue.db",
        "/poster/../../etc/passwd.jpg",
        "/poster/%2e%2e%2fcatalogue.jpg",
        "/keyframe/nothing/0.jpg",
        "/keyframe/nothing/-1.jpg",
        "/face/nothing/0.jpg",
        "/static/..%2fserver.py",
        "/static/../server.py",
        "/?state=no-state",
        "/catalogue.db",
    ],
)
def test_what_it_does_not_know_is_not_found(empty: TestClient, path: str) -> None:
    assert empty.get(path).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_it_only_reads(empty: TestClient, method: str) -> None:
    assert empty.request(method, "/").status_code == 405


def test_another_host_name_is_refused(empty: TestClient) -> None:
    assert empty.get("/", headers={"host": "evil.example"}).status_code == 400
    assert empty.get("/", headers={"host": "localhost:3001"}).status_code == 200


def test_no_page_may_load_or_run_anything_from_elsewhere(empty: TestClient) -> None:
    answer = empty.get("/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "script" not in policy
    assert not re.search(r"(src|href)=.?(https?:)?//", answer.text)


def test_a_page_number_that_is_none_is_the_first(empty: TestClient) -> None:
    for text in ("0", "-1", "x", "²", "9" * 40):
        assert empty.get("/", params={"page": text}).status_code == 200


def test_names_are_shown_and_never_taken_as_markup(dam_home: Path) -> None:
    name = '<script>alert("1")</script>.mov'
    media = Media("a" * 32, "script-aaaaaaaaaaaa", MediaKind.VIDEO, 1, name, "a" * 32)
    uri = "file:///films/%3Cscript%3E%FF.mov"
    with open_catalogue(dam_home) as catalogue:
        catalogue.add_media([media])
        catalogue.put_locations([Location(uri, media.media_id, 1, 1)])
    with served() as client:
        search = pages.search("<script>", [], ["<script>"])
        for text in (page(client, "/"), page(client, f"/media/{media.partition_key}"), search):
            assert "<script" not in text
            assert "&lt;script&gt;" in text
        assert r"/films/&lt;script&gt;\xff.mov" in page(client, f"/media/{media.media_id}")
        assert picture(client, f"/poster/{media.partition_key}.jpg").size == (640, 360)


class TestProcessed:
    """On a library that went through the pipeline."""

    pytestmark = PROCESSED

    def test_the_grid_shows_every_file_and_filters_by_state(
        self, client: TestClient, library: Library
    ) -> None:
        assert page(client, "/").count('class="card"') == len(SAMPLES) + 1
        failed = page(client, "/?state=failed")
        assert re.findall(r'href="/media/([^"]+)"', failed) == [library.key("empty.mp4")]
        assert "No file is in this state." in page(client, "/?state=blocked")

    def test_a_clip_has_its_facts_keyframes_words_scenes_and_lineage(
        self, client: TestClient, library: Library
    ) -> None:
        key = library.key("interview.mp4")
        text = page(client, f"/media/{key}")
        assert "0:12" in text
        assert "640 × 360" in text
        assert str(library.originals / "clips" / "interview.mp4") in text
        assert "orchestra" in text
        assert text.count(f'src="/keyframe/{key}/') >= 2
        assert text.count('class="hero"') == 1
        assert "whisper-base-ct2" in text
        assert f'href="/media/{library.key("memo.flac")}"' in text
        assert f"http://127.0.0.1:3000/runs/{library.ingest['run_ids'][0]}" in text

    def test_a_failed_file_says_key_stage_reason_on_its_page_and_poster(
        self, client: TestClient, library: Library
    ) -> None:
        key = library.key("empty.mp4")
        assert f"{key} at probe: " in page(client, f"/media/{key}")
        assert picture(client, f"/poster/{key}.jpg").size == (640, 360)

    def test_posters_keyframes_and_faces_are_pictures(
        self, client: TestClient, library: Library
    ) -> None:
        face = library.key("astronaut.jpg")
        assert max(picture(client, f"/poster/{face}.jpg").size) <= 640
        assert picture(client, f"/keyframe/{face}/0.jpg").size == (512, 512)
        assert max(picture(client, f"/face/{face}/0.jpg").size) <= 160
        assert client.get(f"/keyframe/{face}/1.jpg").status_code == 404
        assert client.get(f"/face/{face}/7.jpg").status_code == 404
        assert f"/face/{face}/0.jpg" in page(client, f"/media/{face}")

    def test_a_name_that_is_no_utf8_is_shown_with_its_bytes(
        self, client: TestClient, library: Library
    ) -> None:
        key = next(
            one["partition_key"] for one in library.ingest["media"] if "caf%E9" in one["uri"]
        )
        shown = ODD_NAME.decode("utf-8", "backslashreplace")
        expected = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        assert expected.replace('"', "&#34;") in page(client, f"/media/{key}")

    def test_a_search_shows_where_the_words_are(self, client: TestClient, library: Library) -> None:
        text = page(client, "/search?q=fishermen")
        assert f"/media/{library.key('interview.mp4')}#k" in text
        assert "fishermen come home" in text
        assert "Nothing here shows or says that." in page(client, "/search?q=xylophone")

    def test_damaged_results_are_named_and_the_page_still_comes(
        self, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own = library.copy(tmp_path / "home")
        own.enter(monkeypatch)
        folder = _folder(own, "interview.mp4")
        (folder / "transcript.parquet").write_bytes(b"no table")
        outcome = json.loads((folder / "scenes.json").read_text())
        (folder / "scenes.json").write_text(json.dumps({**outcome, "format": 99}))
        with served() as client:
            text = page(client, f"/media/{own.key('interview.mp4')}")
        assert "transcript.parquet" in text
        assert "scenes.json" in text
        assert "0:12" in text

    def test_a_keyframe_never_leads_out_of_the_file_s_folder(
        self, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own = library.copy(tmp_path / "home")
        own.enter(monkeypatch)
        secret = tmp_path / "secret.jpg"
        shutil.copy(library.originals / "faces" / "astronaut.jpg", secret)
        folder = _folder(own, "reel.mp4")
        path = folder / "keyframes.parquet"
        rows = pq.read_table(path)
        outside = [os.path.relpath(secret, folder), str(secret), *rows["path"].to_pylist()[2:]]
        column = rows.schema.get_field_index("path")
        pq.write_table(rows.set_column(column, "path", [outside]), path)
        with served() as client:
            codes = [
                client.get(f"/keyframe/{own.key('reel.mp4')}/{number}.jpg").status_code
                for number in range(3)
            ]
        assert codes == [404, 404, 200]

    def test_a_blocked_stage_says_what_it_waits_for(
        self, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own = library.copy(tmp_path / "home")
        own.enter(monkeypatch)
        key = own.key("memo.flac")
        with open_catalogue(own.home) as catalogue:
            media = catalogue.find(key)
            row = catalogue.states.of([media.media_id])[media.media_id]["transcript"]
            reason = "No weights: run `dam models fetch whisper-base`."
            catalogue.states.record([replace(row, state=State.BLOCKED, reason=reason)])
        with served() as client:
            assert f"{key} at transcript: {reason}" in page(client, f"/media/{key}")
            assert "state-blocked" in page(client, "/?state=blocked")


def _folder(library: Library, name: str) -> Path:
    with open_catalogue(library.home) as catalogue:
        media_id = catalogue.find(library.key(name)).media_id
    return library.home / "derived" / media_id[:2] / media_id
