"""Edges between media in which the same words are spoken, by shingles of their transcripts.

A shingle that many media share (a greeting, a jingle) says little, so it counts the less the more
media hold it. So a new file can change what others share: the graph's file keeps all shingles, and
every pair is looked at again that shares one whose count changed.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dam_pipeline.graph.edges import EVIDENCE_KEPT, SAME_WORDS, Edge
from dam_pipeline.graph.speech import SHINGLE_WORDS, Speech, shingles_of, speech_of
from dam_pipeline.records import Json
from dam_pipeline.stores.segment_files import Rows

MOST_MEDIA = 50  # a shingle in more media than this is a phrase of the language or a jingle
LEAST_SHARED = 1.0  # one shingle that no third media holds, or several that some others hold
HALF_WEIGHT = 4.0  # distinctive shingles that make a weight of one half
MEDIA_AT_ONCE = 2000  # whose words are in memory while shingles are made
# Counts are added as whole numbers, so that the sum does not depend on the order.
_ONE = 10**12
_ROUNDING = 10**4

# `media_id` of changed media are in `stale`, their rows in `arrow_shingles`.
_FORGET = """
    CREATE TABLE IF NOT EXISTS shingles (media_id VARCHAR, shingle UBIGINT, place INTEGER);
    CREATE OR REPLACE TEMP TABLE touched AS
        SELECT DISTINCT shingle FROM shingles SEMI JOIN stale USING (media_id);
    CREATE OR REPLACE TEMP TABLE asked (a VARCHAR, b VARCHAR);
"""
_LEARN = """
    DELETE FROM shingles WHERE media_id IN (SELECT media_id FROM stale);
    INSERT INTO shingles SELECT * FROM arrow_shingles;
    INSERT INTO touched SELECT DISTINCT shingle FROM arrow_shingles;
"""
_ASK = f"""
    CREATE OR REPLACE TEMP TABLE holders AS
        SELECT media_id, shingle, count(*) OVER (PARTITION BY shingle) AS media
        FROM shingles SEMI JOIN touched USING (shingle)
        QUALIFY media BETWEEN 2 AND {MOST_MEDIA};
    INSERT INTO asked SELECT DISTINCT x.media_id, y.media_id
        FROM holders x JOIN holders y USING (shingle) WHERE x.media_id < y.media_id;
"""
_FORGET_EDGES = """
    DELETE FROM edges WHERE kind = $kind AND (a_media, b_media) IN (SELECT (a, b) FROM asked)
"""
_SHARED = f"""
    WITH pair AS (SELECT DISTINCT a, b FROM asked),
    side AS (SELECT a AS media_id FROM pair UNION SELECT b FROM pair),
    near AS (SELECT DISTINCT shingle FROM shingles SEMI JOIN side USING (media_id)),
    counted AS (
        SELECT shingle, count(*) AS media FROM shingles SEMI JOIN near USING (shingle)
        GROUP BY shingle HAVING media BETWEEN 2 AND {MOST_MEDIA}
    ),
    held AS (SELECT * FROM shingles JOIN counted USING (shingle) SEMI JOIN side USING (media_id))
    SELECT a, b, sum(CAST(round(2.0 * {_ONE} / x.media) AS BIGINT))::DOUBLE / {_ONE} AS total,
        list(x.place) AS a_places, list(y.place) AS b_places
    FROM pair JOIN held x ON x.media_id = a JOIN held y ON y.media_id = b AND y.shingle = x.shingle
    GROUP BY a, b HAVING total >= {LEAST_SHARED} - {_ROUNDING} / {_ONE}
