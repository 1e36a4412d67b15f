"""CLIP and its relatives (SigLIP and others) from a folder in transformers' own format.

One network: pictures and words into one space. Floors come from `dam_space.json` in the folder
when it is there; vectors leave here as float32 of length 1. No network is ever touched.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from PIL import Image

from dam_pipeline.errors import WeightsMismatch
from dam_pipeline.models.device import memory_guard, unit_rows
from dam_pipeline.models.folders import open_network
from dam_pipeline.models.locate import Found, check_hash, read_config
from dam_pipeline.records import ModelRef, Space
from dam_pipeline.settings import Settings

if TYPE_CHECKING:
    import torch

SPACE_FILE = "dam_space.json"
# Cosines for CLIP ViT-B/32. From general knowledge of that model, NOT measured here: matching
# texts lie at about 0.25 to 0.35 and unrelated ones at 0.15 to 0.20; unrelated photographs at
# 0.4 to 0.7. A folder's dam_space.json overrides them; calibrate before trusting them.
TEXT_FLOOR = 0.22
IMAGE_FLOOR = 0.75
ALIKE_FLOOR = 0.90
TEXT_BATCH = 64
# What CLIP's own preprocessing does; anything else leaves its mark in the space's name.
_CLIP_PIXELS: dict[str, object] = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "resample": 3,
    "do_center_crop": True,
    "do_normalize": True,
}

TINY_WARNING = (
    "The model tiny-clip knows drawn shapes and colours only, so words find no real photographs: "
    "run `dam models fetch clip-vit-b32` and set DAM_PROFILE=standard for real weights."
)

Picture = np.ndarray | Image.Image
Item = TypeVar("Item")


def open_clip(found: Found, settings: Settings) -> "Clip":
    """The model in `found`, resident; raises WeightsMismatch when its files are not whole."""
    from transformers import AutoProcessor

    check_hash(found, settings)
    ref = found.ref(settings)
    network = open_network(found, settings, settings.clip_precision)
    processor = AutoProcessor.from_pretrained(found.path, local_files_only=True)
    return Clip(ref, clip_space(found.path, ref, settings), network, processor, settings)


def clip_space(folder: Path, ref: ModelRef, settings: Settings) -> Space:
    """The space of a folder's model, read from its JSON files alone, without torch."""
    config = read_config(folder)
    vision = config.get("vision_config")
    hidden = vision.get("hidden_size") if isinstance(vision, dict) else None
    is_siglip = str(config.get("model_type")).startswith("siglip")
    dimension = hidden if is_siglip else config.get("projection_dim", 512)
    floors = _read_json(folder / SPACE_FILE)
    return Space(
        name=f"{ref.name}@{ref.weights_sha256[:12]}{_mark(folder, settings)}",
        kind="image_text",
        dimension=int(cast(int, dimension)),
        text_floor=float(floors.get("text_floor", TEXT_FLOOR)),
        image_floor=float(floors.get("image_floor", IMAGE_FLOOR)),
        alike_floor=float(floors.get("looks_like_floor", ALIKE_FLOOR)),
        warning=str(floors.get("warning", "")) or _warning(folder, ref),
    )


class Clip:
    """An image-text model (port `ImageTextModel`)."""

    def __init__(
        self, ref: ModelRef, space: Space, model: Any, processor: Any, settings: Settings
    ) -> None:
        self.ref = ref
        self.space = space
        self._model = model
        self._processor = processor
        self._batch = settings.clip_batch
        # SigLIP was trained on texts padded to the full length and is wrong on others.
        is_siglip = str(model.config.model_type).startswith("siglip")
        self._padding: str | bool = "max_length" if is_siglip else True
        self._length = int(model.config.text_config.max_position_embeddings)

    def encode_images(self, pictures: Sequence[Picture]) -> np.ndarray:
        """Vectors (n, d) float32 of length 1 of pictures (h, w, 3) uint8 RGB or PIL images."""
        rows = [self._encode_pictures(part) for part in _parts(pictures, self._batch)]
        return self._joined(rows)

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors (n, d) float32 of length 1; text beyond the model's length is cut off."""
        rows = [self._encode_words(part) for part in _parts(texts, TEXT_BATCH)]
        return self._joined(rows)

    def unknown_words(self, text: str) -> list[str]:
        """Words that a word-level vocabulary lacks, in order; none where words are made of parts."""
        return unknown_words(self._processor.tokenizer.backend_tokenizer, text)

    def _encode_pictures(self, pictures: Sequence[Picture]) -> np.ndarray:
        images = [p if isinstance(p, Image.Image) else Image.fromarray(p) for p in pictures]
        inputs = self._processor.image_processor(
            [image.convert("RGB") for image in images], return_tensors="pt"
        )
        return self._run(self._model.get_image_features, dict(inputs))

    def _encode_words(self, texts: Sequence[str]) -> np.ndarray:
        inputs = self._processor.tokenizer(
            list(texts),
            padding=self._padding,
            truncation=True,
            max_length=self._length,
            return_tensors="pt",
        )
        inputs = {k: v for k, v in inputs.items() if k in ("input_ids", "attention_mask")}
        return self._run(self._model.get_text_features, inputs)

    def _run(self, call: Any, inputs: "dict[str, torch.Tensor]") -> np.ndarray:
        import torch

        remedy = f"Set DAM_CLIP_BATCH below {self._batch}, or DAM_DEVICE=cpu."
        with torch.inference_mode(), memory_guard(f"a batch of {self.ref.name}", remedy):
            moved = {
                name: value.to(self._model.device, self._model.dtype)
                if value.is_floating_point()
                else value.to(self._model.device)
                for name, value in inputs.items()
            }
            output = call(**moved)
            return unit_rows(getattr(output, "pooler_output", output))

    def _joined(self, rows: list[np.ndarray]) -> np.ndarray:
        if not rows:
            return np.zeros((0, self.space.dimension), np.float32)
        joined = np.concatenate(rows)
        if joined.shape[1] != self.space.dimension:
            raise WeightsMismatch(
                f"{self.ref.name} gives {joined.shape[1]} numbers, but its config.json says "
                f"{self.space.dimension}. Bring the folder again with `dam models import`."
            )
        return joined


def unknown_words(tokenizer: Any, text: str) -> list[str]:
    """Words of a text that a word-level tokenizer (of `tokenizers`) lacks, in order."""
    if type(tokenizer.model).__name__ != "WordLevel":
        return []
    plain = tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer else text
    pre = tokenizer.pre_tokenizer
    words = [w for w, _ in pre.pre_tokenize_str(plain)] if pre else plain.split()
    vocabulary = tokenizer.get_vocab()
    unknown = (w for w in words if w not in vocabulary and re.search(r"\w", w))
    return list(dict.fromkeys(unknown))


def _parts(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    return [items[at : at + size] for at in range(0, len(items), size)]


def _mark(folder: Path, settings: Settings) -> str:
    """What of precision and preprocessing sets a space apart from the plain one, or nothing."""
    mark = "" if settings.clip_precision == "fp32" else f"-{settings.clip_precision}"
    document = _read_json(folder / "preprocessor_config.json")
    document = document or _read_json(folder / "processor_config.json").get("image_processor", {})
    odd = {k: document[k] for k, v in _CLIP_PIXELS.items() if document.get(k, v) != v}
    if odd:
        text = json.dumps(odd, sort_keys=True)
        mark += f"-p{hashlib.sha256(text.encode()).hexdigest()[:6]}"
    return mark


def _warning(folder: Path, ref: ModelRef) -> str:
    return TINY_WARNING if "tiny-clip" in (ref.name, folder.name) else ""


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
