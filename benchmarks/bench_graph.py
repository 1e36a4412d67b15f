"""What does it take to bring the library's graph up to date when 1% is added, against a full build?

Libraries of 10,000 and of 100,000 keyframes (ten a file) are written as derived files with their
catalogue rows: vectors of 512 around centres, so that a file resembles some twenty others; faces in
every fourth, speech in every third with phrases that some share, recording times and cameras. Then:
the first build, which also fills the segments; a full build; 1% more files and the build after it.
The slope is the exponent over the number of keyframes: 1 is linear; of processor time too, which a busy
machine spoils less.

Also: all vectors read from the segments ÷ from the files' own tables.
"""

import argparse
import hashlib
import math
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from results import Figure, keep, tell, tell_machine

from dam_pipeline import schemas
from dam_pipeline.catalogue.catalogue import Catalogue, now_iso, open_catalogue
from dam_pipeline.graph.build import GraphReport, build_graph
from dam_pipeline.graph.loading import vectors_of
from dam_pipeline.records import (
    Json,
    Location,
    Media,
    MediaKind,
    Probe,
    Provenance,
    Space,
    State,
    StoredOutcome,
)
from dam_pipeline.settings import Settings
from dam_pipeline.stages.recording import stage_row
from dam_pipeline.stores.derived import DerivedFiles, content_version
from dam_pipeline.stores.segments import Segments

KEYFRAMES = 10  # a file
SIZES = (10_000, 100_000)
SHARE = 0.01
DIMENSION = 512
FACE_DIMENSION = 128
PICTURES = Space("bench@1", "image_text", DIMENSION, alike_floor=0.9)
FACES = Space("bench-faces@1", "face", FACE_DIMENSION, alike_floor=0.8)
SPACES = {"image_text": PICTURES, "face": FACES}
WORDS = 2000
SPOKEN = 150  # words in a file that speaks
PROVENANCE = Provenance("1", "", {}, "bench", "", 0.0, {})


