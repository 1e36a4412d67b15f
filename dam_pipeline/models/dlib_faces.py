"""dlib's face recogniser (ResNet, 128 numbers) on faces that MTCNN finds.

Weights and the 5-point landmark model come in the package face-recognition-models; the 68-point
model there has other terms and is not used. dlib compares Euclidean distances of vectors that are
not of length 1; here they are made so, and the threshold was measured again (ALIKE_FLOOR).
"""

from collections.abc import Sequence
from importlib import import_module

import numpy as np

from dam_pipeline.models.device import memory_guard
from dam_pipeline.models.locate import DLIB_LANDMARKS, Found, check_hash
from dam_pipeline.models.mtcnn import Finding, Mtcnn, reduced
from dam_pipeline.records import Face, ModelRef, Space
from dam_pipeline.settings import Settings

CHIP_PX = 150
CHIP_PADDING = 0.25
DIMENSION = 128
# Cosine from which two faces are taken as one person. Measured with this code: 38 labelled pairs of
# one person and 262 of two (deepface's test pictures) part without an error anywhere from 0.918
# (nearest strangers) to 0.929 (farthest same; dlib's own Euclidean 0.6 is about 0.923); 27 and 144
# further pairs (face_recognition's examples) lie at 0.946 and more, and at 0.893 and less. Small
# sets of portraits: expect false pairs in a large library.
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
        self._network = self._dlib.face_recognition_model_v1(str(found.files[0]))

    def find_faces(self, pictures: Sequence[np.ndarray]) -> list[list[Face]]:
        """Faces of each picture (h, w, 3) uint8 RGB, largest first, with vectors (128,)."""
        small = [reduced(picture) for picture in pictures]
        found = self._finder.find(small)
        return [
            [self._face(picture, face) for face in faces]
            for picture, faces in zip(small, found, strict=True)
        ]

    def _face(self, picture: np.ndarray, face: Finding) -> Face:
        height, width = picture.shape[:2]
        rectangle = self._dlib.rectangle(*(int(edge) for edge in np.rint(face.edges)))
        with memory_guard("recognising faces", "Lower DAM_TORCH_THREADS or the number of runs."):
            shape = self._landmarks(picture, rectangle)
            chip = self._dlib.get_face_chip(picture, shape, CHIP_PX, CHIP_PADDING)
            raw = np.asarray(self._network.compute_face_descriptor(chip), np.float32)
        vector = raw / np.linalg.norm(raw)
        return Face(face.box(width, height), face.confidence, face.landmarks(width, height), vector)
