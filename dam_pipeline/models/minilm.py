"""MiniLM sentence vectors (384 numbers) through plain transformers.

Mean over the tokens that are not padding, then length 1, as sentence-transformers'
all-MiniLM-L6-v2 prescribes in its model card.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from dam_pipeline.models.device import memory_guard, unit_rows
from dam_pipeline.models.folders import open_network
from dam_pipeline.models.locate import Found, check_hash, read_config
from dam_pipeline.records import ModelRef, Space
from dam_pipeline.settings import Settings

BATCH = 64
DIMENSION = 384
TOKENS = 256  # longer text is cut off, as its sentence_bert_config.json says
# Cosine below which a sentence is not about the query: benchmarks/accuracy/meaning.py, set `tune`: finds
# 0.88 of the paraphrases and something for 0.08 of the queries about what nobody said.
TEXT_FLOOR = 0.33
ALIKE_FLOOR = 0.85  # of two sentences that say the same; not measured


def open_minilm(found: Found, settings: Settings) -> "MiniLm":
    """The model in `found`; raises WeightsMismatch when its file is not the published one."""
    from transformers import AutoTokenizer

    check_hash(found, settings)
    network = open_network(found, settings)
    tokenizer = AutoTokenizer.from_pretrained(found.path, local_files_only=True)
    return MiniLm(found.ref(settings), found, network, tokenizer)


def minilm_space(folder: Path, ref: ModelRef) -> Space:
    """The space of a folder's model, read from its config.json alone, without torch."""
    return Space(
        name=f"{ref.name}@{ref.weights_sha256[:12]}",
        kind="sentence",
        dimension=int(cast(int, read_config(folder).get("hidden_size", DIMENSION))),
        text_floor=TEXT_FLOOR,
        alike_floor=ALIKE_FLOOR,
    )


class MiniLm:
    """A sentence model (port `SentenceModel`)."""

    def __init__(self, ref: ModelRef, found: Found, model: Any, tokenizer: Any) -> None:
        self.ref = ref
        self.space = minilm_space(found.path, ref)
        self._model = model
        self._tokenizer = tokenizer

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors (n, 384) float32 of length 1."""
        rows = [self._encode(texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)]
        return np.concatenate(rows) if rows else np.zeros((0, self.space.dimension), np.float32)

    def _encode(self, texts: Sequence[str]) -> np.ndarray:
        import torch

        inputs = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=TOKENS, return_tensors="pt"
        ).to(self._model.device)
        with torch.inference_mode(), memory_guard("a batch of sentences", "Set DAM_DEVICE=cpu."):
            tokens = self._model(**inputs).last_hidden_state
            mask = inputs["attention_mask"].unsqueeze(-1).to(tokens.dtype)
            return unit_rows((tokens * mask).sum(1) / mask.sum(1))
