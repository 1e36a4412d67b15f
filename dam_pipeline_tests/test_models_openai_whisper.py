"""openai-whisper's loader on real weights: those of the CTranslate2 packages, put into its form.

The published `base.pt` cannot be had without a network; these are the same numbers in float16, so
the loader, the recogniser and its word times are proved on what a user will have.
"""

import struct
import subprocess
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import torch

from dam_pipeline.models import open_speech
from dam_pipeline.models.joining import joined_found
from dam_pipeline.models.locate import find
from dam_pipeline.settings import Settings

pytestmark = [pytest.mark.weights, pytest.mark.slow]

BASE = {
    "n_mels": 80,
    "n_audio_ctx": 1500,
    "n_audio_state": 512,
    "n_audio_head": 8,
    "n_audio_layer": 6,
    "n_vocab": 51865,
    "n_text_ctx": 448,
    "n_text_state": 512,
    "n_text_head": 8,
    "n_text_layer": 6,
}
CT2_TYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)


def _number(file: BinaryIO, form: str) -> int:
    return struct.unpack(form, file.read(struct.calcsize(form)))[0]


def _text(file: BinaryIO) -> str:
    return file.read(_number(file, "<H")).rstrip(b"\0").decode()


def _read_ct2(path: Path) -> dict[str, np.ndarray]:
    """The variables of a CTranslate2 model.bin (binary version 6) by name."""
    variables = {}
    with open(path, "rb") as file:
        assert _number(file, "<I") == 6
        assert _text(file) == "WhisperSpec"
        _number(file, "<I")
        for _ in range(_number(file, "<I")):
            name = _text(file)
            shape = [_number(file, "<I") for _ in range(_number(file, "<B"))]
            kind = CT2_TYPES[_number(file, "<B")]
            raw = file.read(_number(file, "<I"))
            variables[name] = np.frombuffer(raw, kind).reshape(shape)
    return variables


def _attention(state: dict, own: str, variables: dict, theirs: str, crosses: bool) -> None:
    """Queries, keys and values lie stacked in CTranslate2; whisper's keys have no bias."""
    parts = ["linear_0", "linear_1"] if crosses else ["linear_0"]
    weight = np.concatenate([variables[f"{theirs}/{p}/weight"] for p in parts])
    bias = np.concatenate([variables[f"{theirs}/{p}/bias"] for p in parts])
    for name, rows, offsets in zip(
        ("query", "key", "value"), np.split(weight, 3), np.split(bias, 3), strict=True
    ):
        state[f"{own}.{name}.weight"] = rows
        if name != "key":
            state[f"{own}.{name}.bias"] = offsets
    last = "linear_2" if crosses else "linear_1"
    state[f"{own}.out.weight"] = variables[f"{theirs}/{last}/weight"]
    state[f"{own}.out.bias"] = variables[f"{theirs}/{last}/bias"]


def _norm(state: dict, own: str, variables: dict, theirs: str) -> None:
    state[f"{own}.weight"] = variables[f"{theirs}/gamma"]
    state[f"{own}.bias"] = variables[f"{theirs}/beta"]


def _block(state: dict, own: str, variables: dict, theirs: str, crosses: bool) -> None:
    _attention(state, f"{own}.attn", variables, f"{theirs}/self_attention", False)
    _norm(state, f"{own}.attn_ln", variables, f"{theirs}/self_attention/layer_norm")
    if crosses:
        _attention(state, f"{own}.cross_attn", variables, f"{theirs}/attention", True)
        _norm(state, f"{own}.cross_attn_ln", variables, f"{theirs}/attention/layer_norm")
    for place, part in ((0, "linear_0"), (2, "linear_1")):
        for kind in ("weight", "bias"):
            state[f"{own}.mlp.{place}.{kind}"] = variables[f"{theirs}/ffn/{part}/{kind}"]
    _norm(state, f"{own}.mlp_ln", variables, f"{theirs}/ffn/layer_norm")


def _openai_state(variables: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """The state_dict of openai-whisper with CTranslate2's numbers."""
    state: dict[str, np.ndarray] = {
        "encoder.positional_embedding": variables["encoder/position_encodings/encodings"],
        "decoder.positional_embedding": variables["decoder/position_encodings/encodings"],
        "decoder.token_embedding.weight": variables["decoder/embeddings/weight"],
    }
    for layer in ("conv1", "conv2"):
        for kind in ("weight", "bias"):
            state[f"encoder.{layer}.{kind}"] = variables[f"encoder/{layer}/{kind}"]
    for layer in range(6):
        _block(state, f"encoder.blocks.{layer}", variables, f"encoder/layer_{layer}", False)
        _block(state, f"decoder.blocks.{layer}", variables, f"decoder/layer_{layer}", True)
    _norm(state, "encoder.ln_post", variables, "encoder/layer_norm")
    _norm(state, "decoder.ln", variables, "decoder/layer_norm")
    return {name: torch.from_numpy(value.astype(np.float32)) for name, value in state.items()}


@pytest.fixture(scope="module")
def base_pt(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of whisper base in OpenAI's form."""
    folder = tmp_path_factory.mktemp("openai")
    settings = Settings(home=folder, models_dir=shared_folder / "models", profile="bundled")
    found = joined_found(find("whisper-base-ct2", settings), settings)
    state = _openai_state(_read_ct2(found.path / "model.bin"))
    torch.save({"dims": BASE, "model_state_dict": state}, folder / "base.pt")
    return folder / "base.pt"


def test_real_speech_is_heard_with_its_times(tmp_path: Path, base_pt: Path) -> None:
    form = ["-ar", "16000", "-ac", "1", "-f", "f32le", "-"]
    said = "many people enjoy walking in the park on sunny days"
    wave = subprocess.run(["espeak-ng", "--stdout", said], capture_output=True, check=True).stdout
    raw = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", "-", *form], input=wave, capture_output=True, check=True
    ).stdout
    speech = np.frombuffer(raw, np.float32)
    loud = np.flatnonzero(abs(speech) > 0.01) / 16_000
    sound = np.concatenate([np.zeros(80_000, np.float32), speech, np.zeros(160_000, np.float32)])

    model = open_speech(Settings(home=tmp_path, speech_model=str(base_pt), torch_threads=1))
    transcript = model.transcribe(sound)

    heard = " ".join(segment.text for segment in transcript.segments).lower()
    assert all(word in heard for word in ("people", "enjoy", "walking", "park"))
    assert transcript.language == "en"
    assert transcript.segments[0].start_s == pytest.approx(5 + loud[0], abs=0.3)
    assert transcript.segments[-1].end_s == pytest.approx(5 + loud[-1], abs=0.3)
    words = [word for segment in transcript.segments for word in segment.words]
    assert [w.start_s for w in words] == sorted(w.start_s for w in words)
