"""`dam models`: listing, importing and checking weights."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dam_pipeline.errors import ConfigurationError, WeightsMismatch
from dam_pipeline.models import (
    identify,
    known,
    manifest,
    open_face,
    weights,
)
from dam_pipeline.models.locate import find
from dam_pipeline.models.weights import import_folder, list_models, verify
from dam_pipeline.settings import Settings
from dam_pipeline_tests.checkpoints import clip_folder, facenet_file, status_of


@pytest.fixture
def bare(tmp_path: Path) -> Settings:
    """Settings of the profile `standard` without any weights."""
    return Settings(home=tmp_path / "home", torch_threads=1)


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
    source = clip_folder(tmp_path / "downloads", {"patch_size": 32})
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
    source = clip_folder(tmp_path / "My Large CLIP", {"patch_size": 14, "hidden_size": 1024})
    assert import_folder(source, bare).name == "my-large-clip"
    assert not status_of(bare, "my-large-clip").used
    named = bare.model_copy(update={"clip_model": "my-large-clip"})
    assert status_of(named, "my-large-clip").used
    assert identify(named)["image_text"].name == "my-large-clip"


def test_a_folder_inside_a_hubs_cache_is_found(tmp_path: Path, bare: Settings) -> None:
    cache = tmp_path / "models--openai--clip-vit-base-patch32"
    clip_folder(cache / "snapshots" / "abc123", {"patch_size": 32})
    (cache / "refs").mkdir()
    assert import_folder(cache, bare).name == "clip-vit-b32"


def test_a_folder_of_several_models_is_not_guessed_at(tmp_path: Path, bare: Settings) -> None:
    for name in ("one", "two"):
        clip_folder(tmp_path / "all" / name, {"patch_size": 32})
    with pytest.raises(ConfigurationError, match=r"several models; import one: .*one, .*two"):
        import_folder(tmp_path / "all", bare)


def test_a_facenet_file_is_imported_under_the_name_given_and_opens(
    tmp_path: Path, bare: Settings
) -> None:
    source = facenet_file(tmp_path / "mine.pt")
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
    source = clip_folder(tmp_path / "source", {"patch_size": 14})
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
    source = clip_folder(tmp_path / "source", {"patch_size": 32})
    before = import_folder(source, bare)
    save_file({"x": torch.zeros(2)}, source / "model.safetensors")
    after = import_folder(source, bare)
    assert before.sha256 != after.sha256
    assert identify(bare)["image_text"].weights_sha256 == after.sha256
    assert [p.name for p in bare.weights_dir.iterdir() if p.is_dir()] == ["clip-vit-b32"]


def test_an_import_that_breaks_off_leaves_what_was_there(
    tmp_path: Path, bare: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = clip_folder(tmp_path / "source", {"patch_size": 32})
    before = import_folder(source, bare)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(weights, "write_origin", interrupt)
    with pytest.raises(KeyboardInterrupt):
        import_folder(source, bare)
    assert status_of(bare, "clip-vit-b32").sha256 == before.sha256
    assert [p.name for p in bare.weights_dir.iterdir() if p.is_dir()] == ["clip-vit-b32"]


def test_verify_finds_a_flipped_byte_that_kept_size_and_time(
    tmp_path: Path, bare: Settings
) -> None:
    path = Path(import_folder(clip_folder(tmp_path / "s", {"patch_size": 32}), bare).path)
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
