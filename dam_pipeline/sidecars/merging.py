"""The three-way merge of what a library and a sidecar say: pure, field by field.

`base` is what both said when they were last brought together, `ours` the library now, `theirs` the
sidecar now. What only one side changed is taken from it; where both changed a text differently there is a
conflict, which a person decides. Keywords are a set: what one side added is added, what one side took
away goes, and there are no conflicts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dam_pipeline.records import Json
from dam_pipeline.sidecars.fields import KEYWORDS, PLACE, PROPERTIES, Value, Values, same

Verdict = Literal["same", "write", "take", "both", "conflict"]
Side = Literal["", "ours", "theirs"]
_DECIDED: dict[Side, Verdict] = {"": "conflict", "ours": "write", "theirs": "take"}
CHANGED = "both sides changed it"
UNKNOWN = "the two were never brought together"
EMPTIED = "the sidecar has lost all the words that it held when it was last read or written"
WORDS = frozenset(("title", "description", KEYWORDS, "creator", "copyright", *PLACE))
"""What people say. Programs that know nothing of it write a rating all the same (darktable)."""


@dataclass(frozen=True, slots=True)
class Merge:
    """One field: what each side says (None: nothing), and what both are to say.

    `write` changes the sidecar, `take` the library, `both` both; a `conflict` is left as it is, and
    `why` says more of it.
    """

    field: str
    base: Value | None
    ours: Value | None
    theirs: Value | None
    merged: Value | None
    verdict: Verdict
    why: str = ""

    @property
    def changes_sidecar(self) -> bool:
        """Whether the sidecar is to say something else."""
        return self.verdict in ("write", "both")

    @property
    def changes_library(self) -> bool:
        """Whether the library is to say something else."""
        return self.verdict in ("take", "both")

    def to_json(self) -> dict[str, Json]:
        """The documented form."""
        sides = {name: _json(getattr(self, name)) for name in ("base", "ours", "theirs", "merged")}
        return {"field": self.field, "verdict": self.verdict, **sides, "why": self.why}


def merge(base: Values, ours: Values, theirs: Values, prefer: Side = "") -> list[Merge]:
    """The merge of every field that any side speaks of; `prefer` decides conflicts.

    An empty text of ours is what a person emptied, and stands against theirs.

    A sidecar that has no words any more is one conflict in all that it lost: a program that knows
    nothing of our fields may have written it anew. A place is disputed as a whole.
    """
    lost = set() if theirs.keys() & WORDS else base.keys() - theirs.keys()
    fields = [name for name in PROPERTIES if name in base or name in ours or name in theirs]
    merges = [
        _merged(name, base.get(name), ours.get(name), theirs.get(name), name in lost)
        for name in fields
    ]
    disputed = {one.field for one in merges if one.verdict == "conflict"}
    if disputed & set(PLACE):
        disputed |= {one.field for one in merges if one.field in PLACE and one.verdict != "same"}
    return [_decided(one, prefer) if one.field in disputed else one for one in merges]


def merge_words(base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """Keywords in our order, then what they added; two are the same whatever their case.

    A word keeps the spelling of the side that changed it. Their order does not count: programs sort
    keywords, and here the first are the most important.
    """
    was, we, they = (_by_key(one) for one in (base, ours, theirs))
    kept = [key for key in we if key in they or key not in was]
    kept += [key for key in they if key not in we and key not in was]
    return [_spelling(was.get(key), we.get(key), they.get(key)) for key in kept]


def _merged(
    name: str,
    base: Value | None,
    ours: Value | None,
    theirs: Value | None,
    is_lost: bool,
) -> Merge:
    is_hidden = ours == "" and base is None and theirs is not None  # a person wants nothing there
    ours = ours or None
    if name == KEYWORDS and not is_lost:
        return _merged_words(base, ours, theirs)
    if same(name, ours, theirs):
        return Merge(name, base, ours, theirs, theirs, "same")
    why = EMPTIED if is_lost else CHANGED if base else UNKNOWN
    is_conflict = is_lost or is_hidden
    if not is_conflict and same(name, base, ours):
        return Merge(name, base, ours, theirs, theirs, "take")
    if not is_conflict and same(name, base, theirs):
        return Merge(name, base, ours, theirs, ours, "write")
    return Merge(name, base, ours, theirs, theirs, "conflict", why)


def _decided(one: Merge, prefer: Side) -> Merge:
    merged = one.ours if prefer == "ours" else one.theirs
    return replace(one, verdict=_DECIDED[prefer], merged=merged, why=one.why or CHANGED)


def _merged_words(base: Value | None, ours: Value | None, theirs: Value | None) -> Merge:
    words = merge_words(base or (), ours or (), theirs or ())
    is_ours = _spelled(words) == _spelled(ours or ())
    is_theirs = _spelled(words) == _spelled(theirs or ())
    is_theirs = is_theirs and not (is_ours and _is_new_order(base or (), ours or ()))
    verdicts: dict[tuple[bool, bool], Verdict] = {
        (True, True): "same",
        (True, False): "write",
        (False, True): "take",
        (False, False): "both",
    }
    verdict = verdicts[is_ours, is_theirs]
    return Merge(KEYWORDS, base, ours, theirs, tuple(words) or None, verdict)


def _is_new_order(base: Sequence[str], ours: Sequence[str]) -> bool:
    """Whether the words that stayed stand in another order than they did."""
    was, we = _by_key(base), _by_key(ours)
    return [key for key in was if key in we] != [key for key in we if key in was]


def _spelling(base: str | None, ours: str | None, theirs: str | None) -> str:
    if ours is None or theirs is None:
        return ours or theirs or ""
    return theirs if ours == base else ours


def _by_key(words: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        found.setdefault(word.casefold(), word)
    return found


def _spelled(words: Iterable[str]) -> set[str]:
    return set(_by_key(words).values())


def _json(value: Value | None) -> Json:
    return list(value) if isinstance(value, tuple) else value
