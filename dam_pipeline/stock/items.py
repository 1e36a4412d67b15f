"""Items: media with everything that rules and packages look at, read in one go for many of them.

What a person typed comes first, then what the file says (a person, in another program), then facts that
the stages found. Words that are only suggested never get into the record by themselves.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from dam_pipeline.errors import SchemaMismatch
from dam_pipeline.records import Json, Location, Media, Probe, State
from dam_pipeline.sources.originals import is_as_found, is_there
from dam_pipeline.stages.face_embeddings import SWITCHED_OFF
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stock.embedded import said_in_file
from dam_pipeline.stock.footage import gamma_of, profile_of
from dam_pipeline.stock.people import Word, laid_over, records_of_people
from dam_pipeline.stock.record import Item, StockRecord, Suggestion
from dam_pipeline.stock.suggestions import FACTS, SURE_ENOUGH, known, suggestions
from dam_pipeline.stores.derived import DerivedFiles

STAGES_READ = ("checksum", "face_embeddings", *known.STAGES_READ)
READ_AT_ONCE = 500  # media whose files are fetched together

Tell = Callable[[int, str], None]  # how many are read, and the key of the last


def load_items(
    tools: Toolbox,
    media: Sequence[Media],
    words: Mapping[str, Word] | None = None,
    progress: Tell = lambda _done, _note: None,
) -> list[Item]:
    """The items of these media, in their order; `probe.container` is empty where nobody probed.

    `words` are what people said, by asset id, where not what the journal holds. `probe.raw` is left
    out: it is large. Raises SchemaMismatch for a damaged journal.
    """
    words = records_of_people(tools.settings) if words is None else words
    library = known.open_library(tools)
    items: list[Item] = []
    for start in range(0, len(media), READ_AT_ONCE):
        some = media[start : start + READ_AT_ONCE]
        ids = [one.media_id for one in some]
        tools.derived.bring(ids, STAGES_READ, anew=False)
        said = [_said(tools.derived, one, words.get(one.asset_id, Word())) for one in some]
        places = tools.catalogue.locations_of(ids)
        for one, what in zip(said, known.read_known(tools, library, said), strict=True):
            word = words.get(one.media.asset_id, Word())
            offered = tuple(x for x in suggestions(what) if not _is_refused(x, word))
            items.append(_item(tools.derived, one, offered, places[one.media.media_id]))
            progress(len(items), one.media.partition_key)
    return items


def _said(derived: DerivedFiles, media: Media, word: Word) -> known.Said:
    """What people and the file say of a media."""
    document, trouble = _result(derived, media.media_id, "probe")
    probe = Probe.from_json(document) if document else _nothing_probed(media)
    in_file = said_in_file(probe)
    return known.Said(
        media=media,
        probe=probe,
        record=laid_over(StockRecord.from_json(in_file), word),
        said_by={**dict.fromkeys(in_file, "file"), **dict.fromkeys(word.fields, "person")},
        faces=faces_at_once(derived, media.media_id) if probe.has_picture else None,
        trouble=trouble,
    )


def _is_refused(one: Suggestion, word: Word) -> bool:
    """Whether a person took this keyword away: it is not offered again."""
    if one.field != "keywords":
        return False
    return str(one.value).casefold() in {
        str(x).casefold() for x in word.removed.get("keywords", ())
    }


def _item(
    derived: DerivedFiles,
    said: known.Said,
    offered: tuple[Suggestion, ...],
    places: Sequence[Location],
) -> Item:
    facts = {
        one.field: one
        for one in reversed(offered)  # the surest last
        if one.field in FACTS and one.field not in said.said_by and one.confidence >= SURE_ENOUGH
    }
    values = {name: one.value for name, one in facts.items()}
    uri, is_changed = _readable_at(places)
    return Item(
        media=said.media,
        uri=uri,
        is_changed=is_changed,
        probe=replace(said.probe, raw={}),
        sha256=str(_result(derived, said.media.media_id, "checksum")[0].get("sha256", "")),
        record=StockRecord.from_json(said.record.to_json() | values),
        said_by={**said.said_by, **{name: one.source for name, one in facts.items()}},
        suggestions=offered,
        faces=said.faces,
        profile=profile_of(said.probe.raw),
        gamma=gamma_of(said.probe.raw),
        trouble=said.trouble,
    )


def faces_at_once(derived: DerivedFiles, media_id: str) -> int | None:
    """The most faces in one keyframe of a media, None while nobody has looked."""
    try:
        stored = derived.outcome(media_id, "face_embeddings")
        if stored is None or stored.state not in (State.DONE, State.EMPTY):
            return None
        if not stored.rows:
            return None if stored.reason == SWITCHED_OFF else 0
        rows = derived.table(media_id, "face_embeddings").column("keyframe").to_pylist()
    except SchemaMismatch:
        return None  # `dam doctor` tells of it
    return max(Counter(rows).values())


def _nothing_probed(media: Media) -> Probe:
    """What a file says of itself while nobody asked it."""
    return Probe(
        kind=media.kind,
        container="",
        duration_s=0.0,
        size_bytes=media.size_bytes,
        width=0,
        height=0,
        rotation_deg=0,
        has_video=False,
        has_audio=False,
        frame_rate=0.0,
        is_variable_frame_rate=False,
        codecs=(),
    )


def _result(derived: DerivedFiles, media_id: str, stage: str) -> tuple[Mapping[str, Json], str]:
    """What a stage found; where it failed, or its file is of another version, nothing and why."""
    try:
        stored = derived.outcome(media_id, stage)
    except SchemaMismatch as error:
        return {}, str(error)
    if stored and stored.state is State.DONE:
        return stored.result, ""
    return {}, stored.reason if stored and stored.state is State.FAILED else ""


def _readable_at(places: Sequence[Location]) -> tuple[str, bool]:
    """Where the file is now, empty where nowhere; and whether it was written to wherever it is."""
    here = [one for one in places if one.missing_since is None and is_there(one.uri)]
    as_found = [one for one in here if is_as_found(one)]
    uris = [one.uri for one in as_found or here]
    return next(iter(uris), ""), bool(here) and not as_found
