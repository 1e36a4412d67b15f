"""dlib's face recogniser (ResNet, 128 numbers) on faces that MTCNN finds.

Weights and the 5-point landmark model come in the package face-recognition-models; the 68-point
model there has other terms and is not used. dlib aligns the chips, its network runs in torch
(`dlib_network`). dlib compares Euclidean distances of vectors that are not of length 1; here they are
made so, and the threshold was measured again (ALIKE_FLOOR).
"""

from collections.abc import Sequence
from importlib import import_module

import numpy as np

from dam_pipeline.models.device import memory_guard, torch_device
from dam_pipeline.models.dlib_network import CHIP_PX, DIMENSION, DlibNetwork
from dam_pipeline.models.locate import DLIB_LANDMARKS, Found, check_hash
from dam_pipeline.models.mtcnn import Finding, Mtcnn, reduced
from dam_pipeline.records import Face, ModelRef, Space
from dam_pipeline.settings import Settings

CHIP_PADDING = 0.25
BATCH = 32
# Cosine from which two faces are taken as one person: 1 in 1,000 pairs of strangers lies above 0.9245
# (10,102 pairs of actors in television stills, with 78% of 1,526 pairs of one person; AUC 0.989). In 25
# portraits it parts 38 pairs of one person (0.927 and more) from 262 of two (0.915 and less) without an
# error; dlib's own Euclidean 0.6 is about 0.923. Measured by benchmarks/accuracy/faces.py FOLDER.
ALIKE_FLOOR = 0.925


def dlib_space(ref: ModelRef) -> Space:
    """The space of dlib's recogniser, vectors made length 1."""
    name = f"{ref.name}@{ref.weights_sha256[:12]}"
    return Space(name, "face", DIMENSION, image_floor=ALIKE_FLOOR, alike_floor=ALIKE_FLOOR)


def open_dlib(found: Found, settings: Settings) -> "DlibFaces":
    """The model in `found`; raises WeightsMismatch when its file is not the published one."""
    check_hash(found, settings)
    return DlibFaces(found, settings)


class DlibFaces:
    """A face model (port `FaceModel`)."""

    def __init__(self, found: Found, settings: Settings) -> None:
        self._dlib = import_module("dlib")
        self._finder = Mtcnn(settings)
        self.ref = found.ref(settings)
        self.also: tuple[ModelRef, ...] = (self._finder.ref,)
        self.space = dlib_space(self.ref)
        self._landmarks = self._dlib.shape_predictor(str(found.path / DLIB_LANDMARKS))
        self._network = DlibNetwork(found.files[0], torch_device(settings))

    def find_faces(self, pictures: Sequence[np.ndarray]) -> list[list[Face]]:
        """Faces of each picture (h, w, 3) uint8 RGB, largest first, with vectors (128,)."""
        small = [reduced(picture) for picture in pictures]
        found = self._finder.find(small)
        with memory_guard("recognising faces", "Lower DAM_TORCH_THREADS or the number of runs."):
            chips = [
                self._chip(picture, face)
                for picture, faces in zip(small, found, strict=True)
                for face in faces
            ]
            vectors = iter(self._recognise(chips))
        return [
            [_face(face, picture, next(vectors)) for face in faces]
            for picture, faces in zip(small, found, strict=True)
        ]

    def _chip(self, picture: np.ndarray, face: Finding) -> np.ndarray:
        """The face's pixels (150, 150, 3) uint8, upright; tilted ones gave the same vectors."""
        rectangle = self._dlib.rectangle(*(int(edge) for edge in np.rint(face.edges)))
        shape = self._landmarks(picture, rectangle)
        return np.asarray(self._dlib.get_face_chip(picture, shape, CHIP_PX, CHIP_PADDING))

    def _recognise(self, chips: list[np.ndarray]) -> list[np.ndarray]:
        rows: list[np.ndarray] = []
        for at in range(0, len(chips), BATCH):
            raw = self._network.vectors(chips[at : at + BATCH])
            rows.extend(raw / np.linalg.norm(raw, axis=1, keepdims=True))
        return rows


def _face(face: Finding, picture: np.ndarray, vector: np.ndarray) -> Face:
    height, width = picture.shape[:2]
    return Face(face.box(width, height), face.confidence, face.landmarks(width, height), vector)
