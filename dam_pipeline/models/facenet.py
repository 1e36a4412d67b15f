"""FaceNet (InceptionResnetV1, VGGFace2) on faces that MTCNN finds; 512 numbers a face.

Weights: a state_dict as facenet-pytorch publishes it, read without a network. Chips follow that
package: the box without margin, 160 × 160 px, (value - 127.5) / 128.
"""

from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
from PIL import Image

from dam_pipeline.errors import WeightsMismatch
from dam_pipeline.models.device import memory_guard, torch_device, unit_rows
from dam_pipeline.models.locate import Found, check_hash
from dam_pipeline.models.mtcnn import Finding, Mtcnn, reduced
from dam_pipeline.records import Face, ModelRef, Space
from dam_pipeline.settings import Settings

CHIP_PX = 160
DIMENSION = 512
BATCH = 32
# Cosine from which two faces are taken as one person. From general knowledge of these weights
# (LFW's best L2 threshold is about 1.1, a cosine of 0.4; raised for precision), NOT measured here.
ALIKE_FLOOR = 0.60


def facenet_space(ref: ModelRef) -> Space:
    """The space of one set of FaceNet weights."""
    name = f"{ref.name}@{ref.weights_sha256[:12]}"
    return Space(name, "face", DIMENSION, image_floor=ALIKE_FLOOR, alike_floor=ALIKE_FLOOR)


def open_facenet(found: Found, settings: Settings) -> "Facenet":
    """The model in `found`; raises WeightsMismatch when the file holds another network."""
    check_hash(found, settings)
    return Facenet(found, settings)


class Facenet:
    """A face model (port `FaceModel`)."""

    def __init__(self, found: Found, settings: Settings) -> None:
        self._finder = Mtcnn(settings)
        self.ref = found.ref(settings)
        self.also: tuple[ModelRef, ...] = (self._finder.ref,)
        self.space = facenet_space(self.ref)
        self._device = torch_device(settings)
        self._network = _load(found.files[0]).to(self._device)

    def find_faces(self, pictures: Sequence[np.ndarray]) -> list[list[Face]]:
        """Faces of each picture (h, w, 3) uint8 RGB, largest first, with vectors (512,)."""
        small = [reduced(picture) for picture in pictures]
        found = self._finder.find(small)
        chips = [
            _chip(picture, face)
            for picture, faces in zip(small, found, strict=True)
            for face in faces
        ]
        vectors = iter(self._recognise(chips))
        return [
            [_face(face, picture, next(vectors)) for face in faces]
            for picture, faces in zip(small, found, strict=True)
        ]

    def _recognise(self, chips: list[np.ndarray]) -> list[np.ndarray]:
        import torch

        rows: list[np.ndarray] = []
        for at in range(0, len(chips), BATCH):
            pixels = torch.from_numpy(np.stack(chips[at : at + BATCH])).permute(0, 3, 1, 2)
            pixels = (pixels.float() - 127.5) / 128.0
            with torch.inference_mode(), memory_guard("recognising faces", "Set DAM_DEVICE=cpu."):
                rows.extend(unit_rows(self._network(pixels.to(self._device))))
        return rows


def _load(path: Path) -> Any:
    import torch
    from facenet_pytorch import InceptionResnetV1

    network = InceptionResnetV1(pretrained=None, classify=False, num_classes=None)
    try:
        with memory_guard(path.name, "Set DAM_DEVICE=cpu."):
            state = torch.load(path, map_location="cpu", weights_only=True)
            kept = {name: v for name, v in state.items() if not name.startswith("logits.")}
            network.load_state_dict(kept)
    except (RuntimeError, AttributeError, EOFError, UnpicklingError) as error:
        raise WeightsMismatch(
            f"{path} is not a state_dict of InceptionResnetV1; "
            f"run `dam models fetch facenet-vggface2`."
        ) from error
    return network.eval()


def _chip(picture: np.ndarray, face: Finding) -> np.ndarray:
    """The face's pixels (160, 160, 3) uint8; the box keeps its fraction of a pixel."""
    height, width = picture.shape[:2]
    left, top, right, bottom = np.clip(face.edges, 0, [width, height, width, height]).tolist()
    chip = Image.fromarray(picture).resize(
        (CHIP_PX, CHIP_PX), Image.Resampling.BILINEAR, box=(left, top, right, bottom)
    )
    return np.asarray(chip)


def _face(face: Finding, picture: np.ndarray, vector: np.ndarray) -> Face:
    height, width = picture.shape[:2]
    return Face(face.box(width, height), face.confidence, face.landmarks(width, height), vector)
