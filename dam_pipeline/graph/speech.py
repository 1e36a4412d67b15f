"""Spoken words of many media as arrays, and the shingles in which they are compared.

A shingle is four normalised words in a row. What is made of shared ones is in `same_words`.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dam_pipeline.stores.segment_files import Rows

SHINGLE_WORDS = 4
_PRIME = np.uint64(0x9E3779B97F4A7C15)  # odd, its bits well mixed: the golden ratio × 2^64


@dataclass(frozen=True, slots=True)
class Speech:
    """Words of several media, one media after another; those that are empty when normalised are out.

    `media` (n,) numbers into `media_ids`; `starts` (m,) is where each media's words begin; `plain`
    (n,) uint64 are hashes of the normalised words; times in seconds.
    """

    media_ids: Sequence[str]
    media: np.ndarray
    starts: np.ndarray
    texts: Any
    plain: np.ndarray
    start_s: np.ndarray
    end_s: np.ndarray


@dataclass(frozen=True, slots=True)
class Shingles:
    """Each shingle of each media once: its hash, and its first word's place among the media's."""

    media: np.ndarray
    shingle: np.ndarray
    place: np.ndarray


def speech_of(transcripts: Rows) -> Speech:
    """Words of transcript rows in order; a row without word times lends its own span to its words."""
    rows, texts, start_s, end_s = _words(transcripts.table)
    trimmed: Any = pc.utf8_trim_whitespace(texts)
    coded = trimmed.dictionary_encode()
    hashes = np.array([_hash(normalised(word)) for word in coded.dictionary.to_pylist()], np.uint64)
    plain = hashes[np.asarray(coded.indices)] if len(hashes) else np.zeros(0, np.uint64)
    kept = np.flatnonzero(plain != 0)
    media = transcripts.media[rows[kept]]
    return Speech(
        transcripts.media_ids,
        media,
        np.searchsorted(media, np.arange(len(transcripts.media_ids))),
        trimmed.take(pa.array(kept)),
        plain[kept],
        start_s[kept],
        end_s[kept],
    )


def normalised(word: str) -> str:
    """A word without case, marks and compatibility forms; empty when nothing is left."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", word).casefold())


def shingles_of(speech: Speech) -> Shingles:
    """The shingles of each media, in the order of media and hashes."""
    count = max(len(speech.plain) - SHINGLE_WORDS + 1, 0)
    hashes = np.zeros(count, np.uint64)
    for at in range(SHINGLE_WORDS):
        hashes = hashes * _PRIME + speech.plain[at : at + count]
    last = speech.media[SHINGLE_WORDS - 1 :][:count]
    begins = np.flatnonzero(speech.media[:count] == last)
    media, hashes = speech.media[begins], hashes[begins]
    place = begins - speech.starts[media]
    order = np.lexsort((place, hashes, media))
    media, hashes, place = media[order], hashes[order], place[order]
    is_first = np.ones(len(order), bool)
    is_first[1:] = (np.diff(media) != 0) | (hashes[1:] != hashes[:-1])
    return Shingles(media[is_first], hashes[is_first], place[is_first])


def _words(table: pa.Table) -> tuple[np.ndarray, Any, np.ndarray, np.ndarray]:
    """Of each word in order: its row, its text, its start and its end."""
    words: Any = table["words"].combine_chunks()
    rows = np.asarray(pc.list_parent_indices(words), np.int64)
    timed = pc.list_flatten(words)
    texts, start_s, end_s = (pc.struct_field(timed, n) for n in ("text", "start_s", "end_s"))
    own = np.asarray(pc.fill_null(pc.list_value_length(words), 0)) == 0
    bare = pc.utf8_split_whitespace(table["text"].combine_chunks().filter(pa.array(own)))
    at = np.flatnonzero(own)[np.asarray(pc.list_parent_indices(bare), np.int64)]
    rows = np.concatenate([rows, at])
    order = np.argsort(rows, kind="stable")
    starts = np.concatenate([_floats(start_s), _floats(table["start_s"])[at]])
    ends = np.concatenate([_floats(end_s), _floats(table["end_s"])[at]])
    both = pa.concat_arrays([texts, pc.list_flatten(bare)]).take(pa.array(order))
    return rows[order], both, starts[order], ends[order]


def _floats(column: Any) -> np.ndarray:
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)


def _hash(plain: str) -> int:
    """8 bytes of the word's hash, 0 for no word."""
    digest = hashlib.blake2b(plain.encode(), digest_size=8).digest() if plain else b""
    return int.from_bytes(digest, "little")
