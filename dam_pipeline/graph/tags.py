"""The table `tags`: each file's tags as a person should see them, those of changed files anew."""

import hashlib
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from dam_pipeline.graph import database as db
from dam_pipeline.graph.loading import Library
from dam_pipeline.graph.tables import TAGS
from dam_pipeline.records import Json
from dam_pipeline.settings import Settings
from dam_pipeline.tagging.effective import EffectiveTag, effective_tags
from dam_pipeline.tagging.people import Word, words_of_people
from dam_pipeline.tagging.vocabulary import names_of_terms

TABLE = "tags"
_LABELS_SQL = """
    SELECT media_id, list(label ORDER BY label) FROM tags WHERE source != 'colour' GROUP BY media_id
"""


def write_tags(
    connection: Any,
    settings: Settings,
    library: Library,
    before: Mapping[str, Mapping[str, str]],
    made_from: dict[str, dict[str, str]],
) -> dict[str, list[str]]:
    """Bring the table up to date and note its versions; gives the labels of each media's tags.

    Colours are in the table and not among the labels: they say little of what belongs together.
    """
    now = made_from[TABLE] = _versions(settings, library)
    old = before.get(TABLE)
    if old is None:
        db.write_table(connection, TABLE, TAGS.empty_table())
    stale = {one for one in {*(old or {}), *now} if (old or {}).get(one) != now.get(one)}
    if stale:
        media = [one for one in library.media if one.media_id in stale]
        found = effective_tags(settings, library.files("probe", "tags"), media)
        rows = [_row(media_id, tag) for media_id, tags in found.items() for tag in tags]
        db.replace_rows(connection, TABLE, stale, pa.Table.from_pylist(rows, TAGS))
    return dict(connection.execute(_LABELS_SQL).fetchall())


def _versions(settings: Settings, library: Library) -> dict[str, str]:
    """What each media's tags depend on: the stage, the probe's keywords, people, the vocabulary."""
    words = words_of_people(settings)
    vocabulary = hashlib.blake2b(repr(names_of_terms(settings)).encode(), digest_size=8).hexdigest()
    stages = [library.stage(name).entries for name in ("probe", "tags")]
    return {
        one.media_id: " ".join(
            [
                vocabulary,
                _said(words.get(one.asset_id)),
                *(entries[one.media_id].stamp for entries in stages if one.media_id in entries),
            ]
        )
        for one in library.media
    }


def _said(word: Word | None) -> str:
    return f"{sorted(word.added.items())}{sorted(word.removed)}" if word else ""


def _row(media_id: str, tag: EffectiveTag) -> dict[str, Json]:
    row = {name: getattr(tag, name) for name in TAGS.names[1:]}
    return {"media_id": media_id, **row}
