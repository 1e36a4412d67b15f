"""MTCNN, which finds faces and their five landmarks; its weights come in facenet-pytorch.

Only finding: recognising is `facenet`'s and `dlib_faces`'. Source: Zhang et al. 2016 as
implemented by facenet-pytorch 2.5.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from PIL import Image

from dam_pipeline.errors import WeightsMissing
from dam_pipeline.models.cascade import FACTOR, Cascade
from dam_pipeline.models.device import memory_guard, torch_device
from dam_pipeline.models.locate import package_path
from dam_pipeline.models.manifest import weights_sha256
from dam_pipeline.records import Box, ModelRef
from dam_pipeline.settings import Settings

LONGEST_PX = 1280  # pictures are reduced to this: counted right on all labelled ones (facts §0)
# Smallest face looked for, after reducing: one level below 40, which finds 1 in 2 faces of 20 px and 19
# in 20 of 24 px; this finds all of them (benchmarks/accuracy/faces.py). No level of 40's is lost.
MIN_FACE_PX = 40 * FACTOR
BATCH = 8  # pictures whose chips are looked at together


@dataclass(frozen=True, slots=True)
class Finding:
    """A face in pixels of the reduced picture: box (left, top, right, bottom), points (5, 2)."""

    edges: np.ndarray
    points: np.ndarray
    confidence: float

    def box(self, width: int, height: int) -> Box:
        """The box as (x, y, w, h) in 0–1, cut at the picture's edges."""
        scale = np.array([width, height, width, height], float)
        left, top, right, bottom = np.clip(self.edges / scale, 0.0, 1.0).tolist()
        return (left, top, right - left, bottom - top)

    def landmarks(self, width: int, height: int) -> tuple[tuple[float, float], ...]:
        """Eyes, nose and mouth corners as (x, y) in 0–1."""
        points = np.clip(self.points / np.array([width, height], float), 0.0, 1.0)
        return tuple((float(x), float(y)) for x, y in points)


def mtcnn_ref(settings: Settings) -> ModelRef:
    """The detector as provenance names it; raises WeightsMissing without its package."""
    home = package_path("facenet_pytorch")
    if home is None:
        raise WeightsMissing("The face detector is missing: run `pip install facenet-pytorch`.")
    files = [home / "data" / f"{net}.pt" for net in ("pnet", "rnet", "onet")]
    revision = f"facenet-pytorch {version('facenet-pytorch')}"
    return ModelRef("mtcnn", revision, weights_sha256(files, settings.weights_dir))


class Mtcnn:
    """The detector, resident on the settings' device."""

    def __init__(self, settings: Settings) -> None:
        self.ref = mtcnn_ref(settings)
        self._least = settings.face_confidence
        self._cascade = Cascade(MIN_FACE_PX, torch_device(settings))

    def find(self, pictures: Sequence[np.ndarray]) -> list[list[Finding]]:
        """Faces of each reduced picture (h, w, 3) uint8, largest first."""
        found: list[list[Finding]] = []
        for at in range(0, len(pictures), BATCH):
            with memory_guard("finding faces", "Lower DAM_KEYFRAME_PX, or set DAM_DEVICE=cpu."):
                results = self._cascade.find(pictures[at : at + BATCH])
            found.extend(self._findings(boxes, points) for boxes, points in results)
        return found

    def _findings(self, boxes: np.ndarray, points: np.ndarray) -> list[Finding]:
        sides = boxes[:, 2:4] - boxes[:, :2]
        largest = np.argsort(-sides[:, 0] * sides[:, 1], kind="stable")
        return [
            Finding(boxes[i, :4].astype(float), points[i].astype(float), float(boxes[i, 4]))
            for i in largest
            if boxes[i, 4] >= self._least and (sides[i] > 0).all()
        ]


def reduced(picture: np.ndarray) -> np.ndarray:
    """The picture (h, w, 3) uint8 with its longest side at most LONGEST_PX."""
    height, width = picture.shape[:2]
    scale = LONGEST_PX / max(height, width)
    if scale >= 1:
        return np.ascontiguousarray(picture)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))
