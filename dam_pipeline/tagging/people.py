"""Tags that people added or took away, in the journal `tags`; no model ever writes here.

They hang on the asset id, which a media inherits from the one it supersedes. The last word counts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dam_pipeline.errors import ConfigurationError
from dam_pipeline.settings import Settings
from dam_pipeline.stores.journal import Journal
from dam_pipeline.tagging.vocabulary import Vocabulary, plain

JOURNAL = "tags"
LONGEST = 200  # characters of a tag


@dataclass(slots=True)
class Word:
    """What people said of one asset: tags they added and tags they removed, as compared texts.

    `added` maps the compared text to the tag as it is kept.
    """

    added: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)


def words_of_people(settings: Settings) -> dict[str, Word]:
    """What people said, by asset id; raises SchemaMismatch for a damaged journal."""
    words: dict[str, Word] = {}
    for entry in Journal(settings, JOURNAL).entries():
        word = words.setdefault(entry["asset_id"], Word())
        for tag in entry["tags"]:
            name = plain(tag)
            if entry["do"] == "add":
                word.removed.discard(name)
                word.added[name] = tag
            else:
                word.added.pop(name, None)
                word.removed.add(name)
    return words


def add_tags(
    settings: Settings, asset_id: str, texts: Sequence[str], vocabulary: Vocabulary
) -> list[str]:
    """Give an asset tags; gives them as they are kept: ids of terms, or what was typed.

    Raises ConfigurationError for texts that cannot be tags.
    """
    return _write(settings, "add", asset_id, texts, vocabulary)


def remove_tags(
    settings: Settings, asset_id: str, texts: Sequence[str], vocabulary: Vocabulary
) -> list[str]:
    """Take tags from an asset, whoever gave them; gives them as they are kept.

    Raises ConfigurationError for texts that cannot be tags.
    """
    return _write(settings, "remove", asset_id, texts, vocabulary)


def _write(
    settings: Settings, do: str, asset_id: str, texts: Sequence[str], vocabulary: Vocabulary
) -> list[str]:
    tags = list(dict.fromkeys(_kept(text, vocabulary) for text in texts))
    when = datetime.now(UTC).isoformat(timespec="seconds")
    entry: Mapping[str, object] = {"do": do, "asset_id": asset_id, "tags": tags, "when": when}
    Journal(settings, JOURNAL).append(entry)
    return tags


def _kept(text: str, vocabulary: Vocabulary) -> str:
    """The id of the term that is meant, or the text without odd spaces."""
    term = vocabulary.find(text)
    if term:
        return term.id
    tidy = " ".join(text.split())
    if not tidy or len(tidy) > LONGEST or not tidy.isprintable():
        raise ConfigurationError(
            f"{text!r} cannot be a tag. Use up to {LONGEST} printable characters."
        )
    return tidy


def implied(tag: str, vocabulary: Vocabulary) -> Iterator[str]:
    """A tag and, when it is a term, all that is wider."""
    yield tag
    yield from vocabulary.parents(tag)
