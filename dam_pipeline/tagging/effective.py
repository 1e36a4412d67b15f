"""The tags of a file as a person should see them: the model's, minus removed, plus added ones.

The derived tables stay the model's own view; what people said is laid over them here at reading.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow.compute as pc

from dam_pipeline.errors import SchemaMismatch
from dam_pipeline.records import Json, Media, State
from dam_pipeline.settings import Settings
from dam_pipeline.stores.derived import DerivedFiles
from dam_pipeline.tagging.people import Word, implied, words_of_people
from dam_pipeline.tagging.vocabulary import Vocabulary, names_of_terms, plain

STAGE = "tags"
STAGES_READ = (STAGE, "probe")
SOURCES = ("person", "file", "model", "colour")
"""Who says so, the most trusted first: a person, a keyword in the file, the model, the colours."""

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class EffectiveTag:
    """One tag of one file. `tag` is a term's id, a colour's name or what a person typed.

    `score` is that of the model (0.5 is the threshold) or the colour's share of the picture, None
    where neither saw it. `spans` is where it is seen, `start_s` to `end_s` from first to last.
    """

    tag: str
    label: str
    source: str
    score: float | None
    start_s: float
    end_s: float
    parents: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """The documented form."""
        return {
            "tag": self.tag,
            "label": self.label,
            "source": self.source,
            "score": None if self.score is None else round(self.score, 4),
            "start_s": self.start_s,
            "end_s": self.end_s,
            "parents": list(self.parents),
            "spans": [{"start_s": start, "end_s": end} for start, end in self.spans],
        }


def effective_tags(
    settings: Settings,
    derived: DerivedFiles,
    media: Sequence[Media],
    vocabulary: Vocabulary | None = None,
) -> dict[str, list[EffectiveTag]]:
    """The tags of these media by media id, the most trusted and best first.

    Raises SchemaMismatch for a damaged journal; a damaged table counts as none.
    """
    vocabulary = vocabulary or names_of_terms(settings)
    derived.bring([one.media_id for one in media], STAGES_READ, anew=False)
    words = words_of_people(settings)
    return {
        one.media_id: _of_file(derived, one, words.get(one.asset_id, Word()), vocabulary)
        for one in media
    }


def media_with_tags(
    settings: Settings, derived: DerivedFiles, media: Sequence[Media], wanted: Sequence[str]
) -> set[str]:
    """Ids of those media that carry all wanted tags, given as ids or names in any language.

    Opens two small files a media and no table.
    """
    vocabulary = names_of_terms(settings)
    derived.bring([one.media_id for one in media], STAGES_READ, anew=False)
    words = words_of_people(settings)
    asked = {plain(term.id if (term := vocabulary.find(text)) else text) for text in wanted}
    return {
        one.media_id
        for one in media
        if asked <= _names(derived, one, words.get(one.asset_id, Word()), vocabulary)
    }


def _names(derived: DerivedFiles, media: Media, word: Word, vocabulary: Vocabulary) -> set[str]:
    result = _result(derived, media.media_id, STAGE)
    seen = {plain(tag) for tag in (*result.get("terms", {}), *result.get("colours", {}))}
    keywords = _result(derived, media.media_id, "probe").get("keywords", ())
    said = _with_parents([*word.added.values(), *_terms_of(keywords, vocabulary)], vocabulary)
    return (seen | said.keys()) - word.removed


def _of_file(
    derived: DerivedFiles, media: Media, word: Word, vocabulary: Vocabulary
) -> list[EffectiveTag]:
    probe = _result(derived, media.media_id, "probe")
    whole = (0.0, float(probe.get("duration_s", 0.0)))
    keywords = _terms_of(probe.get("keywords", ()), vocabulary)
    found = {plain(one.tag): one for one in _seen(derived, media.media_id, vocabulary)}
    for source, tags in (("file", keywords), ("person", list(word.added.values()))):
        for name, tag in _with_parents(tags, vocabulary).items():
            label, parents = vocabulary.label(tag), vocabulary.parents(tag)
            said = EffectiveTag(tag, label, source, None, *whole, parents, (whole,))
            found[name] = replace(found[name], source=source) if name in found else said
    kept = [one for name, one in found.items() if name not in word.removed]
    return sorted(kept, key=lambda one: (SOURCES.index(one.source), -(one.score or 0.0), one.tag))


def _seen(derived: DerivedFiles, media_id: str, vocabulary: Vocabulary) -> list[EffectiveTag]:
    """What the stage found in a file."""
    try:
        stored = derived.outcome(media_id, STAGE)
        if stored is None or stored.state is not State.DONE or not stored.rows:
            return []
        table = derived.table(media_id, STAGE)
    except SchemaMismatch:
        return []  # `dam doctor` tells of it
    rows = table.filter(pc.is_valid(table["keyframe"])).to_pylist()
    spans: dict[str, list[Span]] = {}
    for row in rows:
        spans.setdefault(row["tag"], []).append((row["start_s"], row["end_s"]))
    return [
        EffectiveTag(
            tag=row["tag"],
            label=vocabulary.label(row["tag"]) if row["kind"] == "term" else row["tag"],
            source="model" if row["kind"] == "term" else "colour",
            score=row["score"],
            start_s=row["start_s"],
            end_s=row["end_s"],
            parents=vocabulary.parents(row["tag"]) if row["kind"] == "term" else (),
            spans=tuple(_joined(spans.get(row["tag"], []))),
        )
        for row in table.filter(pc.is_null(table["keyframe"])).to_pylist()
    ]


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Spans that touch, as one."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1] + 1e-3:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _terms_of(keywords: Iterable[str], vocabulary: Vocabulary) -> list[str]:
    """Keywords of a file as tags: ids of the terms they name, else as they are written."""
    found = ((vocabulary.find(text), str(text).strip()) for text in keywords)
    return [term.id if term else text for term, text in found if term or text]


def _with_parents(tags: Iterable[str], vocabulary: Vocabulary) -> dict[str, str]:
    """Compared text → tag, of the tags and all that is wider."""
    return {plain(one): one for tag in tags for one in implied(tag, vocabulary)}


def _result(derived: DerivedFiles, media_id: str, stage: str) -> Mapping[str, Json]:
    try:
        stored = derived.outcome(media_id, stage)
    except SchemaMismatch:
        return {}
    return stored.result if stored and stored.state is State.DONE else {}
