"""The shortlist: which media a contributor means to submit, with ratings, tags and notes of their own.

It is kept in the journal `shortlist`, by asset id: a file that supersedes another takes its place. One
list a library, in the order in which things were added.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.errors import ConfigurationError, SchemaMismatch
from dam_pipeline.records import Json, Media
from dam_pipeline.settings import Settings
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stock.people import author
from dam_pipeline.stock.wording import clean
from dam_pipeline.stores.journal import Journal

JOURNAL = "shortlist"
RATINGS = range(1, 6)


@dataclass(frozen=True, slots=True)
class Pick:
    """One asset on the shortlist; `rating` 1 to 5, None without. `when` it was added, and by whom."""

    asset_id: str
    rating: int | None = None
    tags: tuple[str, ...] = ()
    note: str = ""
    when: str = ""
    by: str = ""


def picks(settings: Settings) -> dict[str, Pick]:
    """The shortlist by asset id, first added first; raises SchemaMismatch for a damaged journal."""
    found: dict[str, Pick] = {}
    try:
        for entry in Journal(settings, JOURNAL).entries():
            _replay(found, entry)
    except (KeyError, TypeError) as error:
        raise SchemaMismatch(
            f"The journal {JOURNAL} holds an entry that this version does not read ({error}). "
            "Update dam_pipeline."
        ) from error
    return found


def add(
    settings: Settings,
    asset_ids: Sequence[str],
    rating: int | None = None,
    tags: Sequence[str] = (),
    note: str | None = None,
) -> None:
    """Put assets on the shortlist, or say more of those that are on it: tags are added to theirs.

    Raises ConfigurationError for a rating that is not 1 to 5.
    """
    if rating is not None and rating not in RATINGS:
        raise ConfigurationError(f"{rating} is no rating: 1 to 5.")
    said: dict[str, Json] = {"tags": [tag for one in tags if (tag := clean(one))]}
    if rating is not None:
        said["rating"] = rating
    if note is not None:
        said["note"] = clean(note)
    _append(settings, "add", asset_ids, said)


def remove(settings: Settings, asset_ids: Sequence[str]) -> None:
    """Take assets from the shortlist, with what was said of them there."""
    _append(settings, "remove", asset_ids, {})


def shortlisted(settings: Settings, catalogue: Catalogue) -> list[Media]:
    """The media on the shortlist as they are now, in its order; forgotten ones are left out."""
    asset_ids = list(picks(settings))
    media = catalogue.of_assets(asset_ids)
    return [media[one] for one in asset_ids if one in media]


def chosen(tools: Toolbox, references: Sequence[str]) -> list[Media]:
    """The media that are named, each once; the shortlist where none is.

    Raises ConfigurationError for a reference that fits no media or several, or when there is nothing.
    """
    if references:
        found = [tools.catalogue.find(one) for one in references]
        return list({one.media_id: one for one in found}.values())
    if media := shortlisted(tools.settings, tools.catalogue):
        return media
    raise ConfigurationError(
        "No media is named, and the shortlist is empty: `dam stock shortlist add MEDIA…`."
    )


def _replay(found: dict[str, Pick], entry: Mapping[str, Json]) -> None:
    for asset_id in entry["asset_ids"]:
        if entry["do"] == "remove":
            found.pop(asset_id, None)
        else:
            new = Pick(asset_id, when=entry["when"], by=entry["by"])
            found[asset_id] = _said(found.get(asset_id, new), entry)


def _said(pick: Pick, entry: Mapping[str, Json]) -> Pick:
    return replace(
        pick,
        rating=entry.get("rating", pick.rating),
        note=entry.get("note", pick.note),
        tags=tuple(dict.fromkeys((*pick.tags, *entry.get("tags", ())))),
    )


def _append(
    settings: Settings, do: str, asset_ids: Sequence[str], said: Mapping[str, Json]
) -> None:
    if asset_ids:
        when = datetime.now(UTC).isoformat(timespec="seconds")
        entry = {"do": do, "asset_ids": list(asset_ids), "when": when, "by": author(), **said}
        Journal(settings, JOURNAL).append(entry)
