"""`dam models`: what there is, bringing in, checking."""

import json
from pathlib import Path

import pytest

from dam_pipeline_tests.processed import dam, dam_json

pytestmark = pytest.mark.weights


def test_models_are_listed_with_use_and_licence(dam_home: Path) -> None:
    listed = {one["name"]: one for one in dam_json("models", "list")}
    assert listed["tiny-clip"]["used"]
    assert listed["tiny-clip"]["present"]
    assert len(listed["tiny-clip"]["sha256"]) == 64
    assert not listed["clip-vit-b32"]["present"]
    assert all(one["licence"] for one in listed.values())
    assert "tiny-clip" in dam("models", "list").stdout


def test_a_model_that_is_used_and_not_here_is_told(
    dam_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAM_PROFILE", "standard")
    assert "clip-vit-b32 is used and not here" in dam("models", "list").stderr


def test_an_imported_folder_is_listed_and_verified(dam_home: Path, tmp_path: Path) -> None:
    tiny = next(one for one in dam_json("models", "list") if one["name"] == "tiny-clip")
    brought = dam_json("models", "import", tiny["path"], "--name", "my-clip")
    assert brought["sha256"] == tiny["sha256"]
    assert Path(brought["path"]).is_dir()
    verdicts = {one["name"]: one["ok"] for one in dam_json("models", "verify")}
    assert verdicts["my-clip"] is True
    assert verdicts["tiny-clip"] is True


def test_damaged_weights_are_found_out(dam_home: Path) -> None:
    tiny = next(one for one in dam_json("models", "list") if one["name"] == "tiny-clip")
    brought = dam_json("models", "import", tiny["path"], "--name", "spoilt")
    weights = Path(brought["path"]) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    result = dam("models", "verify", "--json")
    verdict = next(one for one in json.loads(result.stdout) if one["name"] == "spoilt")
    assert result.exit_code == 1
    assert verdict["reason"]


@pytest.mark.parametrize(
    "words", [("fetch", "no-such-model"), ("fetch", "tiny-clip"), ("import", "/no/such/folder")]
)
def test_what_cannot_be_brought_is_told(dam_home: Path, words: tuple[str, ...]) -> None:
    result = dam("models", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr
