"""The package `models` as others see it: cheap to import, honest about what is missing."""

import subprocess
import sys
from pathlib import Path

import pytest

from dam_pipeline.errors import OutOfMemory, WeightsMismatch, WeightsMissing
from dam_pipeline.models import (
    identify,
    locate,
    open_face,
    open_image_text,
    open_sentence,
    open_speech,
    spaces,
)
from dam_pipeline.models.device import memory_guard
from dam_pipeline.settings import Settings

HEAVY = "torch transformers whisper faster_whisper ctranslate2 dlib facenet_pytorch silero_vad cv2"


def _bare(tmp_path: Path, **values: object) -> Settings:
    return Settings(home=tmp_path, models_dir=tmp_path / "models", **values)


@pytest.mark.parametrize("profile", ["standard", "bundled"])
def test_importing_and_identifying_loads_no_heavy_library(tmp_path: Path, profile: str) -> None:
    code = (
        "import sys; from pathlib import Path; from dam_pipeline.settings import Settings; "
        "from dam_pipeline.models import identify, spaces; import dam_pipeline.models.weights; "
        f"s = Settings(home=Path({str(tmp_path)!r}), profile={profile!r}); "
        f"identify(s); spaces(s); dam_pipeline.models.weights.list_models(s); "
        f"print([m for m in {HEAVY.split()!r} if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("opens", "name"),
    [
        (open_image_text, "clip-vit-b32"),
        (open_face, "facenet-vggface2"),
        (open_speech, "whisper-base"),
    ],
)
def test_missing_weights_block_with_the_command_that_brings_them(
    tmp_path: Path, opens: object, name: str
) -> None:
    with pytest.raises(WeightsMissing) as caught:
        opens(_bare(tmp_path))
    assert f"dam models fetch {name}" in str(caught.value)
    assert "dam models import FOLDER" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.blocks


def test_a_profile_without_weights_identifies_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locate, "package_path", lambda name: None)
    settings = _bare(tmp_path)
    assert identify(settings) == dict.fromkeys(("image_text", "face", "speech", "sentence"))
    assert spaces(settings) == dict.fromkeys(("image_text", "face", "sentence"))


def test_a_folder_that_is_not_there_is_named_and_not_taken_for_a_hub_name(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    with pytest.raises(WeightsMissing, match=str(folder)):
        open_image_text(_bare(tmp_path, clip_model=str(folder)))


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"DAM_FACE_MODEL to one of facenet-vggface2, dlib"):
        open_face(_bare(tmp_path, face_model="arcface"))


@pytest.mark.weights
def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsMismatch, match="not a model for speech"):
        open_speech(_bare(tmp_path, speech_model="tiny-clip"))


@pytest.mark.weights
def test_identify_names_the_bundled_models_by_their_published_hashes(settings: Settings) -> None:
    found = identify(settings)
    assert found["face"].weights_sha256.startswith("55533b28a958")
    assert found["speech"].weights_sha256.startswith("d01c3014881c")  # before it is joined, too
    assert found["image_text"].name == "tiny-clip"


@pytest.mark.weights
def test_sentences_that_mean_the_same_lie_closer_than_others(settings: Settings) -> None:
    model = open_sentence(settings)
    same, alike, other = model.encode_texts(
        ["A cat is sleeping on the sofa.", "The kitten naps on a couch.", "Shares fell on Monday."]
    )
    assert model.space.dimension == len(same) == 384
    assert same @ same == pytest.approx(1, abs=1e-5)
    assert same @ alike > 0.5 > 0.2 > same @ other
    assert model.encode_texts([]).shape == (0, 384)


@pytest.mark.weights
def test_a_sentence_has_one_vector_in_any_company(settings: Settings) -> None:
    model = open_sentence(settings)
    alone = model.encode_texts(["A red boat."])[0]
    crowd = model.encode_texts(
        ["A red boat.", "A much longer sentence about the harbour at night."]
    )
    assert abs(alone - crowd[0]).max() < 1e-5


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_memory_trouble_blocks_and_says_what_to_do(error: Exception) -> None:
    with (
        pytest.raises(OutOfMemory, match=r"a batch\. Set it lower") as caught,
        memory_guard("a batch", "Set it lower."),
    ):
        raise error
    assert caught.value.blocks


def test_other_runtime_errors_are_not_taken_for_memory_trouble() -> None:
    with pytest.raises(RuntimeError, match="shapes"), memory_guard("a batch", ""):
        raise RuntimeError("shapes cannot be multiplied")
