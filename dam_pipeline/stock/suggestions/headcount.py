"""How many people are to be seen: the faces that were found, and those that a person marked."""

from collections.abc import Iterator

from dam_pipeline.stock.record import Suggestion
from dam_pipeline.stock.suggestions.known import Known
from dam_pipeline.tagging.vocabulary import plain

MARKED = 0.9  # by a person, in another program
FACES = 0.7  # people who look away are not counted
NONE_SEEN = 0.5  # no face is not nobody
PERSON = "person"  # the term above all that means people


def suggest(known: Known) -> Iterator[Suggestion]:
    """The number of people; nothing where no face was found but something else speaks of people."""
    marked = len(known.probe.face_regions)
    if marked:
        evidence = f"{marked} marked in another program"
        yield Suggestion("people", max(marked, known.faces or 0), "file", MARKED, evidence)
    elif known.faces:
        evidence = f"{known.faces} faces in one keyframe" if known.faces > 1 else "one face"
        yield Suggestion("people", known.faces, "faces", FACES, f"{evidence}; backs do not count")
    elif known.faces == 0 and not _speaks_of_people(known):
        evidence = "no face was seen; people may be turned away, small or hidden"
        yield Suggestion("people", 0, "faces", NONE_SEEN, evidence)


def _speaks_of_people(known: Known) -> bool:
    """Whether a tag or a keyword means a person, whoever said so."""
    vocabulary = known.library.vocabulary
    found = (vocabulary.find(word) for word in known.record.keywords)
    ids = [term.id for term in found if term]
    ids += [one.tag for one in known.tags if one.source != "colour"]
    return any(plain(PERSON) in map(plain, (tag, *vocabulary.parents(tag))) for tag in ids)
