"""Rules on words: titles, descriptions and keywords, their characters and lengths."""

import re
from collections.abc import Iterator
from typing import Literal

from dam_pipeline.agencies.agency import TextRules
from dam_pipeline.stock.rules.rule import Advice, Case, Mended, Said, Wrong, rule
from dam_pipeline.stock.sheets.cells import listed
from dam_pipeline.stock.wording import cut_at_word, tidy_keywords, without

Field = Literal["title", "description"]
FIELDS: tuple[Field, ...] = ("title", "description")
NAMED = 3  # keywords of a kind that a message names
SENTENCE_END = re.compile(r"(?<=[.!?…])\s|(?<=[。！？])")


@rule("fix")
def title_or_description(case: Case) -> Iterator[Said]:
    """Where the agency asks for both and a person said one, the title stands for the description.

    Of a description its first sentence stands for the title.
    """
    agency = case.agency
    title = without(case.submission.title, agency.title.forbidden)
    description = without(case.submission.description, agency.description.forbidden)
    if agency.description.is_required and title and not description:
        message = f"{agency.name} asks for a description: the title is taken."
        yield Mended(message, "", title, {"description": title})
    elif agency.title.is_required and description and not title:
        first = SENTENCE_END.split(description)[0].rstrip(".") or description
        message = f"{agency.name} asks for a title: the description's first sentence is taken."
        yield Mended(message, "", first, {"title": first})


@rule("fix")
def forbidden_characters(case: Case) -> Iterator[Said]:
    """Titles and descriptions hold no line breaks, controls or characters the agency forbids."""
    for name in FIELDS:
        before = text_of(case, name)
        after = without(before, rules_of(case, name).forbidden)
        if before != after:
            yield Mended(f"Characters were replaced in the {name}.", before, after, {name: after})


@rule("error")
def text_missing(case: Case) -> Iterator[Said]:
    """There is a title, and a description, where the agency asks for one."""
    for name in FIELDS:
        if rules_of(case, name).is_required and not text_of(case, name):
            message = f"{case.agency.name} asks for a {name}, and there is none."
            yield Wrong(message, case.say(name, f"--{name} '…'"))


@rule("fix")
def text_too_long(case: Case) -> Iterator[Said]:
    """Titles and descriptions longer than the agency takes are cut at a word."""
    for name in FIELDS:
        before, limit = text_of(case, name), rules_of(case, name).max_length
        after = cut_at_word(before, limit)
        if before != after:
            message = f"The {name} has {len(before)} characters, {case.agency.name} takes {limit}."
            yield Mended(message, before, after, {name: after})


@rule("error")
def text_too_short(case: Case) -> Iterator[Said]:
    """Titles and descriptions are as long as the agency asks for at least."""
    for name in FIELDS:
        text, least = text_of(case, name), rules_of(case, name).min_length
        if text and len(text) < least:
            message = f"The {name} has {len(text)} characters, {case.agency.name} asks for {least}."
            yield Wrong(message, case.edit(f"--{name} '…'"))


@rule("warning")
def text_length_advised(case: Case) -> Iterator[Said]:
    """Titles and descriptions are as long as the agency advises."""
    for name in FIELDS:
        text, rules = text_of(case, name), rules_of(case, name)
        if text and not _is_within(len(text), rules.advised_min, rules.advised_max):
            advised = _range(rules.advised_min, rules.advised_max)
            message = (
                f"The {name} has {len(text)} characters, {case.agency.name} advises {advised}."
            )
            yield Advice(message, case.edit(f"--{name} '…'"))


@rule("warning")
def title_is_file_name(case: Case) -> Iterator[Said]:
    """The title says more than the name of the file."""
    title, stem = case.submission.title, case.item.media.first_name.rpartition(".")[0]
    if title and _plain(title) in (_plain(stem), _plain(case.item.media.first_name)):
        message = f"The title {title!r} is just the name of the file."
        yield Advice(message, case.say("title", "--title '…'"))


@rule("fix")
def keywords_tidied(case: Case) -> Iterator[Said]:
    """Keywords stand each once, split and clean, the most important ones up to the agency's limit."""
    before, rules = case.submission.keywords, case.agency.keywords
    tidy = tidy_keywords(before, rules)
    if tidy.kept == before:
        return
    said = [
        f"{len(words)} {what} ({_some(words)})"
        for words, what in (
            (tidy.doubled, "said twice"),
            (tidy.too_long, f"longer than {rules.max_length} characters"),
            (tidy.surplus, f"over the {rules.max_count} that {case.agency.name} takes"),
        )
        if words
    ]
    if said:
        message = f"Keywords left out: {'; '.join(said)}."
    elif len(tidy.kept) > len(before):
        message = "Keywords were split at commas and the like."
    else:
        message = "Keywords were cleaned."
    yield Mended(message, listed(before), listed(tidy.kept), {"keywords": tidy.kept})


@rule("error", "warning")
def keywords_too_few(case: Case) -> Iterator[Said]:
    """There are as many keywords as the agency asks for at least, and some in any case."""
    found, least = len(case.submission.keywords), case.agency.keywords.min_count
    fix = case.say("keywords", "--keywords 'one,two,…'")
    if found < least:
        yield Wrong(f"Keywords: {found}, {case.agency.name} asks for {least}.", fix)
    elif not found:
        yield Advice("There are no keywords: nobody will find it.", fix)


@rule("warning")
def keywords_advised(case: Case) -> Iterator[Said]:
    """There are as many keywords as the agency advises."""
    found, rules = len(case.submission.keywords), case.agency.keywords
    if found > rules.min_count and not _is_within(found, rules.advised_min, rules.advised_max):
        advised = _range(rules.advised_min, rules.advised_max)
        message = f"Keywords: {found}, {case.agency.name} advises {advised}."
        if found < rules.advised_min:
            yield Advice(message, case.say("keywords", "--add-keywords 'one,two,…'"))
        else:
            yield Advice(message, case.edit("--keywords 'one,two,…'"))


FILLING_RULES = (title_or_description,)
WORD_RULES = (
    forbidden_characters,
    text_missing,
    text_too_long,
    text_too_short,
    text_length_advised,
    title_is_file_name,
    keywords_tidied,
    keywords_too_few,
    keywords_advised,
)


def text_of(case: Case, name: Field) -> str:
    """The title or the description, as it stands so far."""
    return case.submission.title if name == "title" else case.submission.description


def rules_of(case: Case, name: Field) -> TextRules:
    """The agency's rules for the title or the description."""
    return case.agency.title if name == "title" else case.agency.description


def _is_within(value: int, least: int, most: int) -> bool:
    return value >= least and (not most or value <= most)


def _range(least: int, most: int) -> str:
    if least and most:
        return f"{least} to {most}"
    return f"at most {most}" if most else f"at least {least}"


def _some(words: tuple[str, ...]) -> str:
    return ", ".join(words[:NAMED]) + (", …" if len(words) > NAMED else "")


def _plain(text: str) -> str:
    return "".join(one for one in text.casefold() if one.isalnum())
