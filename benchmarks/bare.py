"""The bare tools that the pipeline is held against: decoders and networks, called as their docs say.

Models are loaded before the clock starts, pictures come in batches, threads as the pipeline has.
"""

import subprocess
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from dam_pipeline.models.cascade import THRESHOLDS
from dam_pipeline.models.dlib_faces import CHIP_PADDING, CHIP_PX
from dam_pipeline.models.locate import DLIB_LANDMARKS, DLIB_RECOGNISER, package_path
from dam_pipeline.settings import Settings

CLIP_BATCH = 32
FACE_BATCH = 8
LEAST_FACE_PX = 40  # ours looks for smaller ones besides, at its own cost
DRAFT_PX = 448  # as facts/media_ml.md has it: twice what CLIP looks at
LEAST_CONFIDENCE = Settings.model_fields["face_confidence"].default


def decode_clips(paths: Sequence[Path], threads: int) -> None:
    """Decode every frame and throw it away, one file after the other."""
    for path in paths:
        quiet = ("ffmpeg", "-v", "error", "-nostdin")
        subprocess.run(
            [*quiet, "-threads", str(threads), "-i", path, "-an", "-f", "null", "-"], check=True
        )


def decode_photographs(paths: Sequence[Path]) -> list[Image.Image]:
    """Photographs reduced while they are decoded, at least `DRAFT_PX` on the short side."""
    pictures = []
    for path in paths:
        with Image.open(path) as picture:
            picture.draft("RGB", (DRAFT_PX, DRAFT_PX))
            pictures.append(picture.convert("RGB"))
    return pictures


class BareClip:
    """transformers' CLIP by itself."""

    def __init__(self, folder: Path, threads: int) -> None:
        from transformers import AutoModel, AutoProcessor

        torch.set_num_threads(threads)
        self._model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
        self._pixels = AutoProcessor.from_pretrained(folder).image_processor

    def encode(self, pictures: Sequence[Image.Image]) -> None:
        """Preprocess and encode all pictures in batches."""
        with torch.inference_mode():
            for at in range(0, len(pictures), CLIP_BATCH):
                inputs = self._pixels(list(pictures[at : at + CLIP_BATCH]), return_tensors="pt")
                self._model.get_image_features(**inputs)


class BareFaces:
    """facenet-pytorch's MTCNN and dlib's recogniser by themselves."""

    def __init__(self, threads: int) -> None:
        from facenet_pytorch import MTCNN

        torch.set_num_threads(threads)
        home = package_path("face_recognition_models")
        if home is None:
            raise SystemExit("Faces need the weights of the extra `bundled`: make setup")
        self._dlib: Any = import_module("dlib")
        self._finder = MTCNN(
            min_face_size=LEAST_FACE_PX, thresholds=THRESHOLDS, keep_all=True
        ).eval()
        self._landmarks = self._dlib.shape_predictor(str(home / "models" / DLIB_LANDMARKS))
        recogniser = home / "models" / DLIB_RECOGNISER
        self._network = self._dlib.face_recognition_model_v1(str(recogniser))

    def find(self, pictures: Sequence[np.ndarray]) -> int:
        """Find and describe the faces of pictures (h, w, 3) uint8; returns how many there were."""
        count = 0
        by_size: dict[tuple[int, ...], list[np.ndarray]] = {}
        for picture in pictures:
            by_size.setdefault(picture.shape, []).append(picture)
        for equal in by_size.values():
            for at in range(0, len(equal), FACE_BATCH):
                part = equal[at : at + FACE_BATCH]
                boxes, chances, _ = self._finder.detect(np.stack(part), landmarks=True)
                for picture, edges, sure in zip(part, boxes, chances, strict=True):
                    count += self._describe(picture, edges, sure)
        return count

    def _describe(self, picture: np.ndarray, boxes: np.ndarray | None, sure: np.ndarray) -> int:
        if boxes is None:
            return 0
        found = np.asarray(boxes, float)[np.asarray(sure, float) >= LEAST_CONFIDENCE]
        for edges in found:
            rectangle = self._dlib.rectangle(*(int(edge) for edge in np.rint(edges)))
            shape = self._landmarks(picture, rectangle)
            chip = self._dlib.get_face_chip(picture, shape, CHIP_PX, CHIP_PADDING)
            self._network.compute_face_descriptor(chip)
        return len(found)
