"""The image-text loader on small random checkpoints in transformers' own formats, and tiny-clip."""

import json
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTokenizer,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    SiglipProcessor,
)

from dam_pipeline.errors import WeightsMismatch
from dam_pipeline.models import ImageTextModel, open_image_text, spaces
from dam_pipeline.settings import Settings

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


def _byte_tokenizer(folder: Path) -> CLIPTokenizer:
    """CLIP's own tokenizer with single letters for a vocabulary, as vocab.json and merges.txt."""
    letters = [chr(code) for code in range(33, 127)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random CLIP of 32 px and 16 dimensions, saved as CLIP ViT-B/32 is published."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("clip") / "small-clip"
    tokenizer = _byte_tokenizer(folder)
    config = CLIPConfig(
        text_config={
            **SIZES,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 40,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
        },
        vision_config={**SIZES, "image_size": 32, "patch_size": 16},
        projection_dim=16,
    )
    pixels = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPModel(config).eval().save_pretrained(folder)
    CLIPProcessor(pixels, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """Nine random pictures of three sizes, (h, w, 3) uint8."""
    rng = np.random.default_rng(0)
    sizes = [(48, 64), (64, 48), (33, 90)] * 3
    return [rng.integers(0, 255, (*size, 3), np.uint8) for size in sizes]


def _settings(tmp_path: Path, folder: Path, **values: object) -> Settings:
    return Settings(home=tmp_path, clip_model=str(folder), torch_threads=1, **values)


@pytest.fixture
def model(tmp_path: Path, clip_folder: Path) -> ImageTextModel:
    """The random CLIP, opened."""
    return open_image_text(_settings(tmp_path, clip_folder))


def test_vectors_are_float32_of_length_one(
    model: ImageTextModel, pictures: list[np.ndarray]
) -> None:
    for vectors in (model.encode_images(pictures), model.encode_texts(["a dog"] * 9)):
        assert vectors.shape == (9, 16)
        assert vectors.dtype == np.float32
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(9), abs=1e-6)


def test_vectors_are_those_of_transformers_itself(
    model: ImageTextModel, clip_folder: Path, pictures: list[np.ndarray]
) -> None:
    direct = CLIPModel.from_pretrained(clip_folder).eval()
    processor = CLIPProcessor.from_pretrained(clip_folder)
    with torch.no_grad():
        inputs = processor(images=[Image.fromarray(pictures[0])], return_tensors="pt")
        row = direct.get_image_features(**inputs).pooler_output[0].numpy()
        words = processor.tokenizer(["two birds"], return_tensors="pt")
        text = direct.get_text_features(**words).pooler_output[0].numpy()
    assert model.encode_images(pictures[:1])[0] == pytest.approx(
        row / np.linalg.norm(row), abs=1e-5
    )
    expected = text / np.linalg.norm(text)
    assert model.encode_texts(["two birds"])[0] == pytest.approx(expected, abs=1e-5)


def test_the_same_picture_gives_the_same_vector_every_time(
    model: ImageTextModel, pictures: list[np.ndarray]
) -> None:
    assert (model.encode_images(pictures) == model.encode_images(pictures)).all()


def test_a_vector_does_not_depend_on_the_batch(
    tmp_path: Path, clip_folder: Path, pictures: list[np.ndarray]
) -> None:
    one, many = (
        open_image_text(_settings(tmp_path, clip_folder, clip_batch=size)) for size in (1, 9)
    )
    assert abs(one.encode_images(pictures) - many.encode_images(pictures)).max() < 1e-5
    texts = ["a", "a much longer text than that"]
    alone = np.concatenate([one.encode_texts([text]) for text in texts])
    assert abs(alone - many.encode_texts(texts)).max() < 1e-5


def test_a_pil_image_and_its_array_give_the_same_vector(
    model: ImageTextModel, pictures: list[np.ndarray]
) -> None:
    images = [Image.fromarray(picture) for picture in pictures]
    assert (model.encode_images(images) == model.encode_images(pictures)).all()


def test_nothing_in_gives_no_rows(model: ImageTextModel) -> None:
    assert model.encode_images([]).shape == model.encode_texts([]).shape == (0, 16)


def test_a_text_of_any_length_is_accepted(model: ImageTextModel) -> None:
    assert model.encode_texts(["word " * 500, ""]).shape == (2, 16)


def test_a_published_pytorch_model_bin_gives_the_same_vectors(
    tmp_path: Path, clip_folder: Path, model: ImageTextModel, pictures: list[np.ndarray]
) -> None:
    folder = shutil.copytree(clip_folder, tmp_path / "old-form")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    old = open_image_text(_settings(tmp_path, folder))
    assert (old.encode_images(pictures) == model.encode_images(pictures)).all()
    assert old.ref.weights_sha256 != model.ref.weights_sha256


def test_opening_and_encoding_reaches_for_no_network(
    tmp_path: Path, clip_folder: Path, monkeypatch: pytest.MonkeyPatch, pictures: list[np.ndarray]
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert open_image_text(_settings(tmp_path, clip_folder)).encode_images(pictures[:1]).size


def test_bf16_stays_close_and_is_a_space_of_its_own(
    tmp_path: Path, clip_folder: Path, model: ImageTextModel, pictures: list[np.ndarray]
) -> None:
    short = open_image_text(_settings(tmp_path, clip_folder, clip_precision="bf16"))
    vectors, exact = short.encode_images(pictures), model.encode_images(pictures)
    assert vectors.dtype == np.float32
    assert (vectors * exact).sum(1).min() > 0.99
    assert short.space.name == f"{model.space.name}-bf16"


def test_the_space_is_known_without_loading_and_names_the_weights(
    tmp_path: Path, clip_folder: Path, model: ImageTextModel
) -> None:
    settings = _settings(tmp_path, clip_folder)
    assert spaces(settings)["image_text"] == model.space
    assert model.space.name == f"small-clip@{model.ref.weights_sha256[:12]}"
    assert (model.space.kind, model.space.dimension) == ("image_text", 16)


def test_other_preprocessing_is_another_space(tmp_path: Path, clip_folder: Path) -> None:
    folder = shutil.copytree(clip_folder, tmp_path / clip_folder.name)
    path = folder / "preprocessor_config.json"
    if not path.exists():
        path = folder / "processor_config.json"
    document = json.loads(path.read_text())
    document.get("image_processor", document)["image_mean"] = [0.5, 0.5, 0.5]
    path.write_text(json.dumps(document))
    plain, odd = (spaces(_settings(tmp_path, f))["image_text"].name for f in (clip_folder, folder))
    assert odd.startswith(f"{plain}-p")


def test_floors_come_from_the_folder(tmp_path: Path, clip_folder: Path) -> None:
    folder = shutil.copytree(clip_folder, tmp_path / "measured")
    floors = {"text_floor": 0.5, "image_floor": 0.6, "looks_like_floor": 0.7}
    (folder / "dam_space.json").write_text(json.dumps(floors))
    space = spaces(_settings(tmp_path, folder))["image_text"]
    assert (space.text_floor, space.image_floor, space.alike_floor) == (0.5, 0.6, 0.7)


def test_a_tokenizer_of_parts_of_words_knows_every_word(model: ImageTextModel) -> None:
    assert model.unknown_words("a zeppelin over Zürich") == []


def test_tiny_clip_names_the_words_it_has_never_seen(settings: Settings) -> None:
    model = open_image_text(settings)
    assert model.unknown_words("A red zeppelin, on BLUE background!") == ["zeppelin"]


def test_tiny_clip_warns_that_it_knows_drawings_only(settings: Settings) -> None:
    warning = spaces(settings)["image_text"].warning
    assert "drawn shapes and colours only" in warning
    assert "dam models fetch clip-vit-b32" in warning


def test_tiny_clip_tells_a_red_disc_from_a_blue_one(settings: Settings) -> None:
    discs = []
    for colour in [(220, 30, 30), (30, 60, 220)]:
        picture = np.full((240, 320, 3), 255, np.uint8)
        rows, columns = np.mgrid[:240, :320]
        picture[(rows - 120) ** 2 + (columns - 160) ** 2 < 70**2] = colour
        discs.append(picture)
    model = open_image_text(settings)
    words = ["a red circle on a white background", "a blue circle on a white background"]
    assert (model.encode_images(discs) @ model.encode_texts(words).T).argmax(1).tolist() == [0, 1]


def test_siglip_is_a_relative_that_opens_too(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    torch.manual_seed(0)
    folder = tmp_path / "small-siglip"
    words = {word: i for i, word in enumerate(["</s>", "<unk>", "a", "red", "dog"])}
    backend = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="</s>", eos_token="</s>", unk_token="<unk>"
    )
    config = SiglipConfig(
        text_config={**SIZES, "vocab_size": 5, "max_position_embeddings": 16},
        vision_config={**SIZES, "image_size": 32, "patch_size": 16},
    )
    SiglipModel(config).eval().save_pretrained(folder)
    pixels = SiglipImageProcessor(size={"height": 32, "width": 32})
    SiglipProcessor(pixels, tokenizer).save_pretrained(folder)
    model = open_image_text(_settings(tmp_path, folder))
    assert model.encode_images(pictures).shape == (9, 32)
    assert model.encode_texts(["a dog"]).shape == (1, 32)
    assert model.unknown_words("a green dog") == ["green"]


def test_a_cut_weights_file_is_refused_with_what_to_do(tmp_path: Path, clip_folder: Path) -> None:
    folder = shutil.copytree(clip_folder, tmp_path / "cut")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsMismatch, match=r"cut does not hold a whole .*dam models import"):
        open_image_text(_settings(tmp_path, folder))


def test_weights_that_lack_a_layer_are_not_filled_with_random_numbers(
    tmp_path: Path, clip_folder: Path
) -> None:
    folder = shutil.copytree(clip_folder, tmp_path / "holed")
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("visual_projection.weight")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsMismatch, match=r"it lacks visual_projection\.weight"):
        open_image_text(_settings(tmp_path, folder))
