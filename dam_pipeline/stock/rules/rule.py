"""What a rule is: a small function that looks at an item, or at a whole batch, and says what it finds.

Rules run one after the other, each over all items, so a later one sees what earlier ones mended. Here
is only how they are written and heard; what they say is in the files of their themes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from dam_pipeline.agencies.agency import Agency, MediaRules
from dam_pipeline.graph.among import Alike
from dam_pipeline.records import Json
from dam_pipeline.stock.accepting import AT_LEAST
from dam_pipeline.stock.deliveries import Delivery
from dam_pipeline.stock.record import Finding, Fix, Item, Rendition, Submission, Verdict

Level = Literal["error", "warning", "fix"]


@dataclass(frozen=True, slots=True)
class Wrong:
    """What the agency or the law would refuse; the item is left out until `fix` is done."""

    message: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Advice:
    """What a person should know or may do better; the item goes out all the same."""

    message: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Mended:
    """What was made right of itself: `changes` are fields of the submission."""

    message: str
    before: str
    after: str
    changes: Mapping[str, Json]


Said = Wrong | Advice | Mended


@dataclass(slots=True)
class Case:
    """One item before the rules of one agency: what would be submitted, and what was said so far."""

    item: Item
    agency: Agency
    submission: Submission
    errors: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    fixes: list[Fix] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The partition key, by which people call the media."""
        return self.item.media.partition_key

    @property
    def is_probed(self) -> bool:
        """Whether anything is known of the file but its name."""
        return bool(self.item.probe.container)

    @property
    def form(self) -> MediaRules:
        """What files of the item's kind the agency takes; without a limit where nothing is known."""
        kind = self.item.probe.kind
        return self.agency.rules_for(kind) if self.is_probed else MediaRules(kind)

    @property
    def rendition(self) -> Rendition:
        """How the deliverable is made, as decided so far."""
        return self.submission.rendition

    def edit(self, options: str) -> str:
        """The command by which a person says something of the item."""
        return f"dam stock edit {self.key} {options}"

    def say(self, name: str, options: str) -> str:
        """The command for a field of the record: taking over what is suggested, else typing it."""
        there = {one.casefold() for one in self.item.record.keywords} if name == "keywords" else ()
        is_suggested = any(
            one.field == name
            and one.confidence >= AT_LEAST
            and str(one.value).casefold() not in there
            for one in self.item.suggestions
        )
        return self.edit(f"--accept {name}" if is_suggested else options)

    def hear(self, rule: str, said: Said) -> None:
        """Note what a rule says, and let the submission be what it has mended."""
        match said:
            case Wrong(message, fix):
                self.errors.append(Finding(rule, message, fix))
            case Advice(message, fix):
                self.warnings.append(Finding(rule, message, fix))
            case Mended(message, before, after, changes):
                self.fixes.append(Fix(rule, message, before, after))
                self.submission = replace(self.submission, **changes)

    def verdict(self) -> Verdict:
        """All that was said."""
        said = (tuple(self.errors), tuple(self.warnings), tuple(self.fixes))
        return Verdict(self.item, self.submission, *said)


@dataclass(frozen=True, slots=True)
class Batch:
    """The items that are to go to an agency together, with what is known of them from elsewhere.

    `delivered` is what the agency has, `rejected` what it did not want, both by asset id; `alike` are
    near duplicates by media id, None for media that were not compared yet.
    """

    agency: Agency
    cases: Sequence[Case]
    delivered: Mapping[str, Delivery] = field(default_factory=dict)
    rejected: Mapping[str, Delivery] = field(default_factory=dict)
    alike: Mapping[str, Sequence[Alike] | None] = field(default_factory=dict)
    again: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule by its id: what it sees to, in a `sentence` or two, and what may come of it."""

    id: str
    sentence: str
    levels: tuple[Level, ...]
    run: Callable[[Batch], Iterator[tuple[Case, Said]]]


def rule(*levels: Level) -> Callable[[Callable[[Case], Iterator[Said]]], Rule]:
    """Make a function a rule on single items; its name is the id, its docstring what the rule says."""

    def made(check: Callable[[Case], Iterator[Said]]) -> Rule:
        def run(batch: Batch) -> Iterator[tuple[Case, Said]]:
            for case in batch.cases:
                for said in check(case):
                    yield case, said

        return Rule(_id_of(check.__name__), _sentence(check.__doc__), levels, run)

    return made


def batch_rule(
    *levels: Level,
) -> Callable[[Callable[[Batch], Iterator[tuple[Case, Said]]]], Rule]:
    """Make a function a rule on the batch as a whole, as `rule` does for single items."""

    def made(check: Callable[[Batch], Iterator[tuple[Case, Said]]]) -> Rule:
        return Rule(_id_of(check.__name__), _sentence(check.__doc__), levels, check)

    return made


def _id_of(name: str) -> str:
    return name.replace("_", "-")


def _sentence(docstring: str | None) -> str:
    return " ".join((docstring or "").split())
