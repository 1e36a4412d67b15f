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
from dam_pipeline.models.device import memory_guard, torch_device
from dam_pipeline.models.locate import package_path
from dam_pipeline.models.manifest import weights_sha256
from dam_pipeline.records import Box, ModelRef
from dam_pipeline.settings import Settings

LONGEST_PX = 1280  # pictures are reduced to this: counted right on all labelled ones (facts §0)
MIN_FACE_PX = 40  # smallest face looked for, after reducing
THRESHOLDS = [0.6, 0.7, 0.85]  # of the three nets
BATCH = 8  # pictures of equal size looked at together


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
        from facenet_pytorch import MTCNN

        self.ref = mtcnn_ref(settings)
        self._least = settings.face_confidence
        self._net = MTCNN(
            min_face_size=MIN_FACE_PX,
            thresholds=THRESHOLDS,
            keep_all=True,
            device=torch_device(settings),
        ).eval()

    def find(self, pictures: Sequence[np.ndarray]) -> list[list[Finding]]:
        """Faces of each reduced picture (h, w, 3) uint8, largest first; equal sizes together."""
        found: list[list[Finding]] = [[] for _ in pictures]
        by_size: dict[tuple[int, ...], list[int]] = {}
        for index, picture in enumerate(pictures):
            by_size.setdefault(picture.shape[:2], []).append(index)
        for size, indexes in by_size.items():
            if min(size) < MIN_FACE_PX:
                continue  # no level of the pyramid is left: the nets would fail on nothing
            for at in range(0, len(indexes), BATCH):
                part = indexes[at : at + BATCH]
                for index, faces in zip(part, self._look([pictures[i] for i in part]), strict=True):
                    found[index] = faces
        return found

    def _look(self, pictures: list[np.ndarray]) -> list[list[Finding]]:
        with memory_guard("finding faces", "Lower DAM_KEYFRAME_PX, or set DAM_DEVICE=cpu."):
            boxes, chances, points = self._net.detect(np.stack(pictures), landmarks=True)
        return [self._findings(*result) for result in zip(boxes, chances, points, strict=True)]

    def _findings(
        self, boxes: np.ndarray | None, chances: np.ndarray, points: np.ndarray
    ) -> list[Finding]:
        if boxes is None:
            return []
        rows = zip(np.asarray(boxes, float), chances, np.asarray(points, float), strict=True)
        return [
            Finding(edges, marks, float(chance))
            for edges, chance, marks in rows
            if chance >= self._least and (edges[2:] > edges[:2]).all()
        ]


def reduced(picture: np.ndarray) -> np.ndarray:
    """The picture (h, w, 3) uint8 with its longest side at most LONGEST_PX."""
    height, width = picture.shape[:2]
    scale = LONGEST_PX / max(height, width)
    if scale >= 1:
        return np.ascontiguousarray(picture)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))
