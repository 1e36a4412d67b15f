"""What a delivered file is called: the original's name and the media's id, in the agency's characters.

The name depends on the media and the agency alone, so that it is the same in every package.
"""

import re
import unicodedata
from collections.abc import Iterable

from dam_pipeline.agencies.agency import FileNameRules
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.identity import KEY_DIGITS
from dam_pipeline.records import Media

SHORTEST_ID = 6  # hex digits: 16 million names
LONGEST_STEM = 60  # characters of the original's name where the agency has no limit

# Letters that Unicode does not take apart into a plain one and an accent.
_PLAIN = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D"}
    | {"ł": "l", "Ł": "L", "ı": "i", "þ": "th", "Þ": "Th", "ð": "d", "Ð": "D"}
)


def deliverable_names(wanted: Iterable[tuple[Media, str]], rules: FileNameRules) -> dict[str, str]:
    """File names by media id, of media with the suffix of what they become (`mov`, without a dot).

    A name is the original's, with plain letters for accented ones, then digits of the media id; of
    one in another script only the digits are left. No two names of a batch are alike but for their
    case or suffix: should the digits agree, those get more of them. Raises ConfigurationError where
    the agency's rules leave no room for an id.
    """
    wanted = list(wanted)
    digits = KEY_DIGITS
    names = {media.media_id: _name(media, suffix, rules, digits) for media, suffix in wanted}
    while doubles := _doubles(names):
        digits += 1
        for media, suffix in wanted:
            if media.media_id in doubles:
                names[media.media_id] = _name(media, suffix, rules, digits)
        if digits > max(len(media.media_id) for media, _ in wanted):
            raise ConfigurationError(
                f"File names of up to {rules.max_length} characters do not tell "
                f"{', '.join(sorted(doubles))} apart. Package them one by one."
            )
    return names


def _doubles(names: dict[str, str]) -> set[str]:
    """The media whose names differ in nothing but case or suffix."""
    owners: dict[str, list[str]] = {}
    for media_id, name in names.items():
        owners.setdefault(name.rpartition(".")[0].casefold(), []).append(media_id)
    return {one for same in owners.values() if len(same) > 1 for one in same}


def _name(media: Media, suffix: str, rules: FileNameRules, digits: int) -> str:
    room = (rules.max_length or LONGEST_STEM + digits) - len(suffix) - 1
    if room < SHORTEST_ID:
        raise ConfigurationError(
            f"File names of up to {rules.max_length} characters with .{suffix} have no room for an "
            f"id of {SHORTEST_ID}. Mend `file_name` in the agency's specification."
        )
    id_ = _in_characters(media.media_id, rules.allowed, "")[: min(digits, room)]
    joint = next((one for one in "_-" if re.fullmatch(f"[{rules.allowed}]", one)), "")
    stem = _in_characters(_stem(media.first_name), rules.allowed, joint)
    stem = stem[: max(room - len(id_) - len(joint), 0)].strip("-_. ")
    return f"{stem}{joint if stem else ''}{id_}.{suffix}"


def _stem(first_name: str) -> str:
    name = first_name.replace("\\", "/").rsplit("/", 1)[-1]
    return name.rsplit(".", 1)[0] or name


def _in_characters(text: str, allowed: str, instead: str) -> str:
    """The text in plain letters; what the agency does not allow becomes `instead`."""
    apart = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    plain = "".join(one for one in apart if not unicodedata.combining(one) and one.isascii())
    if not re.search(f"[{allowed}]", "A"):
        plain = plain.lower()
    elif not re.search(f"[{allowed}]", "a"):
        plain = plain.upper()
    return re.sub(
        rf"(?:[^{allowed}]|{re.escape(instead)})+" if instead else f"[^{allowed}]+", instead, plain
    )
