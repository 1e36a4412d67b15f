"""Same-words edges: shared runs of words with their times; what everybody says counts for little."""

import pytest

from dam_pipeline.graph.same_words import normalised, same_words, spoken_words

SPEECH = "we choose to go to the moon in this decade and do the other things"


def transcript(media_id: str, text: str, start_s: float = 0.0):
    """One word a second from `start_s` on."""
    words = [
        {"text": f" {word}", "start_s": start_s + at, "end_s": start_s + at + 1}
        for at, word in enumerate(text.split())
    ]
    row = {"start_s": start_s, "end_s": start_s + len(words), "text": text, "words": words}
    return media_id, spoken_words([row])


def test_a_shared_passage_is_an_edge_with_its_text_and_times() -> None:
    a = transcript("a", f"hello there {SPEECH}", 10.0)
    b = transcript("b", f"as he said back then {SPEECH.upper()}!", 100.0)
    (edge,) = same_words([a, b])
    assert (edge.kind, edge.a_media, edge.b_media) == ("same_words", "a", "b")
    assert edge.evidence["text"] == SPEECH
    assert (edge.a_start_s, edge.a_end_s) == (12, 27)
    assert (edge.b_start_s, edge.b_end_s) == (105, 120)
    assert edge.evidence["words"] == 15
    # 12 shingles that only these two hold: 12 / (12 + 4)
    assert edge.weight == pytest.approx(0.75)


def test_three_words_in_a_row_are_no_evidence() -> None:
    a, b = transcript("a", "well we choose to run"), transcript("b", "now we choose to swim")
    assert not list(same_words([a, b]))


def test_two_passages_are_two_matches_the_longest_first() -> None:
    one, two = "the rain in spain", "ask not what your country can do"
    a = transcript("a", f"{one} falls mainly {two}")
    b = transcript("b", f"{two} they said {one}")
    (edge,) = same_words([a, b])
    assert [match["text"] for match in edge.evidence["matches"]] == [two, one]
    assert edge.evidence["matches"][1]["b_start_s"] == 9


def test_what_many_say_weighs_less_and_what_all_say_nothing() -> None:
    greeting = "hello and welcome back everyone"
    few = [transcript(f"m{number}", f"{greeting} {number}") for number in range(4)]
    # two shingles in four media each: 2 × 2/4 = 1 → 1 / (1 + 4)
    edges = list(same_words(few))
    assert len(edges) == 6
    assert {edge.weight for edge in edges} == {0.2}
    crowd = [transcript(f"m{number:02d}", f"{greeting} {number}") for number in range(60)]
    assert not list(same_words(crowd))


def test_a_media_that_repeats_itself_has_no_edge() -> None:
    assert not list(same_words([transcript("a", f"{SPEECH} {SPEECH}")]))


def test_segments_without_word_times_lend_their_own() -> None:
    rows = [{"start_s": 5.0, "end_s": 9.0, "text": "To be, or not to be", "words": []}]
    words = spoken_words(rows)
    assert [word.plain for word in words] == ["to", "be", "or", "not", "to", "be"]
    assert {(word.start_s, word.end_s) for word in words} == {(5.0, 9.0)}


@pytest.mark.parametrize(
    ("word", "plain"), [(" Don't!", "dont"), ("—", ""), ("ＭＯＯＮ", "moon"), ("Straße", "strasse")]
)
def test_words_are_compared_without_case_and_marks(word: str, plain: str) -> None:
    assert normalised(word) == plain