"""


@dataclass(frozen=True, slots=True)
class _Run:
    """Consecutive shared words: from word `a` and word `b` on, `words` of them."""

    a: int
    b: int
    words: int


Transcripts = Callable[[Collection[str]], Rows]


def same_words(
    connection: Any, transcripts: Transcripts, stale: Collection[str], spoken: Collection[str]
) -> Iterator[Edge]:
    """Forget the edges that media `stale` have a say in, and give those that are there now.

    `spoken` are those of them that have words. One edge for each pair of media that share shingles;
    a shingle counts 2 / (media that hold it), so 1 when only these two do; `weight` is s / (s + 4) of
    the sum s. The edge is about the longest run of shared words.
    """
    connection.register("stale", pa.table({"media_id": pa.array(sorted(stale), pa.string())}))
    connection.execute(_FORGET)
    connection.execute(_ASK)
    connection.register("arrow_shingles", _shingle_rows(transcripts, sorted(spoken)))
    connection.execute(_LEARN)
    connection.execute(_ASK)
    connection.execute(_FORGET_EDGES, {"kind": SAME_WORDS})
    shared = connection.sql(_SHARED).to_arrow_table()
    connection.unregister("arrow_shingles")
    connection.unregister("stale")
    sides = {*shared["a"].to_pylist(), *shared["b"].to_pylist()}
    speech = speech_of(transcripts(sides))
    numbers = {media_id: number for number, media_id in enumerate(speech.media_ids)}
    for batch in shared.to_batches(max_chunksize=1000):
        for row in batch.to_pylist():
            runs = _runs(list(zip(row["a_places"], row["b_places"], strict=True)))
            yield _edge(speech, numbers[row["a"]], numbers[row["b"]], runs, row["total"])


def _shingle_rows(transcripts: Transcripts, media_ids: Sequence[str]) -> pa.Table:
    tables = []
    for start in range(0, max(len(media_ids), 1), MEDIA_AT_ONCE):
        speech = speech_of(transcripts(media_ids[start : start + MEDIA_AT_ONCE]))
        found = shingles_of(speech)
        owners = pa.array(np.array(speech.media_ids, object), pa.string())
        columns = {
            "media_id": owners.take(pa.array(found.media)),
            "shingle": pa.array(found.shingle, pa.uint64()),
            "place": pa.array(found.place, pa.int32()),
        }
        tables.append(pa.table(columns))
    return pa.concat_tables(tables)


def _runs(places: Sequence[tuple[int, int]]) -> list[_Run]:
    """Shingles that follow each other on both sides as runs of words, the longest first."""
    runs: list[_Run] = []
    for a, b in sorted(places, key=lambda place: (place[1] - place[0], place[0])):
        last = runs[-1] if runs else None
        gap = a - last.a if last else 0
        if last and b - a == last.b - last.a and gap <= last.words:
            runs[-1] = _Run(last.a, last.b, gap + SHINGLE_WORDS)
        else:
            runs.append(_Run(a, b, SHINGLE_WORDS))
    return sorted(runs, key=lambda run: (-run.words, run.a, run.b))


def _edge(speech: Speech, a: int, b: int, runs: Sequence[_Run], total: float) -> Edge:
    matches = [_match(speech, a, b, run) for run in runs[:EVIDENCE_KEPT]]
    best = matches[0]
    return Edge(
        SAME_WORDS,
        speech.media_ids[a],
        best["a_start_s"],
        best["a_end_s"],
        speech.media_ids[b],
        best["b_start_s"],
        best["b_end_s"],
        weight=round(total / (total + HALF_WEIGHT), 6),
        evidence={
            "text": best["text"],
            "words": sum(run.words for run in runs),
            "count": len(runs),
            "matches": matches,
        },
    )


def _match(speech: Speech, a: int, b: int, run: _Run) -> dict[str, Json]:
    own, other = int(speech.starts[a]) + run.a, int(speech.starts[b]) + run.b
    return {
        "text": " ".join(speech.texts.slice(own, run.words).to_pylist()),
        "words": run.words,
        "a_start_s": float(speech.start_s[own]),
        "a_end_s": float(speech.end_s[own + run.words - 1]),
        "b_start_s": float(speech.start_s[other]),
        "b_end_s": float(speech.end_s[other + run.words - 1]),
    }