class Library:
    """A library of made-up results, larger with every `add`."""

    def __init__(self, home: Path, catalogue: Catalogue, keyframes: int) -> None:
        self.settings = Settings(home=home)
        self.catalogue = catalogue
        self.derived = DerivedFiles(home)
        self.files = 0
        self._random = np.random.default_rng(7)
        scenes = max(keyframes // KEYFRAMES // 4, 1)
        self._scenes = _unit(self._random.normal(size=(scenes, DIMENSION)))
        self._people = _unit(self._random.normal(size=(max(scenes // 4, 1), FACE_DIMENSION)))
        self._phrases = self._random.integers(WORDS, size=(scenes, 12))

    def add(self, files: int) -> None:
        """Write so many files more."""
        for start in range(0, files, 500):
            self._write(range(self.files, self.files + min(500, files - start)))

    def _write(self, numbers: range) -> None:
        media, rows = [], []
        for number in numbers:
            media_id = hashlib.md5(str(number).encode()).hexdigest()
            key = f"take-{number:06d}"
            kind = MediaKind.VIDEO
            media.append(Media(media_id, key, kind, 1000, f"C{number:06d}.MP4", media_id))
            rows += [self._outcome(media_id, *one) for one in self._results(number)]
        self.catalogue.add_media(media)
        self.catalogue.put_locations(
            [Location(f"file:///bench/{one.first_name}", one.media_id, 1000, 0) for one in media]
        )
        self.catalogue.states.record(rows)
        self.files = numbers.stop

    def _outcome(
        self, media_id: str, stage: str, result: dict[str, Json], table: pa.Table | None
    ) -> Json:
        provenance = Provenance("1", "", {}, "bench", now_iso(), 0.0, {})
        state = State.DONE if table is not None or stage == "probe" else State.EMPTY
        version = content_version({"state": state, "result": result}, table)
        count = table.num_rows if table is not None else 0
        stored = StoredOutcome(
            media_id, stage, state, "", False, 1, result, count, version, provenance
        )
        self.derived.write_outcome(stored, table)
        return stage_row(stored)

    def _results(self, number: int) -> Iterator[tuple[str, dict[str, Json], pa.Table | None]]:
        random = self._random
        scenes = random.integers(len(self._scenes), size=2)
        vectors = self._near(self._scenes[scenes[np.arange(KEYFRAMES) % 2]], 0.25)
        yield "probe", _probe(number).to_json(), None
        start = np.arange(KEYFRAMES) * 6.0
        spans = {"time_s": start + 3, "start_s": start, "end_s": start + 6}
        yield "shots", {}, _table(schemas.SHOTS, {"start_s": [0.0], "end_s": [60.0]})
        light = {
            **{name: [720] * KEYFRAMES for name in ("width", "height")},
            "shot": [0] * KEYFRAMES,
            "path": [f"keyframes/{at}.jpg" for at in range(KEYFRAMES)],
            "sharpness": [80.0] * KEYFRAMES,
            "exposure": [0.5] * KEYFRAMES,
            "is_hero": [at == 0 for at in range(KEYFRAMES)],
            "why": [""] * KEYFRAMES,
        }
        yield "keyframes", {}, _table(schemas.KEYFRAMES, light | spans)
        rows = {"keyframe": range(KEYFRAMES), "vector": list(vectors), **spans}
        schema = schemas.clip_embeddings(DIMENSION)
        yield "clip_embeddings", {"space": PICTURES.name}, _table(schema, rows)
        yield "face_embeddings", {"space": FACES.name}, self._faces() if number % 4 == 0 else None
        yield "transcript", {}, self._speech(scenes) if number % 3 == 0 else None

    def _faces(self) -> pa.Table:
        vector = self._near(self._people[self._random.integers(len(self._people), size=1)], 0.4)
        row = {
            "keyframe": [0],
            **{"time_s": [3.0], "start_s": [0.0], "end_s": [6.0]},
            "box": [[0.4, 0.4, 0.2, 0.2]],
            "confidence": [0.99],
            "landmarks": [[0.5] * 10],
            "track": [0],
            "quality": [0.8],
            "is_best": [True],
            "vector": [vector[0]],
        }
        return _table(schemas.face_embeddings(FACE_DIMENSION), row)

    def _speech(self, scenes: np.ndarray) -> pa.Table:
        spoken = self._random.integers(WORDS, size=SPOKEN)
        spoken[20:32] = self._phrases[scenes[0]]
        words = [
            {
                "start_s": at * 0.3,
                "end_s": at * 0.3 + 0.3,
                "text": f" word{word}",
                "probability": 1.0,
            }
            for at, word in enumerate(spoken.tolist())
        ]
        text = " ".join(word["text"].strip() for word in words)
        end_s = SPOKEN * 0.3
        row = {"start_s": 0.0, "end_s": end_s, "text": text, "language": "en", "words": words}
        return pa.Table.from_pylist([row], schemas.TRANSCRIPT)

    def _near(self, centres: np.ndarray, spread: float) -> np.ndarray:
        noise = _unit(self._random.normal(size=centres.shape))
        return _unit(centres + spread * noise).astype(np.float32)


def _probe(number: int) -> Probe:
    """A minute from one of five cameras, which film minute after minute."""
    day, minute = divmod(number, 1440)
    return Probe(
        kind=MediaKind.VIDEO,
        container="mov",
        duration_s=60.0,
        size_bytes=1000,
        width=1280,
        height=720,
        rotation_deg=0,
        has_video=True,
        has_audio=True,
        frame_rate=25.0,
        is_variable_frame_rate=False,
        codecs=("h264", "aac"),
        created_at=f"2026-03-{1 + day % 28:02d}T{minute // 60:02d}:{minute % 60:02d}:00",
        camera=f"Camera {day % 5}",
    )


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _table(schema: pa.Schema, columns: dict[str, Json]) -> pa.Table:
    """A table of these columns; what they do not say is null."""
    count = len(next(iter(columns.values())))
    given = {name: list(values) for name, values in columns.items()}
    arrays = [pa.array(given.get(field.name, [None] * count), field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def measured(keyframes: int) -> dict[str, float]:
    """Seconds of each way to the same graph, at this number of keyframes."""
    with tempfile.TemporaryDirectory() as home, open_catalogue(Path(home)) as catalogue:
        library = Library(Path(home), catalogue, keyframes)
        began = time.monotonic()
        library.add(keyframes // KEYFRAMES)
        tell(f"{keyframes} keyframes: written in {time.monotonic() - began:.0f} s")
        figures = _built(library, "first", full=False) | _built(library, "full", full=True)
        library.add(round(keyframes * SHARE) // KEYFRAMES)
        figures |= _built(library, "added", full=False) | _built(library, "unchanged", full=False)
        figures["singly"], figures["segments"] = _reading(library)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        tell(f"  peak memory so far {peak} MiB")
    return figures


def _built(library: Library, name: str, full: bool) -> dict[str, float]:
    began, used = time.monotonic(), time.process_time()
    report: GraphReport = build_graph(
        library.settings, library.catalogue, library.derived, "bench", SPACES, full=full
    )
    seconds, cpu = time.monotonic() - began, time.process_time() - used
    edges = ", ".join(f"{kind} {count}" for kind, count in report.edges.items() if count)
    size = report.path.stat().st_size >> 20
    tell(
        f"  {name}: {seconds:.1f} s, {cpu:.1f} s of processors "
        f"({report.mode}, {report.changed} files changed; {edges}; "
        f"{report.communities} communities, {report.people} people; {size} MiB)"
    )
    return {name: seconds, f"{name}, processors": cpu}


def _reading(library: Library) -> tuple[float, float]:
    """Seconds in which all vectors are in memory: from the files' own tables, and from segments."""
    stage, ids = "clip_embeddings", [one.media_id for one in library.catalogue.all_media()]
    began = time.monotonic()
    tables = [library.derived.table(media_id, stage) for media_id in ids]
    total = sum(len(vectors_of(table)) for table in tables)
    singly = time.monotonic() - began
    began = time.monotonic()
    stamps = library.catalogue.states.stamps([stage])[stage]
    found = Segments(library.derived).refresh(stage, stamps)
    rows = found.rows(schemas.clip_embeddings(DIMENSION), found.entries)
    vectors = vectors_of(rows.table)
    float(vectors.sum())
    segments = time.monotonic() - began
    tell(f"  {total} vectors from {len(ids)} files {singly:.2f} s, from segments {segments:.2f} s")
    if len(vectors) != total:
        raise SystemExit("The segments do not hold what the files hold.")
    return singly, segments


def main() -> None:
    """Measure both sizes, tell the slopes, keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="keyframes")
    sizes = parser.parse_args().sizes
    here = tell_machine()
    found = {size: measured(size) for size in sizes}
    for size, figures in found.items():
        name = f"{size // 1000}k"
        keep(Figure(f"graph_add_1pct_{name}", figures["added"], figures["full"], "s", 1), here)
        keep(Figure(f"segments_read_{name}", figures["segments"], figures["singly"], "s", 1), here)
    if len(sizes) > 1:
        least, most = min(sizes), max(sizes)
        for name in [name for name in found[most] if name not in ("singly", "segments")]:
            slope = math.log(found[most][name] / found[least][name]) / math.log(most / least)
            tell(f"slope of {name}: {slope:.2f} (1 is linear)")


if __name__ == "__main__":
    main()
