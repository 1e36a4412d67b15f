"""What people say of a media in this library, as one side of a merge; and taking over what they wrote elsewhere.

A model's word is never part of it: a suggestion goes into sidecars once it is a person's word, by
`dam stock edit --accept` or `dam tag add`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dam_pipeline.errors import SchemaMismatch
from dam_pipeline.identity import display_name, path_to_uri
from dam_pipeline.media.containers import facts_of
from dam_pipeline.media.tags import describe
from dam_pipeline.records import Json, Media, Probe, State
from dam_pipeline.sidecars.fields import (
    KEYWORDS,
    PLACE,
    TEXTS,
    Value,
    Values,
    is_generated,
    same,
    tidy,
)
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stock import shortlist
from dam_pipeline.stock.embedded import GENERATED, said_in_file
from dam_pipeline.stock.people import Word, laid_over, records_of_people
from dam_pipeline.stock.record import StockRecord
from dam_pipeline.stores.derived import DerivedFiles
from dam_pipeline.tagging import people as tagging
from dam_pipeline.tagging.vocabulary import Vocabulary, names_of_terms, plain


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of one media: here (`word`, `tagged`, `rating` on the shortlist), and in its `file`.

    `file` has what the stage `probe` read, from sidecars beside the original as well; `embedded` is
    that without the sidecar in question. `trouble` is why the probe cannot read the file, for good.
    """

    asset_id: str
    word: Word
    tagged: tagging.Word
    rating: int | None
    probe: Probe | None
    file: Values
    embedded: Values
    record: StockRecord
    vocabulary: Vocabulary
    trouble: str = ""

    @property
    def has_words(self) -> bool:
        """Whether a person said anything here that a sidecar has a place for."""
        return bool(self._typed() or self._keywords((), ()) or self.word.values.get("is_generated"))

    def apart_from(self, sidecar: Path) -> "Said":
        """The same with `embedded` as if this sidecar were not beside the original."""
        name = display_name(path_to_uri(sidecar))
        beside = self.probe.raw.get("sidecars", ()) if self.probe else ()
        others = [one for one in beside if one["name"] != name]
        if self.probe is None or len(others) == len(beside):
            return self
        raw = {**self.probe.raw, "sidecars": others}
        found = describe(raw.get("exiftool") or {}, [one.get("tags") or {} for one in others])
        title = found.title or facts_of(raw.get("ffprobe") or {}).title
        probe = replace(
            self.probe, title=title, keywords=found.keywords, rating=found.rating, raw=raw
        )
        return replace(self, embedded=_of_file(said_in_file(probe), probe))

    def ours(self, base: Values | None, theirs: Values) -> dict[str, Value]:
        """Our side of a merge, given what was last brought together (None: nothing yet).

        A field that a person emptied has an empty text. What is embedded counts until its field was
        brought together: from then on the sidecar is its home, and what is taken out there does not
        come back.
        """
        ours = {**self._handed_over(theirs), **(base or {})}
        ours.update(self._typed())
        if not self.rating and (base is not None or "rating" in theirs):
            ours["rating"] = theirs.get("rating", "")  # only the shortlist has a place for it
        self._set_source_type(ours, theirs)
        before = ours.get(KEYWORDS, ())
        ours[KEYWORDS] = tuple(self._keywords(before, (base or {}).get(KEYWORDS, ())))
        for name, other in (("country", "country_code"), ("country_code", "country")):
            # Here one always comes with the other; a sidecar may have one of them alone.
            if other not in theirs and same(name, ours.get(name), theirs.get(name, "")):
                ours.pop(other, None)
        return ours

    def paths(self, words: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Of each keyword that names a term the labels of what is wider, the widest first."""
        terms = {word: self.vocabulary.find(word) for word in words}
        return {
            word: tuple(map(self.vocabulary.label, self.vocabulary.parents(term.id)[::-1]))
            for word, term in terms.items()
            if term and term.parent
        }

    def _handed_over(self, theirs: Values) -> dict[str, Value]:
        """What the file says: against what the sidecar says; else only with a person's words.

        Where the file is silent, what the probe has read in the sidecar is the library's already.
        """
        said_there = set(theirs)
        if said_there & set(PLACE):  # of two places no parts are mixed
            said_there |= set(PLACE)
        handed = {
            name: value
            for name, value in self.embedded.items()
            if name in theirs or (self.has_words and name not in said_there)
        }
        known = _of_record(self.record)
        words = {word.casefold() for word in known.pop(KEYWORDS)}
        read = tuple(word for word in theirs.get(KEYWORDS, ()) if word.casefold() in words)
        agreed = {name: one for name, one in theirs.items() if same(name, known.get(name), one)}
        return {**agreed, **handed, KEYWORDS: (*handed.get(KEYWORDS, ()), *read)}

    def _typed(self) -> dict[str, Value]:
        """The fields that a person typed here; those that were emptied have an empty text."""
        values = self.word.values
        typed: dict[str, Value] = {
            name: tidy(name, values[name]) for name in TEXTS if name in values
        }
        place = values.get("place") or {}
        typed |= {name: tidy(name, place[name]) for name in PLACE if place.get(name)}
        return typed | ({"rating": str(self.rating)} if self.rating else {})

    def _set_source_type(self, ours: dict[str, Value], theirs: Values) -> None:
        """Any of the types that mean the same will do."""
        says = self.word.values.get("is_generated")
        if says is None:
            return
        there = theirs.get("source_type")
        ours["source_type"] = GENERATED[0] if says else ""
        if says == is_generated(there):
            ours["source_type"] = there or ours["source_type"]

    def _keywords(self, before: Value, base: Value) -> list[str]:
        typed = self.word.values.get(KEYWORDS)
        removed = {one.casefold() for one in self.word.removed.get(KEYWORDS, ())}
        kept = [one for one in before if one.casefold() not in removed and not self._untagged(one)]
        start = kept if typed is None else [tidy(KEYWORDS, one) for one in typed]
        words = [*start, *self.word.added.get(KEYWORDS, ())]
        words += self._labels(words, base)
        found: dict[str, str] = {}
        for word in filter(None, words):
            found.setdefault(word.casefold(), word)
        return _in_order(found, base, [one.casefold() for one in typed or ()])

    def _labels(self, words: Iterable[str], base: Value) -> list[str]:
        """Tags of people that no keyword says, by their labels, and all names that the sidecar has for them.

        A term goes by the sidecar's names for it; other tags are spelled as they were typed last.
        """
        said = {self.tag_of(word) for word in words}
        there = [word for word in base if self.tag_of(word) in self.tagged.added]
        named = said | {self.tag_of(word) for word in there}
        labels = [
            tidy(KEYWORDS, self.vocabulary.label(tag))
            for name, tag in self.tagged.added.items()
            if name not in named or (name not in said and tag not in self.vocabulary.terms)
        ]
        return [*labels, *there]

    def tag_of(self, word: str) -> str:
        """A keyword as tags are compared: all names of a term are one."""
        term = self.vocabulary.find(word)
        return plain(term.id if term else word)

    def _untagged(self, word: str) -> bool:
        return self.tag_of(word) in self.tagged.removed


def load_said(tools: Toolbox, media: Sequence[Media]) -> dict[str, Said]:
    """What is said of these media, by media id; those that were never probed are left out.

    Raises SchemaMismatch for a damaged journal.
    """
    settings = tools.settings
    words, tagged = records_of_people(settings), tagging.words_of_people(settings)
    picks, vocabulary = shortlist.picks(settings), names_of_terms(settings)
    tools.derived.bring([one.media_id for one in media], ("probe",), anew=False)
    found = {}
    for one in media:
        probe, trouble = _probe(tools.derived, one.media_id)
        if probe is None and not trouble:
            continue
        word, pick = words.get(one.asset_id, Word()), picks.get(one.asset_id)
        in_file = said_in_file(probe) if probe else {}
        date = probe.created_at or "" if probe else ""
        file = _of_file(in_file, probe)
        found[one.media_id] = Said(
            asset_id=one.asset_id,
            word=word,
            tagged=tagged.get(one.asset_id, tagging.Word()),
            rating=pick.rating if pick else None,
            probe=probe,
            file=file,
            embedded=file,
            record=laid_over(StockRecord.from_json({"date": date, **in_file}), word),
            vocabulary=vocabulary,
            trouble=trouble,
        )
    return found


def _probe(derived: DerivedFiles, media_id: str) -> tuple[Probe | None, str]:
    """What the probe found; or None and, where it failed for good, why."""
    try:
        stored = derived.outcome(media_id, "probe")
    except SchemaMismatch:
        return None, ""  # `dam doctor` tells of it
    if stored and stored.state is State.DONE:
        return Probe.from_json(stored.result), ""
    is_for_good = stored and stored.state is State.FAILED and not stored.retryable
    return None, stored.reason if stored and is_for_good else ""


def _of_record(record: StockRecord) -> dict[str, Value]:
    """What the library says in the fields of sidecars that it has a place for."""
    found: dict[str, Value] = {name: tidy(name, getattr(record, name)) for name in TEXTS}
    found |= {name: tidy(name, getattr(record.place, name, "")) for name in PLACE}
    return {**found, KEYWORDS: record.keywords}


def _of_file(in_file: Mapping[str, Json], probe: Probe | None) -> dict[str, Value]:
    """What the file says in the fields of sidecars; when it was taken, every program reads there."""
    found: dict[str, Value] = {name: tidy(name, in_file.get(name, "")) for name in TEXTS}
    found |= {name: tidy(name, in_file.get("place", {}).get(name, "")) for name in PLACE}
    found["rating"] = tidy("rating", str(probe.rating or "") if probe else "")
    found["source_type"] = GENERATED[0] if in_file.get("is_generated") else ""
    found[KEYWORDS] = tuple(tidy(KEYWORDS, one) for one in in_file.get(KEYWORDS, ()))
    return {name: value for name, value in found.items() if value}


def _in_order(words: Mapping[str, str], base: Value, ranked: Sequence[str]) -> list[str]:
    """Words as a person ranked them; the others as they stood when last brought together, then new ones."""
    order: list[str] = []
    stood = [key for word in base if (key := word.casefold()) in words]
    for key in ranked:
        if key in stood:
            at = stood.index(key)
            order += [one for one in stood[:at] if one not in ranked]
            stood = stood[at:] if key == stood[at] else stood
        order.append(key)
    return [words[key] for key in dict.fromkeys((*order, *stood, *words))]
