"""Taking over into the library what people wrote into a sidecar with another program, as a person's word."""

from collections.abc import Sequence

from dam_pipeline.errors import ConfigurationError
from dam_pipeline.records import Json
from dam_pipeline.settings import Settings
from dam_pipeline.sidecars.fields import KEYWORDS, PLACE, TEXTS, is_generated, same
from dam_pipeline.sidecars.library import Said
from dam_pipeline.sidecars.merging import Merge
from dam_pipeline.stock import shortlist
from dam_pipeline.stock.fields import checked
from dam_pipeline.stock.people import edit_record
from dam_pipeline.tagging import people as tagging


def refusals(said: Said, merges: Sequence[Merge]) -> dict[str, str]:
    """Why the library cannot take a field over, by field; most often there is nothing."""
    refused = {}
    for one in merges:
        if one.field == "rating" and one.changes_library and not _stars(one):
            refused[one.field] = "the shortlist has ratings from 1 to 5, and knows no other"
        try:
            checked(_record_changes(said, merges, [one]))
        except ConfigurationError as error:
            refused[one.field] = str(error)
    return refused


def take_over(settings: Settings, said: Said, merges: Sequence[Merge]) -> None:
    """Make what the merges take the library's, at once; what it says already is not written.

    Raises ConfigurationError for what `refusals` names.
    """
    if changes := _record_changes(said, merges, merges):
        edit_record(settings, [said.asset_id], changes)
    for one in merges:
        if one.field == KEYWORDS and _concerns_us(one):
            _change_tags(settings, said, one)
        elif one.field == "rating" and _concerns_us(one):
            shortlist.add(settings, [said.asset_id], rating=_stars(one))


def _record_changes(
    said: Said, merges: Sequence[Merge], wanted: Sequence[Merge]
) -> dict[str, Json]:
    """Changes of the stock record, as `edit_record` takes them; `merges` are all of the media."""
    changes: dict[str, Json] = {}
    for one in wanted:
        if not _concerns_us(one) or _is_known(said, one):
            continue
        if one.field in TEXTS:
            changes[one.field] = one.merged or ""
        elif one.field in PLACE:
            changes["place"] = _place(merges)
        elif one.field == "source_type":
            changes["is_generated"] = is_generated(one.merged)
        elif one.field == KEYWORDS:
            changes |= _keywords(said, one)
    return changes


def _concerns_us(one: Merge) -> bool:
    """Whether the library may have to change; its keywords also where they only go to the sidecar.

    That can be such as are embedded, which the sidecar has hidden from the probe until now.
    """
    return one.changes_library or (one.changes_sidecar and one.field == KEYWORDS)


def _is_known(said: Said, one: Merge) -> bool:
    """Whether the record says it already."""
    if one.field in PLACE:
        return same(one.field, getattr(said.record.place, one.field, "") or None, one.merged)
    if one.field == "source_type":
        return bool(said.record.is_generated) == is_generated(one.merged)
    return one.field in TEXTS and same(
        one.field, getattr(said.record, one.field) or None, one.merged
    )


def _place(merges: Sequence[Merge]) -> dict[str, Json]:
    """The whole place as both sides are to have it: a part alone would hide the others' words."""
    parts = {one.field: one.merged or "" for one in merges if one.field in PLACE}
    if not parts.get("country"):
        parts.pop("country", None) if parts.get("country_code") else None
    if not parts.get("country_code"):
        parts.pop("country_code", None) if parts.get("country") else None
    return dict(parts)


def _keywords(said: Said, one: Merge) -> dict[str, Json]:
    """The person's own list anew, in its order; or what is added to the file's and taken from it."""
    added, removed = _differences(said, one)
    here = {word.casefold() for word in said.record.keywords}
    if said.word.values.get(KEYWORDS) is None:
        here |= {word.casefold() for word in said.embedded.get(KEYWORDS, ())}
        parts = {
            "add": [word for word in added if word not in said.record.keywords],
            "remove": [word for word in removed if word.casefold() in here],
        }
        parts = {key: words for key, words in parts.items() if words}
        return {KEYWORDS: parts} if parts else {}
    kept = (here - {word.casefold() for word in removed}) | {word.casefold() for word in added}
    words = [word for word in one.merged or () if word.casefold() in kept]
    return {} if words == list(said.record.keywords) else {KEYWORDS: words}


def _change_tags(settings: Settings, said: Said, one: Merge) -> None:
    """Tags follow the keywords."""
    added, removed = _differences(said, one)
    in_file = {said.tag_of(word) for word in said.file.get(KEYWORDS, ())}
    embedded = {said.tag_of(word) for word in said.embedded.get(KEYWORDS, ())}
    known = {*said.tagged.added, *in_file}
    left = {said.tag_of(word) for word in one.merged or ()}  # by another name of the term
    gone = [word for word in removed if said.tag_of(word) in (known | embedded) - left]
    new = [
        word
        for word in added
        if said.tag_of(word) in said.tagged.removed or said.tag_of(word) not in known
    ]
    if gone := [word for word in gone if _can_be_tag(word)]:
        tagging.remove_tags(settings, said.asset_id, gone, said.vocabulary)
    if new := [word for word in new if _can_be_tag(word)]:
        tagging.add_tags(settings, said.asset_id, new, said.vocabulary)


def _differences(said: Said, one: Merge) -> tuple[list[str], list[str]]:
    """Keywords that are new to us, also in their spelling or by being hidden, and those that are gone."""
    ours, merged = tuple(one.ours or ()), tuple(one.merged or ())
    left = {word.casefold() for word in merged}
    hidden = set(said.embedded.get(KEYWORDS, ())) - set(said.file.get(KEYWORDS, ()))
    added = [word for word in merged if word not in ours or word in hidden]
    return added, [word for word in ours if word.casefold() not in left]


def _can_be_tag(word: str) -> bool:
    return len(word) <= tagging.LONGEST and word.isprintable()


def _stars(one: Merge) -> int | None:
    """Stars as the shortlist has them."""
    stars = str(one.merged or "")
    return int(stars) if stars.isdigit() and int(stars) in shortlist.RATINGS else None
