"""How fast and how right is a search of the vector store, and how long does a first one take?

Vectors as in a library: 80% in clusters, 20% alone. Our port's `nearest` and the bare LanceDB call with
the same parameters take turns on the same table; recall@20 is held against exact numpy. Filters allow
10% or half of the media. `search_cold_start` is `dam search TEXT` as a process of its own on a library
with pictures and speech, against `python -c "import torch"`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lancedb
import material
import numpy as np
import pyarrow as pa
from pipeline import DAM, Took, ingest, timed
from results import Figure, keep, middle, tell, tell_machine

from dam_pipeline.records import Space
from dam_pipeline.settings import Settings
from dam_pipeline.stores.vectors import VectorStore, open_vector_store, vector_rows
from dam_pipeline.stores.vectors.lancedb_names import table_name
from dam_pipeline.stores.vectors.lancedb_query import PROBES, REFINE

DIMENSION, ROWS_A_MEDIA, K = 512, 20, 20
QUERIES = 200
MEDIA_A_PUT = 500
SHARES = {"": 1.0, ", 10% of the media": 0.1, ", half of the media": 0.5}


@dataclass(frozen=True, slots=True)
class Rows:
    """Vectors (n, 512) of length 1, and queries near some of them."""

    vectors: np.ndarray
    queries: np.ndarray

    @classmethod
    def made(cls, count: int, seed: int = 5) -> "Rows":
        """Four fifths in clusters of some 40, a fifth alone; queries likewise."""
        random = np.random.default_rng(seed)
        alone = count // 5
        centres = _unit(random.normal(size=(max(count // 50, 1), DIMENSION)))
        noise = random.normal(size=(count - alone, DIMENSION)) * (0.6 / DIMENSION**0.5)
        inside = centres[random.integers(0, len(centres), count - alone)] + noise
        vectors = _unit(np.concatenate([inside, random.normal(size=(alone, DIMENSION))]))
        random.shuffle(vectors)
        near = random.normal(size=(QUERIES, DIMENSION)) * (0.4 / DIMENSION**0.5)
        return cls(vectors, _unit(vectors[random.choice(count, QUERIES)] + near))


def _unit(rows: np.ndarray) -> np.ndarray:
    lengths: np.ndarray = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / lengths).astype(np.float32)


def media_of(row: int) -> str:
    """The media that a row belongs to."""
    return f"{row // ROWS_A_MEDIA:032x}"


def fill(store: VectorStore, space: Space, vectors: np.ndarray) -> float:
    """Put all vectors as ingests would, some media at a time; gives seconds, indexes included."""
    started = time.perf_counter()
    step = MEDIA_A_PUT * ROWS_A_MEDIA
    for at in range(0, len(vectors), step):
        part = vectors[at : at + step]
        rows = range(at, at + len(part))
        owners = [media_of(row) for row in rows]
        items = pa.array([row % ROWS_A_MEDIA for row in rows], pa.int32())
        times = pa.array(np.zeros(len(part)))
        flat = pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), DIMENSION)
        table = pa.table([owners, items, times, times, times, flat],
                         schema=vector_rows(DIMENSION))  # fmt: skip
        store.put(space, set(owners), table)
        store.optimise()
    return time.perf_counter() - started


def bare_nearest(table: Any, query: np.ndarray) -> list[dict[str, Any]]:
    """LanceDB's own call with the parameters of the port."""
    columns = ["media_id", "item", "time_s", "start_s", "end_s", "_distance"]
    asked = table.search(query).distance_type("cosine").select(columns).limit(K)
    found: list[dict[str, Any]] = asked.nprobes(PROBES).refine_factor(REFINE).to_arrow().to_pylist()
    return found


def take_turns(
    rows: Rows, ours: Callable[[np.ndarray], Any], bare: Callable[[np.ndarray], Any] | None
) -> tuple[list[float], list[float], list[Any]]:
    """Milliseconds of ours and of bare, query by query, and what ours found."""
    own, other, found = list[float](), list[float](), []
    for query in rows.queries[:20]:
        ours(query)
        if bare:
            bare(query)
    for query in rows.queries:
        started = time.perf_counter()
        found.append(ours(query))
        own.append(1000 * (time.perf_counter() - started))
        if bare:
            started = time.perf_counter()
            bare(query)
            other.append(1000 * (time.perf_counter() - started))
    return own, other, found


