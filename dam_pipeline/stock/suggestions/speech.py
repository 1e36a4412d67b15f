"""Words from what is said: the first sentence as a title, more as a description, terms as keywords."""

import re
from collections.abc import Iterator

from dam_pipeline.stock.record import Suggestion
from dam_pipeline.stock.suggestions.keywords import ENGLISH
from dam_pipeline.stock.suggestions.known import Known, Spoken
from dam_pipeline.stock.wording import cut_at_word

SPOKEN = 0.5  # what is said is often not what is seen
NOT_ENGLISH = 0.5  # of that: agencies want English
TITLE_LENGTH = 70
DESCRIPTION_LENGTH = 200
FEWEST_WORDS = 3
SENTENCE_END = re.compile(r"(?<=[.!?…])\s")
WORD = re.compile(r"[^\W\d_]+")


def suggest(known: Known) -> Iterator[Suggestion]:
    """Title, description and keywords from the transcript, none where next to nothing is said."""
    told = [one for one in known.speech if one.text]
    text = " ".join(one.text for one in told)
    if len(text.split()) < FEWEST_WORDS:
        return
    sure = round(sum(_sure(one) for one in told) / len(told), 2)
    evidence = f"spoken in {told[0].language}, {told[0].start_s:.1f}–{told[-1].end_s:.1f} s"
    title = cut_at_word(_first_sentence(text), TITLE_LENGTH).rstrip(".")
    yield Suggestion("title", title, "transcript", sure, evidence)
    yield Suggestion(
        "description", cut_at_word(text, DESCRIPTION_LENGTH), "transcript", sure, evidence
    )
    for one in told:
        yield from _keywords(known, one)


def _sure(spoken: Spoken) -> float:
    return SPOKEN * spoken.probability * (1.0 if spoken.language == ENGLISH else NOT_ENGLISH)


def _first_sentence(text: str) -> str:
    """The first that says more than a word or two."""
    sentences = SENTENCE_END.split(text)
    return next((one for one in sentences if len(one.split()) >= FEWEST_WORDS), text)


def _keywords(known: Known, spoken: Spoken) -> Iterator[Suggestion]:
    """Terms of the vocabulary that are named, by single words, in any language."""
    vocabulary = known.library.vocabulary
    evidence = f"said in {spoken.start_s:.1f}–{spoken.end_s:.1f} s"
    for word in WORD.findall(spoken.text):
        if term := vocabulary.find(word):
            name = vocabulary.label(term.id, ENGLISH)
            yield Suggestion("keywords", name, "transcript", round(_sure(spoken), 2), evidence)
