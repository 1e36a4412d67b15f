"""Faces of one shot that are one person, and which of them shows the person best.

Only within a shot: who is who across shots and files is the graph's business. Arithmetic on rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dam_pipeline.records import Face

SHARP_PX = 120  # a face of this side has all that recognisers look at
PROFILE = 0.5  # what a full profile is worth beside a frontal face
# Two boxes that share so much of their area are in one place: a lower likeness is enough there.
LEAST_OVERLAP = 0.3


@dataclass(frozen=True, slots=True)
class Seen:
    """A face in a keyframe of a shot: `box` (x, y, w, h) in 0–1, `vector` of length 1."""

    shot: int
    keyframe: int
    box: Sequence[float]
    vector: np.ndarray


def face_tracks(faces: Sequence[Seen], floor: float) -> list[int]:
    """The number of each face's track, counted by first appearance; faces in the order of time.

    A face goes on the track of its shot with the most alike face, if their cosine is at least
    `floor`; or, where it overlaps the track's face in the keyframe before, if it is half as near.
    A keyframe has no two faces of one track.
    """
    numbers = [-1] * len(faces)
    tracks: list[list[int]] = []
    for keyframe in sorted({face.keyframe for face in faces}):
        here = [row for row, face in enumerate(faces) if face.keyframe == keyframe]
        open_tracks = [
            n for n, rows in enumerate(tracks) if faces[rows[0]].shot == faces[here[0]].shot
        ]
        for row, track in _matched(faces, here, {n: tracks[n] for n in open_tracks}, floor):
            numbers[row] = track
            tracks[track].append(row)
        for row in here:
            if numbers[row] < 0:
                numbers[row] = len(tracks)
                tracks.append([row])
    return numbers


def best_of_tracks(tracks: Sequence[int], qualities: Sequence[float]) -> list[bool]:
    """Whether each face is the best of its track: exactly one is."""
    best: dict[int, int] = {}
    for row, track in enumerate(tracks):
        if track not in best or qualities[row] > qualities[best[track]]:
            best[track] = row
    return [best[track] == row for row, track in enumerate(tracks)]


def face_quality(face: Face, width: int, height: int) -> float:
    """How well a face shows somebody, 0–1: its size in pixels × how sure × how frontal.

    Frontal: the nose stands half-way between the eyes, measured along the line through them.
    """
    side_px = float(np.sqrt(face.box[2] * width * face.box[3] * height))
    left, right, nose = np.array(face.landmarks[:3]) * (width, height)
    line = right - left
    along = float((nose - left) @ line) / max(float(line @ line), 1.0)
    turned = min(2 * abs(along - 0.5), 1.0)
    frontal = 1.0 - (1.0 - PROFILE) * turned
    return min(side_px / SHARP_PX, 1.0) * face.confidence * frontal


def _matched(
    faces: Sequence[Seen], here: Sequence[int], tracks: dict[int, list[int]], floor: float
) -> list[tuple[int, int]]:
    """Pairs (face, track), the most alike first, each face and track once."""
    pairs = []
    for row in here:
        for track, rows in tracks.items():
            cosine = max(float(faces[row].vector @ faces[other].vector) for other in rows)
            in_place = _overlap(faces[row].box, faces[rows[-1]].box) >= LEAST_OVERLAP
            is_next = faces[rows[-1]].keyframe == faces[row].keyframe - 1
            needed = 2 * floor - 1 if in_place and is_next else floor
            if cosine >= needed:
                pairs.append((-cosine, row, track))
    matched: dict[int, int] = {}
    for _, row, track in sorted(pairs):
        if row not in matched and track not in matched.values():
            matched[row] = track
    return list(matched.items())


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Area shared ÷ area of both."""
    wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    high = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(wide, 0.0) * max(high, 0.0)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared) if shared else 0.0