def recall(rows: Rows, found: Sequence[Any], allowed: np.ndarray) -> float:
    """Share of the exact nearest K among `allowed` rows that was found."""
    picked = rows.vectors[allowed]
    shares = []
    for query, matches in zip(rows.queries, found, strict=True):
        best = allowed[np.argsort(-(picked @ query))[:K]]
        exact = {(media_of(row), row % ROWS_A_MEDIA) for row in best}
        shares.append(len(exact & {(one.media_id, one.item) for one in matches}) / K)
    return float(np.mean(shares))


def measure(count: int, here: dict[str, str | int | float]) -> None:
    """All figures of a store with this many vectors."""
    rows, space = Rows.made(count), Space("bench", "image_text", DIMENSION)
    random = np.random.default_rng(9)
    with tempfile.TemporaryDirectory(prefix="dam-bench-") as name:
        home = Path(name)
        store = open_vector_store(Settings(home=home))
        build_s = fill(store, space, rows.vectors)
        table = lancedb.connect(home / "lancedb").open_table(table_name(space))
        indexes = [index.index_type for index in table.list_indices() if "vector" in index.columns]
        tell(f"{count} vectors of {DIMENSION}: built in {build_s:.0f} s, index {indexes or 'none'}")
        media = sorted({media_of(row) for row in range(count)})
        for words, share in SHARES.items():
            chosen = set(random.choice(media, round(share * len(media)), replace=False))
            allowed = np.array([row for row in range(count) if media_of(row) in chosen])
            only = chosen if share < 1 else None
            bare = (lambda query: bare_nearest(table, query)) if only is None else None
            own, other, found = take_turns(
                rows, lambda query, only=only: store.nearest(space, query, K, only), bare
            )
            p50, p95 = np.percentile(own, [50, 95])
            tell(
                f"  {count}{words}: p50 {p50:.1f} ms, p95 {p95:.1f} ms, "
                f"recall@{K} {recall(rows, found, allowed):.3f}"
            )
            if only is None:
                figure = Figure(f"search_{count}", middle(own), middle(other), "ms", QUERIES)
                keep(figure, here)


def cold_start(repeats: int, here: dict[str, str | int | float]) -> None:
    """`dam search` from a cold start, against importing torch alone."""
    with tempfile.TemporaryDirectory(prefix="dam-bench-") as name:
        folder = Path(name)
        material.make_photographs_of_nothing(folder / "originals", 3)
        _say(folder / "originals" / "said.wav")
        settings = {
            "DAM_PROFILE": "bundled",
            "DAM_SETTLE_S": "0",
            "DAM_MODELS_DIR": str(folder / "models"),
        }
        ingest(folder / "originals", folder / "home", settings)
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("DAM_", "DAGSTER_"))}
        environment = {**kept, **settings, "DAM_HOME": str(folder / "home")}
        commands: dict[str, list[str | Path]] = {
            "text": [DAM, "search", "boats before bad weather", "--json"],
            "phrase": [DAM, "search", '"before the storm"', "--json"],
            "import torch": [sys.executable, "-c", "import torch"],
        }
        for words in ("text", "phrase"):
            answer = subprocess.run(
                commands[words], env=environment, capture_output=True, check=True
            )
            if not json.loads(answer.stdout)["hits"]:
                raise SystemExit(f"dam search found nothing by {words}")
        times: dict[str, list[Took]] = {words: [] for words in commands}
        for _ in range(repeats):
            for words, command in commands.items():
                times[words].append(timed(lambda command=command: subprocess.run(
                    command, env=environment, capture_output=True, check=True)))  # fmt: skip
        for words, took in times.items():
            wall, cpu = middle([t.wall_s for t in took]), middle([t.cpu_s for t in took])
            tell(f"  {words:<14} {wall:.2f} s, {cpu:.2f} CPU s")
        ours, torch = ([t.wall_s for t in times[words]] for words in ("text", "import torch"))
        keep(Figure("search_cold_start", middle(ours), middle(torch), "s", repeats), here)


def _say(path: Path) -> None:
    text = "The fishermen come home before the storm."
    subprocess.run(["espeak-ng", "-v", "en-us", "-s", "140", "-w", path, text], check=True)


def main() -> None:
    """Fill stores, ask, start, tell and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--repeats", type=int, default=5, help="of the cold start; 0: without")
    options = parser.parse_args()
    here = tell_machine()
    for count in options.sizes:
        measure(count, here)
    if options.repeats:
        cold_start(options.repeats, here)


if __name__ == "__main__":
    main()
