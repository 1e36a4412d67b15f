"""Rules on what may be done with it: usage, releases, generated content, the editorial caption."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dam_pipeline.stock import wording
from dam_pipeline.stock.record import Place, Release
from dam_pipeline.stock.rules.formats import KIND_WORDS
from dam_pipeline.stock.rules.rule import Advice, Batch, Case, Mended, Said, Wrong, batch_rule, rule
from dam_pipeline.stock.rules.text import rules_of, text_of
from dam_pipeline.stock.wording import caption_gaps, cut_at_word, without


@rule("warning")
def usage_missing(case: Case) -> Iterator[Said]:
    """A person has said whether it is for commercial or editorial use; else it goes as commercial."""
    if not case.item.record.usage:
        message = (
            "Nobody has said whether it is for commercial or editorial use; it goes as commercial."
        )
        yield Advice(message, f"{case.edit('--commercial')} (or --editorial)")


@rule("error")
def editorial_refused(case: Case) -> Iterator[Said]:
    """Items for editorial use go only where the agency takes such, of this kind, with people in it."""
    rules, kind, name = case.agency.editorial, case.item.probe.kind, case.agency.name
    if case.submission.usage != "editorial":
        return
    if not rules.is_accepted or (rules.kinds and kind not in rules.kinds):
        what = f"no {KIND_WORDS[kind]}" if rules.is_accepted else "nothing"
        message = f"{name} takes {what} for editorial use."
    elif not rules.allows_people and _people(case):
        message = f"{name} takes nothing with people for editorial use, and {_seen(case)}."
    else:
        return
    yield Wrong(message, f"With releases of what is to be seen: {case.edit('--commercial')}")


@rule("error")
def model_release_missing(case: Case) -> Iterator[Said]:
    """People in an item for commercial use have signed a model release."""
    people = _people(case)
    if not people or not _needs_release(case) or _model_releases(case):
        return
    message = f"{_seen(case)}, it is for commercial use, and there is no model release."
    other = "or --editorial, or --people 0 where nobody can be recognised"
    yield Wrong(message, f"{case.edit('--model-release FILE')} ({other})")


@rule("warning")
def model_releases_fewer(case: Case) -> Iterator[Said]:
    """There is a model release of each of the people in an item for commercial use."""
    people, releases = _people(case), len(_model_releases(case))
    if _needs_release(case) and 0 < releases < people:
        message = f"{_seen(case)}, and model releases are there of {releases}."
        yield Advice(message, case.edit("--model-release FILE"))


@rule("warning")
def faces_denied(case: Case) -> Iterator[Said]:
    """Faces were found only where a person does not say that nobody is to be seen."""
    faces = case.item.faces or 0
    if faces and case.submission.people == 0:
        message = f"The record says 0 people, but faces were found (at once: {faces})."
        yield Advice(message, f"If they are people: {case.edit(f'--people {faces}')}")


@rule("warning")
def people_unknown(case: Case) -> Iterator[Said]:
    """In an item for commercial use somebody has looked for people: the pipeline, or a person."""
    has_nobody_looked = case.submission.people is None and case.item.faces is None
    if _needs_release(case) and has_nobody_looked and case.item.probe.has_picture:
        message = "Nobody has said whether people are to be seen, and no faces were looked for."
        yield Advice(message, case.edit("--people 0"))


@batch_rule("error")
def release_file(batch: Batch) -> Iterator[tuple[Case, Said]]:
    """The files of releases are still there, with the same bytes."""
    read: dict[str, str] = {}
    for case in batch.cases:
        for release in case.submission.releases:
            if release.path not in read:
                read[release.path] = _sha256(Path(release.path))
            if trouble := _trouble(release, read[release.path]):
                yield case, Wrong(trouble, case.edit(f"--{release.kind}-release FILE"))


@rule("error", "warning")
def generated_content(case: Case) -> Iterator[Said]:
    """Pictures that a model made go only where the agency takes them, and are labelled."""
    if not case.submission.is_generated:
        return
    name, policy = case.agency.name, case.agency.generated
    if policy == "forbidden":
        yield Wrong(f"{name} takes no pictures that a model made.", "Leave it out for this agency.")
    elif policy == "labelled":
        yield Advice(f"{name} wants it labelled as made by a model.", "Label it in the portal.")
    elif not policy:
        message = f"It is not known whether {name} takes pictures that a model made."
        yield Advice(message, "Look into its terms before you submit it.")


@rule("error", "fix")
def editorial_caption(case: Case) -> Iterator[Said]:
    """For editorial use, the title or description begins with place and date as the agency wants."""
    rules, submission = case.agency.editorial, case.submission
    if submission.usage != "editorial" or not rules.is_accepted or not rules.caption:
        return
    before, forbidden = text_of(case, rules.field), rules_of(case, rules.field).forbidden
    text = without(before, forbidden)
    place = _in_characters(submission.place or Place(), forbidden)
    if not text:
        message = f"{case.agency.name} wants editorial items with a {rules.field}."
        yield Wrong(message, case.say(rules.field, f"--{rules.field} '…'"))
    elif gaps := caption_gaps(rules, place, submission.date):
        message = f"The editorial caption needs the {', '.join(gaps)}, which nobody has said."
        yield Wrong(message, case.edit(" ".join(f"--{name} …" for name in gaps)))
    elif not (after := _captioned(case, text, place)):
        message = f"The editorial caption leaves no room for words in the {rules.field}."
        yield Wrong(message, case.edit("--city …"))
    elif after != before:
        message = f"{case.agency.name} wants editorial captions in this form."
        yield Mended(message, before, after, {rules.field: after})


RULES = (
    usage_missing,
    editorial_refused,
    model_release_missing,
    model_releases_fewer,
    faces_denied,
    people_unknown,
    release_file,
    generated_content,
    editorial_caption,
)


def _captioned(case: Case, text: str, place: Place) -> str:
    """The text with its caption, its end cut off where both are too long; empty without room."""
    rules, date = case.agency.editorial, case.submission.date
    most = rules_of(case, rules.field).max_length
    whole = wording.editorial_caption(rules, text, place, date)
    surplus = len(whole) - most if most else 0
    if surplus <= 0:
        return whole
    if surplus >= len(text):
        return ""
    shorter = cut_at_word(text, len(text) - surplus)
    return wording.editorial_caption(rules, shorter, place, date)


def _people(case: Case) -> int:
    """How many people are to be seen: what a person said, else the more of what was found."""
    said, found = case.submission.people, case.item.faces or 0
    if said is None or case.item.said_by.get("people") not in ("person", "file"):
        return max(said or 0, found)
    return said


def _seen(case: Case) -> str:
    people, faces = _people(case), case.item.faces or 0
    found = f" (faces found at once: {faces})" if faces else ""
    return f"{people} {'person is' if people == 1 else 'people are'} to be seen{found}"


def _needs_release(case: Case) -> bool:
    return case.submission.usage == "commercial" and case.agency.releases.needs_model_release


def _model_releases(case: Case) -> list[Release]:
    return [one for one in case.submission.releases if one.kind == "model"]


def _sha256(path: Path) -> str:
    """The hash of a file, empty where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _trouble(release: Release, sha256: str) -> str:
    if not sha256:
        return f"The {release.kind} release {release.path} cannot be read."
    if sha256 != release.sha256:
        return f"The {release.kind} release {release.path} has changed since it was named."
    return ""


def _in_characters(place: Place, forbidden: str) -> Place:
    """The place in characters that the agency takes."""
    return replace(
        place,
        city=without(place.city, forbidden),
        region=without(place.region, forbidden),
        country=without(place.country, forbidden),
    )
