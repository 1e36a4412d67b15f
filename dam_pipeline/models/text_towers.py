"""Texts of a query to vectors with numpy alone: CLIP's text tower and BERT from a folder's safetensors.

A search starts a process for one short text, and importing torch and transformers takes several
times longer than everything else it does. So the same published weights are read and the same layers
computed here (equal to transformers within 1e-5, tested). Stages never use this; what these layers
do not cover (SigLIP, pickled weights, reduced precision) has no tower and opens in full.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dam_pipeline.models.locate import Found, read_config
from dam_pipeline.settings import Settings

WEIGHTS_FILE = "model.safetensors"
TOKENIZER_FILE = "tokenizer.json"
_HIDDEN = -1e9  # added to what a token may not look at

Read = Callable[[str], np.ndarray]
Act = Callable[[np.ndarray], np.ndarray]


class TextTower:
    """A tokenizer and a transformer over one text at a time."""

    def __init__(self, tokenizer: Any, encode: Callable[[list[int]], np.ndarray]) -> None:
        self.tokenizer = tokenizer
        self._encode = encode

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors (n, d) float32 of length 1."""
        rows = [self._encode(self.tokenizer.encode(text).ids) for text in texts]
        return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Layers:
    """A stack of transformer layers: where their weights are and how they are put together."""

    read: Read
    names: Mapping[str, str]
    count: int
    heads: int
    epsilon: float
    act: Act
    norm_first: bool

    def run(self, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """The states (tokens, width) after all layers."""
        for layer in range(self.count):
            if self.norm_first:
                x = x + self._attend(self._norm(x, layer, "norm_1"), mask, layer)
                x = x + self._widen(self._norm(x, layer, "norm_2"), layer)
            else:
                x = self._norm(x + self._attend(x, mask, layer), layer, "norm_1")
                x = self._norm(x + self._widen(x, layer), layer, "norm_2")
        return x

    def _norm(self, x: np.ndarray, layer: int, part: str) -> np.ndarray:
        return layer_norm(x, self.read, self.names[part].format(layer), self.epsilon)

    def _linear(self, x: np.ndarray, layer: int, part: str) -> np.ndarray:
        name = self.names[part].format(layer)
        return x @ self.read(f"{name}.weight").T + self.read(f"{name}.bias")

    def _attend(self, x: np.ndarray, mask: np.ndarray, layer: int) -> np.ndarray:
        tokens, width = x.shape
        q, k, v = (
            self._linear(x, layer, part).reshape(tokens, self.heads, -1).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        scores = q @ k.swapaxes(1, 2) / math.sqrt(width // self.heads) + mask
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        return self._linear((weights @ v).swapaxes(0, 1).reshape(tokens, width), layer, "out")

    def _widen(self, x: np.ndarray, layer: int) -> np.ndarray:
        return self._linear(self.act(self._linear(x, layer, "wide")), layer, "narrow")


_CLIP_NAMES = {
    "norm_1": "text_model.encoder.layers.{}.layer_norm1",
    "norm_2": "text_model.encoder.layers.{}.layer_norm2",
    "query": "text_model.encoder.layers.{}.self_attn.q_proj",
    "key": "text_model.encoder.layers.{}.self_attn.k_proj",
    "value": "text_model.encoder.layers.{}.self_attn.v_proj",
    "out": "text_model.encoder.layers.{}.self_attn.out_proj",
    "wide": "text_model.encoder.layers.{}.mlp.fc1",
    "narrow": "text_model.encoder.layers.{}.mlp.fc2",
}
_BERT_NAMES = {
    "norm_1": "encoder.layer.{}.attention.output.LayerNorm",
    "norm_2": "encoder.layer.{}.output.LayerNorm",
    "query": "encoder.layer.{}.attention.self.query",
    "key": "encoder.layer.{}.attention.self.key",
    "value": "encoder.layer.{}.attention.self.value",
    "out": "encoder.layer.{}.attention.output.dense",
    "wide": "encoder.layer.{}.intermediate.dense",
    "narrow": "encoder.layer.{}.output.dense",
}
# What a config.json leaves out when it is as in the first published models.
_CLIP_TEXT = {
    "hidden_act": "quick_gelu",
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "layer_norm_eps": 1e-5,
    "eos_token_id": 49407,
    "max_position_embeddings": 77,
}


def clip_tower(found: Found, settings: Settings) -> TextTower | None:
    """CLIP's text tower, or None where the folder or the settings ask for the whole model."""
    config = read_config(found.path)
    part = config.get("text_config")
    text = {**_CLIP_TEXT, **(part if isinstance(part, dict) else {})}
    is_plain = config.get("model_type") == "clip" and settings.clip_precision == "fp32"
    if not is_plain or not _can_read(found.path, settings, str(text["hidden_act"])):
        return None
    read = _reader(found.path / WEIGHTS_FILE)
    layers = _layers(read, _CLIP_NAMES, text, norm_first=True)

    def encode(ids: list[int]) -> np.ndarray:
        tokens = read("text_model.embeddings.token_embedding.weight")[ids].astype(np.float32)
        x = tokens + read("text_model.embeddings.position_embedding.weight")[: len(ids)]
        mask = np.triu(np.full((len(ids), len(ids)), _HIDDEN, np.float32), 1)
        x = layers.run(x, mask)
        x = layer_norm(x, read, "text_model.final_layer_norm", layers.epsilon)
        # transformers: the id 2 stands for configs from before the true id was written into them.
        end = text["eos_token_id"]
        last = int(np.argmax(ids)) if end == 2 else ids.index(end)
        return x[last] @ read("text_projection.weight").T

    return TextTower(_tokenizer(found.path, int(text["max_position_embeddings"])), encode)


def bert_tower(found: Found, settings: Settings, longest: int) -> TextTower | None:
    """BERT with the mean over its tokens, or None where the whole model is needed."""
    config = read_config(found.path)
    is_plain = config.get("model_type") == "bert"
    if not is_plain or not _can_read(found.path, settings, str(config.get("hidden_act"))):
        return None
    read = _reader(found.path / WEIGHTS_FILE)
    layers = _layers(read, _BERT_NAMES, config, norm_first=False)

    def encode(ids: list[int]) -> np.ndarray:
        tokens = read("embeddings.word_embeddings.weight")[ids]
        places = read("embeddings.position_embeddings.weight")[: len(ids)]
        x = tokens + places + read("embeddings.token_type_embeddings.weight")[0]
        x = layer_norm(x, read, "embeddings.LayerNorm", layers.epsilon)
        mean: np.ndarray = layers.run(x, np.zeros((1, 1), np.float32)).mean(0)
        return mean

    return TextTower(_tokenizer(found.path, longest), encode)


def layer_norm(x: np.ndarray, read: Read, name: str, epsilon: float) -> np.ndarray:
    """Rows with mean 0 and deviation 1, scaled and moved by the weights of this name."""
    centred = x - x.mean(-1, keepdims=True)
    scale = np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
    return centred / scale * read(f"{name}.weight") + read(f"{name}.bias")


def _layers(
    read: Read, names: Mapping[str, str], config: Mapping[str, Any], *, norm_first: bool
) -> _Layers:
    return _Layers(
        read,
        names,
        int(config["num_hidden_layers"]),
        int(config["num_attention_heads"]),
        float(config["layer_norm_eps"]),
        _ACTS[str(config["hidden_act"])],
        norm_first,
    )


def _quick_gelu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-1.702 * x))


def _gelu(x: np.ndarray) -> np.ndarray:
    erf = np.vectorize(math.erf, otypes=[np.float32])
    return x * 0.5 * (1 + erf(x / math.sqrt(2)))


_ACTS: Mapping[str, Act] = {"quick_gelu": _quick_gelu, "gelu": _gelu}


def _can_read(folder: Path, settings: Settings, act: str) -> bool:
    files = (folder / WEIGHTS_FILE, folder / TOKENIZER_FILE)
    return settings.device == "cpu" and act in _ACTS and all(file.is_file() for file in files)


def _reader(path: Path) -> Read:
    """Tensors of a file by name, as float32; each is read when it is first asked for."""
    from safetensors import safe_open

    file: Any = safe_open(path, framework="numpy")
    known: dict[str, np.ndarray] = {}

    def read(name: str) -> np.ndarray:
        if name not in known:
            known[name] = file.get_tensor(name).astype(np.float32, copy=False)
        return known[name]

    return read


def _tokenizer(folder: Path, longest: int) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    tokenizer.no_padding()
    tokenizer.enable_truncation(longest)
    return tokenizer
