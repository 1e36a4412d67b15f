"""Small libraries written by hand: derived files and catalogue rows whose right answers are plain."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from dam_pipeline import schemas
from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.identity import partition_key
from dam_pipeline.records import (
    Facts,
    Json,
    Location,
    Media,
    MediaKind,
    Provenance,
    Space,
    State,
    StoredOutcome,
)
from dam_pipeline.settings import Settings
from dam_pipeline.stages.recording import stage_row
from dam_pipeline.stores.derived import DerivedFiles, content_version

PICTURES = Space("made@1", "image_text", 8, text_floor=0.3, image_floor=0.6, alike_floor=0.9)
MEANINGS = Space("meanings@1", "sentence", 8, text_floor=0.3)
FACES = Space("faces@1", "face", 4, alike_floor=0.8)
PROVENANCE = Provenance("1", "", {}, "run-0", "2026-01-01T00:00:00+00:00", 0.0, {})


def axis(number: int, dimension: int = 8) -> np.ndarray:
    """The unit vector along one axis: cosine 0 to every other axis."""
    return np.eye(dimension, dtype=np.float32)[number]


def between(a: int, b: int, cosine: float, dimension: int = 8) -> np.ndarray:
    """A unit vector in the plane of two axes, at this cosine to the first."""
    side = np.sqrt(1 - cosine**2)
    return (cosine * axis(a, dimension) + side * axis(b, dimension)).astype(np.float32)


@dataclass
class Clip:
    """One file: keyframes as (start_s, end_s, vector), faces as (keyframe, vector), segments.

    Segments are (start_s, end_s, text), their words spread evenly; `probe` is more that the probe says;
    `prints` are the lumas (n, 256) of its fingerprints, two a second; `sha256` what `checksum` found.
    """

    name: str
    keyframes: Sequence[tuple[float, float, np.ndarray]] = ()
    faces: Sequence[tuple[int, np.ndarray]] = ()
    segments: Sequence[tuple[float, float, str]] = ()
    sentences: Sequence[tuple[float, float, str, np.ndarray]] = ()
    kind: MediaKind = MediaKind.VIDEO
    duration_s: float = 60.0
    has_audio: bool = True
    created_at: str | None = "2026-03-01T12:00:00"
    camera: str | None = "Camera A"
    space: str = PICTURES.name
    sharpness: float = 100.0
    exposure: float = 0.5
    folder: str = "/library"
    probe: Mapping[str, Json] = field(default_factory=dict)
    prints: np.ndarray | None = None
    sha256: str = ""
    media_id: str = field(default="")

    def __post_init__(self) -> None:
        self.media_id = self.media_id or hashlib.md5(self.name.encode()).hexdigest()


class Handmade:
    """A home with a catalogue and derived files, to which clips are added."""

    def __init__(self, home: Path, catalogue: Catalogue) -> None:
        self.settings = Settings(home=home)
        self.catalogue = catalogue
        self.derived = DerivedFiles(home)

    def add(self, *clips: Clip) -> list[str]:
        """Register clips and write their derived files; gives their ids."""
        for clip in clips:
            self._register(clip)
            self.write(clip)
        return [clip.media_id for clip in clips]

    def write(self, clip: Clip) -> None:
        """Write a clip's derived files over what was there."""
        probe = {"duration_s": clip.duration_s, "has_audio": clip.has_audio, "width": 64}
        self._outcome(clip, "probe", probe | dict(clip.probe), None)
        keyframes = [
            {
                "shot": 0,
                "time_s": (start + end) / 2,
                "start_s": start,
                "end_s": end,
                "path": f"keyframes/{at}.jpg",
                "width": 64,
                "height": 64,
                "sharpness": clip.sharpness,
                "exposure": clip.exposure,
                "is_hero": at == 0,
                "why": "by hand",
            }
            for at, (start, end, _) in enumerate(clip.keyframes)
        ]
        if clip.sha256:
            self._outcome(clip, "checksum", {"sha256": clip.sha256}, None)
        shots = [{"start_s": 0.0, "end_s": clip.duration_s}] if keyframes else []
        self._outcome(clip, "shots", {}, shots, schemas.SHOTS)
        self._outcome(clip, "keyframes", {}, keyframes, schemas.KEYFRAMES)
        self._embeddings(clip, keyframes)
        self._faces(clip, keyframes)
        self._prints(clip)
        segments = [_segment(*one) for one in clip.segments]
        self._outcome(clip, "transcript", {}, segments, schemas.TRANSCRIPT)
        self._sentences(clip)

    def _embeddings(self, clip: Clip, keyframes: list[Json]) -> None:
        rows = [
            {
                "keyframe": at,
                **{name: row[name] for name in ("time_s", "start_s", "end_s")},
                "vector": vector,
            }
            for at, (row, (_, _, vector)) in enumerate(zip(keyframes, clip.keyframes, strict=True))
        ]
        size = len(clip.keyframes[0][2]) if rows else 8
        self._outcome(
            clip, "clip_embeddings", {"space": clip.space}, rows, schemas.clip_embeddings(size)
        )

    def _faces(self, clip: Clip, keyframes: list[Json]) -> None:
        rows = [
            {
                "keyframe": at,
                **{name: keyframes[at][name] for name in ("time_s", "start_s", "end_s")},
                "box": [0.25, 0.25, 0.5, 0.5],
                "confidence": 0.99,
                "landmarks": [0.5] * 10,
                "track": track,
                "quality": 0.9,
                "is_best": True,
                "vector": vector,
            }
            for track, (at, vector) in enumerate(clip.faces)
        ]
        size = len(clip.faces[0][1]) if rows else 4
        self._outcome(
            clip, "face_embeddings", {"space": FACES.name}, rows, schemas.face_embeddings(size)
        )

    def _prints(self, clip: Clip) -> None:
        if clip.prints is None:
            return
        rows = [
            {
                "start_s": at / 2,
                "end_s": at / 2 + 0.5,
                "luma": luma.astype(np.uint8).tobytes(),
                "chroma": bytes([128] * 32),
                "detail": 0.5,
            }
            for at, luma in enumerate(clip.prints)
        ]
        self._outcome(clip, "fingerprints", {}, rows, schemas.FINGERPRINTS)

    def _sentences(self, clip: Clip) -> None:
        rows = [
            {
                "time_s": start_s,
                "start_s": start_s,
                "end_s": end_s,
                "text": text,
                "language": "en",
                "vector": vector,
            }
            for start_s, end_s, text, vector in clip.sentences
        ]
        schema = schemas.sentence_embeddings(MEANINGS.dimension)
        self._outcome(clip, "sentence_embeddings", {"space": MEANINGS.name}, rows, schema)

    def _register(self, clip: Clip) -> None:
        key = partition_key(clip.name, clip.media_id)
        media = Media(clip.media_id, key, clip.kind, 1000, clip.name, clip.media_id)
        self.catalogue.add_media([media])
        path = Path(clip.folder, clip.name)
        size, mtime_ns = 1000, 0
        if path.exists():
            size, mtime_ns = path.stat().st_size, path.stat().st_mtime_ns
        self.catalogue.put_locations([Location(path.as_uri(), clip.media_id, size, mtime_ns)])
        self.catalogue.set_facts(
            [
                Facts(
                    clip.media_id,
                    clip.kind,
                    clip.duration_s,
                    clip.has_audio,
                    clip.created_at,
                    clip.camera,
                )
            ]
        )

    def _outcome(
        self,
        clip: Clip,
        stage: str,
        result: dict[str, Json],
        rows: list[Json] | None,
        schema: pa.Schema | None = None,
    ) -> None:
        table = pa.Table.from_pylist(rows, schema=schema) if rows else None
        count = len(rows or ())
        state = State.EMPTY if rows == [] else State.DONE
        version = content_version({"state": state, "result": result}, table)
        outcome = StoredOutcome(
            clip.media_id, stage, state, "", False, 0, result, count, version, PROVENANCE
        )
        self.derived.write_outcome(outcome, table)
        self.catalogue.states.record([stage_row(outcome)])


def scenery(seconds: int, seed: int) -> np.ndarray:
    """Lumas (2 × seconds, 256) of a picture that changes all the time and resembles no other."""
    random = np.random.default_rng(seed)
    corners = random.integers(20, 236, size=(2 * seconds // 8 + 2, 4, 4))
    steps = np.arange(2 * seconds) / 8
    share = (steps % 1)[:, None, None]
    at = steps.astype(int)
    coarse = corners[at] * (1 - share) + corners[at + 1] * share
    return np.kron(coarse, np.ones((1, 4, 4))).reshape(-1, 256)


def _segment(start_s: float, end_s: float, text: str) -> dict[str, Json]:
    parts = text.split()
    step = (end_s - start_s) / len(parts)
    words = [
        {
            "start_s": start_s + at * step,
            "end_s": start_s + (at + 1) * step,
            "text": f" {word}",
            "probability": 0.9,
        }
        for at, word in enumerate(parts)
    ]
    return {"start_s": start_s, "end_s": end_s, "text": text, "language": "en", "words": words}
