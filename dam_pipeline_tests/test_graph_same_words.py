"""Same-words edges: shared runs of words with their times; what everybody says counts for little."""

from collections.abc import Collection
from functools import partial

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from dam_pipeline import schemas
from dam_pipeline.graph.database import make_tables, write_edges
from dam_pipeline.graph.edges import Edge
from dam_pipeline.graph.same_words import same_words
from dam_pipeline.graph.speech import normalised, speech_of
from dam_pipeline.records import Json
from dam_pipeline.stores.segment_files import Rows

SPEECH = "we choose to go to the moon in this decade and do the other things"

Transcript = tuple[str, dict[str, Json]]


def transcript(media_id: str, text: str, start_s: float = 0.0) -> Transcript:
    """One word a second from `start_s` on."""
    words = [
        {"text": f" {word}", "start_s": start_s + at, "end_s": start_s + at + 1, "probability": 1.0}
        for at, word in enumerate(text.split())
    ]
    end_s = start_s + len(words)
    row = {"start_s": start_s, "end_s": end_s, "text": text, "language": "en", "words": words}
    return media_id, row


def rows_of(transcripts: list[Transcript]) -> Rows:
    """Transcripts of one row each, as segments give them."""
    table = pa.Table.from_pylist([row for _, row in transcripts], schemas.TRANSCRIPT)
    numbers = np.arange(len(transcripts))
    return Rows([media_id for media_id, _ in transcripts], numbers, 0 * numbers, table)


def some_of(known: dict[str, Transcript], media_ids: Collection[str]) -> Rows:
    return rows_of([known[one] for one in sorted(media_ids)])


def edges_of(*steps: list[Transcript]) -> list[Edge]:
    """The edges after some steps of adding transcripts, in the order of their media."""
    known: dict[str, Transcript] = {}
    edges: dict[tuple[str, str], Edge] = {}
    with duckdb.connect() as connection:
        make_tables(connection)
        for step in steps:
            known |= {media_id: (media_id, row) for media_id, row in step}
            new = [media_id for media_id, _ in step]
            found = list(same_words(connection, partial(some_of, dict(known)), new, new))
            write_edges(connection, found)
            left = connection.execute("SELECT a_media, b_media FROM edges").fetchall()
            edges |= {(edge.a_media, edge.b_media): edge for edge in found}
            edges = {pair: edges[pair] for pair in sorted(left)}
    return list(edges.values())


def test_a_shared_passage_is_an_edge_with_its_text_and_times() -> None:
    a = transcript("a", f"hello there {SPEECH}", 10.0)
    b = transcript("b", f"as he said back then {SPEECH.upper()}!", 100.0)
    (edge,) = edges_of([a, b])
    assert (edge.kind, edge.a_media, edge.b_media) == ("same_words", "a", "b")
    assert edge.evidence["text"] == SPEECH
    assert (edge.a_start_s, edge.a_end_s) == (12, 27)
    assert (edge.b_start_s, edge.b_end_s) == (105, 120)
    assert edge.evidence["words"] == 15
    # 12 shingles that only these two hold: 12 / (12 + 4)
    assert edge.weight == pytest.approx(0.75)


def test_three_words_in_a_row_are_no_evidence() -> None:
    a, b = transcript("a", "well we choose to run"), transcript("b", "now we choose to swim")
    assert not edges_of([a, b])


def test_two_passages_are_two_matches_the_longest_first() -> None:
    one, two = "the rain in spain", "ask not what your country can do"
    a = transcript("a", f"{one} falls mainly {two}")
    b = transcript("b", f"{two} they said {one}")
    (edge,) = edges_of([a, b])
    assert [match["text"] for match in edge.evidence["matches"]] == [two, one]
    assert edge.evidence["matches"][1]["b_start_s"] == 9


def test_what_many_say_weighs_less_and_what_all_say_nothing() -> None:
    greeting = "hello and welcome back everyone"
    few = [transcript(f"m{number}", f"{greeting} {number}") for number in range(4)]
    # two shingles in four media each: 2 × 2/4 = 1 → 1 / (1 + 4)
    edges = edges_of(few)
    assert len(edges) == 6
    assert {edge.weight for edge in edges} == {0.2}
    crowd = [transcript(f"m{number:02d}", f"{greeting} {number}") for number in range(60)]
    assert not edges_of(crowd)


def test_a_media_that_repeats_itself_has_no_edge() -> None:
    assert not edges_of([transcript("a", f"{SPEECH} {SPEECH}")])


def test_segments_without_word_times_lend_their_own() -> None:
    row = {"start_s": 5.0, "end_s": 9.0, "text": "To be, or not — to be", "words": []}
    timed = transcript("m", "the rest is silence", 9.0)[1]
    table = pa.Table.from_pylist([row | {"language": "en"}, timed], schemas.TRANSCRIPT)
    speech = speech_of(Rows(["m"], np.zeros(2, int), np.arange(2), table))
    words = [normalised(word) for word in speech.texts.to_pylist()]
    assert words == ["to", "be", "or", "not", "to", "be", "the", "rest", "is", "silence"]
    assert set(speech.start_s[:6]) == {5.0}
    assert list(speech.start_s[6:]) == [9.0, 10.0, 11.0, 12.0]


def test_a_new_file_changes_what_others_share() -> None:
    greeting = "hello and welcome back everyone"
    few = [transcript(f"m{number}", f"{greeting} {number}") for number in range(3)]
    more = [transcript(f"m{number}", f"{greeting} {number}") for number in range(3, 6)]
    # two shingles in three media each: 2 × 2/3 = 4/3; in six: 2 × 2/6, too little
    assert [edge.weight for edge in edges_of(few)] == [0.25] * 3
    assert edges_of(few, more) == []
    other = transcript("m1", SPEECH)
    assert edges_of(few, more[:1], [other]) == edges_of([few[0], other, few[2], more[0]])


@pytest.mark.parametrize(
    ("word", "plain"), [(" Don't!", "dont"), ("—", ""), ("ＭＯＯＮ", "moon"), ("Straße", "strasse")]
)
def test_words_are_compared_without_case_and_marks(word: str, plain: str) -> None:
    assert normalised(word) == plain
