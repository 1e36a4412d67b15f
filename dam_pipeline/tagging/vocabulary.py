"""The vocabulary: terms that a person can edit, their names in several languages and their parents.

The file is the library's `vocabulary.toml` (in DAM_HOME, or in the storage that workers share), or
the one that ships beside this module. What a model makes
of the terms is `wordings`' and `scoring`'s affair.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from dam_pipeline.errors import ConfigurationError
from dam_pipeline.records import Json
from dam_pipeline.settings import Settings
from dam_pipeline.stores.library_files import keep_library_file, library_file

VOCABULARY_FILE = "vocabulary.toml"
SHIPPED = Path(__file__).with_name(VOCABULARY_FILE)
TERM_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
LANGUAGE = re.compile(r"[a-z]{2,3}")
_OWN_KEYS = ("parent", "ask", "only")


@dataclass(frozen=True, slots=True)
class Term:
    """One thing to look for. `names` maps a language to its label and synonyms, the label first.

    `ask` are the texts that a model is asked with; `only` names the models that are asked, empty for
    all.
    """

    id: str
    names: Mapping[str, tuple[str, ...]]
    ask: tuple[str, ...]
    parent: str = ""
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Terms by id, and the `templates` ("a photo of {}") that texts are put into.

    `language` is that of labels and questions, `version` a hash of all that decides results: names
    in other languages do not.
    """

    terms: Mapping[str, Term]
    templates: tuple[str, ...]
    language: str
    version: str
    _by_name: Mapping[str, str] = field(repr=False)

    def label(self, tag: str, language: str = "") -> str:
        """The label of a term in a language, else in the vocabulary's own; of other tags the tag."""
        term = self.terms.get(tag)
        if term is None:
            return tag
        names = term.names.get(language) or term.names.get(self.language) or (tag,)
        return names[0]

    def find(self, text: str) -> Term | None:
        """The term that has this id or name in any language, whatever its case."""
        tag = self._by_name.get(plain(text))
        return self.terms[tag] if tag else None

    def parents(self, tag: str) -> tuple[str, ...]:
        """Ids of all wider terms, the nearest first."""
        return tuple(self._above(tag))

    def asked_of(self, model: str) -> list[Term]:
        """The terms that a model of this name is asked for."""
        return [term for term in self.terms.values() if not term.only or model in term.only]

    def _above(self, tag: str) -> Iterator[str]:
        while tag := self.terms[tag].parent if tag in self.terms else "":
            yield tag


def plain(text: str) -> str:
    """A name as it is compared: case, hyphens and spaces do not count."""
    return " ".join(re.sub(r"[-_]", " ", text.casefold()).split())


def vocabulary_path(settings: Settings) -> Path:
    """The file that holds a library's vocabulary: its own, else the shipped one."""
    return library_file(settings, VOCABULARY_FILE) or SHIPPED


def open_vocabulary(settings: Settings) -> Vocabulary:
    """The vocabulary of a library; raises ConfigurationError naming the term that is at fault."""
    return _read(vocabulary_path(settings))


def _read(path: Path) -> Vocabulary:
    try:
        return _parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The vocabulary {path} cannot be read: {error}.") from error


def share_vocabulary(settings: Settings) -> Vocabulary:
    """Make the vocabulary in DAM_HOME that of all who share the library; gives what it holds.

    Raises ConfigurationError when there is none, or naming the term that is at fault.
    """
    own = settings.home / VOCABULARY_FILE
    if not own.exists():
        raise ConfigurationError(f"There is no {own}. `dam tag vocabulary --edit` makes it.")
    vocabulary = _read(own)
    keep_library_file(settings, VOCABULARY_FILE, own)
    return vocabulary


def shipped_vocabulary() -> Vocabulary:
    """The vocabulary that ships, whatever a home has: broad enough to say what is usual."""
    return _parse(SHIPPED.read_text(encoding="utf-8"), str(SHIPPED))


def names_of_terms(settings: Settings) -> Vocabulary:
    """The vocabulary that labels are taken from: the shipped one while a library's cannot be used."""
    try:
        return open_vocabulary(settings)
    except ConfigurationError:
        return shipped_vocabulary()


def vocabulary_version(settings: Settings) -> str:
    """The version of a library's vocabulary, also of one that cannot be used."""
    try:
        return open_vocabulary(settings).version
    except ConfigurationError as error:
        return f"unusable {_hash(str(error))}"


@lru_cache(maxsize=4)
def _parse(text: str, path: str) -> Vocabulary:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is no TOML: {error}. Mend that line.") from error
    language = str(document.get("language", "en"))
    templates = tuple(document.get("templates", ("{}",)))
    if not templates or not all(isinstance(one, str) and "{}" in one for one in templates):
        raise ConfigurationError(f"{path}: each of `templates` is a text with {{}} in it.")
    terms = {
        tag: _term(tag, entry, language, path) for tag, entry in document.get("terms", {}).items()
    }
    _check_parents(terms, path)
    return Vocabulary(terms, templates, language, _version(terms, templates), _names(terms))


def _term(tag: str, entry: Json, language: str, path: str) -> Term:
    if not TERM_ID.fullmatch(tag) or not isinstance(entry, dict):
        raise ConfigurationError(
            f'{path}: {tag} is no term. Write `id = {{ en = ["label"] }}` with small letters, digits '
            "and - in the id."
        )
    names = {key: value for key, value in entry.items() if key not in _OWN_KEYS}
    lists = {**names, **{key: entry[key] for key in ("ask", "only") if key in entry}}
    for key, value in lists.items():
        is_known = key in _OWN_KEYS or LANGUAGE.fullmatch(key)
        if not is_known or not _are_texts(value):
            raise ConfigurationError(
                f"{path}: {key} of {tag} is not a list of texts under a language code (en, de, …)."
            )
    ask = tuple(entry.get("ask", names.get(language, ())))
    if not ask:
        raise ConfigurationError(f"{path}: {tag} has neither a name in {language} nor `ask`.")
    languages = {key: tuple(value) for key, value in names.items()}
    return Term(tag, languages, ask, str(entry.get("parent", "")), tuple(entry.get("only", ())))


def _are_texts(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) and one.strip() for one in value)


def _check_parents(terms: Mapping[str, Term], path: str) -> None:
    for term in terms.values():
        seen = {term.id}
        above = term.parent
        while above:
            if above not in terms:
                raise ConfigurationError(f"{path}: {term.id} is below {above}, which is no term.")
            if above in seen:
                raise ConfigurationError(f"{path}: {term.id} is above itself ({above}).")
            seen.add(above)
            above = terms[above].parent


def _names(terms: Mapping[str, Term]) -> dict[str, str]:
    """Term by compared name; ids win over labels, labels over synonyms, earlier terms over later."""
    found = {plain(tag): tag for tag in terms}
    for place in (slice(0, 1), slice(1, None)):
        for term in terms.values():
            for words in term.names.values():
                for name in words[place]:
                    found.setdefault(plain(name), term.id)
    return found


def _version(terms: Mapping[str, Term], templates: tuple[str, ...]) -> str:
    rows = [[term.id, term.parent, term.ask, term.only] for term in terms.values()]
    return _hash(json.dumps([templates, rows]))


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
