"""Queries to LanceDB's tables: nearest vectors, segments that hold words, and conditions on media."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from dam_pipeline.stores.vectors.phrases import holds_all, loose_words, phrases_of, plain_words

EXACT_UP_TO_MEDIA = 1500  # filters this narrow are answered without the index: 65 ms for 1,000
BROAD_FACTOR = 3  # of a filter broader than that, more rows are asked for and picked from
PROBES = 64
REFINE, REFINE_MANY = 4, 2  # more rows are compared again for a short answer than for a long one
MANY = 50
HYBRID_DEPTH = 100  # rows of each order that a short answer is joined from
RANK_CONSTANT = 60
STAMP = "stamp"  # of the put that wrote a row; later ones sort behind earlier ones
PHRASE_FACTOR = 4  # rows that hold the stems of a phrase often hold its words


def nearest_rows(
    vector: np.ndarray, k: int, media_ids: Collection[str] | None, table: Any
) -> list[dict[str, Any]]:
    """Rows of a table nearest to a vector (d,), best first, with their cosine distance."""
    columns = ["media_id", "item", "time_s", "start_s", "end_s", STAMP, "_distance"]
    columns += [name for name in ("text",) if name in table.schema.names]
    query = table.search(vector.astype(np.float32).ravel()).distance_type("cosine")
    query = query.select(columns).limit(k)
    if media_ids is not None:
        if not media_ids:
            return []
        query = query.where(among(media_ids), prefilter=True)
        if len(media_ids) <= EXACT_UP_TO_MEDIA:
            query = query.bypass_vector_index()
    refine = REFINE if k <= MANY else REFINE_MANY
    return list(query.nprobes(PROBES).refine_factor(refine).to_arrow().to_pylist())


def word_rows(
    text: str, k: int, media_ids: Collection[str] | None, table: Any
) -> list[dict[str, Any]]:
    """Rows of the table of words that hold every word of `text`, best first, with their BM25.

    Phrases are found by their stems' places in the index and then held against the text itself.
    """
    phrases = phrases_of(text)
    columns = ["media_id", "item", "start_s", "end_s", "text", STAMP, "_score"]
    columns += [name for name in ("time_s",) if name in table.schema.names]
    query = table.search(_full_text(text, phrases), query_type="fts").select(columns)
    query = query.limit(PHRASE_FACTOR * k if phrases else k)
    if media_ids is not None:
        query = query.where(among(media_ids), prefilter=True)
    rows = query.to_arrow().to_pylist()
    return [row for row in rows if holds_all(row["text"], phrases)][:k]


def _full_text(text: str, phrases: Sequence[str]) -> Any:
    """LanceDB's query for every loose word and every phrase of a text."""
    from lancedb.query import BooleanQuery, FullTextOperator, MatchQuery, Occur, PhraseQuery

    parts: list[Any] = [PhraseQuery(phrase, "text") for phrase in phrases]
    words = loose_words(text)
    if plain_words(words):
        parts.append(MatchQuery(words, "text", operator=FullTextOperator.AND))
    return parts[0] if len(parts) == 1 else BooleanQuery([(Occur.MUST, part) for part in parts])


def among(media_ids: Collection[str]) -> str:
    """The condition that a row belongs to one of these media."""
    quoted = ",".join("'" + media_id.replace("'", "''") + "'" for media_id in sorted(media_ids))
    return f"media_id IN ({quoted})"


def of_one_state(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the newest put of each media, without its stamp; one that deletes has left older ones."""
    newest: dict[str, str] = {}
    for row in rows:
        newest[row["media_id"]] = max(newest.get(row["media_id"], ""), row[STAMP])
    return [row for row in rows if row.pop(STAMP) == newest[row["media_id"]]]


def hybrid_rows(
    vector: np.ndarray, text: str, k: int, media_ids: Collection[str] | None, table: Any
) -> list[dict[str, Any]]:
    """Rows best by nearness and by words, best first, joined by reciprocal rank."""
    depth = max(k, HYBRID_DEPTH)
    lists = [nearest_rows(vector, depth, media_ids, table)]
    asked = " ".join(plain_words(text))
    if asked and "text" in table.schema.names:
        lists.append(word_rows(asked, depth, media_ids, table))
    found: dict[tuple[str, str, int], dict[str, Any]] = {}
    scores: dict[tuple[str, str, int], float] = defaultdict(float)
    for one in lists:
        for rank, row in enumerate(one):
            key = (row["media_id"], row[STAMP], row["item"])
            found.setdefault(key, {"text": None} | row)
            scores[key] += 1 / len(lists) / (RANK_CONSTANT + rank)
    best = sorted(found, key=lambda key: (-scores[key], key))[:k]
    return [{**found[key], "score": scores[key]} for key in best]
