"""The sources that people added: folders and buckets that the sensors watch, kept in a journal.

It lies here because it needs the journal, a store; `sources` itself knows no store.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from dam_pipeline.catalogue.catalogue import now_iso
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.identity import display_name, path_to_uri, uri_to_path
from dam_pipeline.settings import Settings
from dam_pipeline.sources.originals import is_remote
from dam_pipeline.sources.s3_listing import check_reachable
from dam_pipeline.stores.journal import Journal

JOURNAL = "sources"
NAME_CHARS = 100


@dataclass(frozen=True, slots=True)
class Source:
    """A watched place; `accepted_at` is when a person last said that what is missing is gone.

    `uri` is the address of a folder, or `s3://bucket/prefix` without a slash at its end. Times are
    ISO 8601 in UTC; `exclude` are glob patterns of paths below the place.
    """

    name: str
    uri: str
    exclude: tuple[str, ...] = ()
    added_at: str = ""
    accepted_at: str = ""

    @property
    def place(self) -> str:
        """Where it is, for a person: the folder's path, or the bucket's address."""
        return _words(self.uri)

    @property
    def accepted_s(self) -> float | None:
        """`accepted_at` in Unix seconds, or None."""
        return datetime.fromisoformat(self.accepted_at).timestamp() if self.accepted_at else None


def list_sources(settings: Settings) -> list[Source]:
    """All sources in the order in which they were added."""
    sources: dict[str, Source] = {}
    for entry in Journal(settings, JOURNAL).entries():
        name = entry["name"]
        if entry["do"] == "add":
            sources[name] = Source(name, entry["uri"], tuple(entry["exclude"]), entry["when"])
        elif entry["do"] == "remove":
            sources.pop(name, None)
        elif entry["do"] == "accept" and name in sources:
            sources[name] = replace(sources[name], accepted_at=entry["when"])
    return list(sources.values())


def add_source(
    settings: Settings,
    path_or_uri: str | Path,
    name: str | None = None,
    exclude: Sequence[str] = (),
) -> Source:
    """Watch a folder or a bucket from now on, under a name that is its own unless given.

    Raises ConfigurationError when it is no folder, is watched already (also as part of another
    source, or with one in it), holds what the pipeline writes, or when the name is taken, and
    SourceUnavailable for a bucket that cannot be listed.
    """
    uri = _address(os.fspath(path_or_uri))
    sources = list_sources(settings)
    _refuse_own(uri, settings)
    _refuse_overlap(uri, sources)
    source = Source(_name(name, uri, sources), uri, tuple(exclude), now_iso())
    Journal(settings, JOURNAL).append(
        {
            "do": "add",
            "name": source.name,
            "uri": source.uri,
            "exclude": list(source.exclude),
            "when": source.added_at,
        }
    )
    return source


def remove_source(settings: Settings, name: str) -> Source:
    """Stop watching a source; its media stay. Raises ConfigurationError for an unknown name."""
    source = _get(settings, name)
    Journal(settings, JOURNAL).append({"do": "remove", "name": name, "when": now_iso()})
    return source


def accept_source(settings: Settings, name: str) -> Source:
    """Believe the losses that the sensor refuses for this source now; serves one refusal.

    Raises ConfigurationError for an unknown name.
    """
    source = _get(settings, name)
    when = now_iso()
    Journal(settings, JOURNAL).append({"do": "accept", "name": name, "when": when})
    return replace(source, accepted_at=when)


def _get(settings: Settings, name: str) -> Source:
    sources = list_sources(settings)
    for source in sources:
        if source.name == name:
            return source
    known = ", ".join(source.name for source in sources) or "none"
    raise ConfigurationError(f"There is no source {name}. Known: {known} (`dam source list`).")


def _address(text: str) -> str:
    """The address of a folder that is there, or of a bucket that can be listed."""
    scheme, separator, _ = text.partition("://")
    if is_remote(text):
        check_reachable(text)
        return text.rstrip("/")
    if separator and scheme != "file":
        raise ConfigurationError(
            f"{text}: {scheme}:// is not known. Give a folder of this machine, such as a mounted "
            "share, or s3://bucket/prefix."
        )
    path = Path(os.path.abspath(uri_to_path(text) if separator else text))
    if not path.is_dir():
        what = "a file; give its folder" if path.exists() else "not there; give a folder that is"
        raise ConfigurationError(f"{path} is {what}. For single files there is `dam ingest`.")
    return path_to_uri(path)


def _refuse_own(uri: str, settings: Settings) -> None:
    """Refuse a place in what the pipeline writes; where it is the other way round, that is left out."""
    own = settings.storage_url if is_remote(uri) else path_to_uri(settings.home)
    if own and _is_in(_real(uri), _real(own.rstrip("/"))):
        name = "DAM_STORAGE_URL" if is_remote(uri) else "DAM_HOME"
        raise ConfigurationError(
            f"{_words(uri)} lies in {name} ({_words(own)}), which holds what the pipeline writes. "
            "Give a place of originals."
        )


def _refuse_overlap(uri: str, sources: Sequence[Source]) -> None:
    real, words = _real(uri), _words(uri)
    for source in sources:
        other = _real(source.uri)
        if real == other:
            raise ConfigurationError(f"{words} is watched already, as source {source.name}.")
        if _is_in(real, other):
            raise ConfigurationError(
                f"{words} lies in the source {source.name} ({source.place}) and is watched with it."
            )
        if _is_in(other, real):
            raise ConfigurationError(
                f"{words} holds the source {source.name} ({source.place}). Remove that first: "
                f"`dam source remove {source.name}`."
            )


def _real(uri: str) -> str:
    """The address by which two names of one place are told to be the same."""
    return uri if is_remote(uri) else os.path.realpath(uri_to_path(uri))


def _words(uri: str) -> str:
    return uri if is_remote(uri) else str(uri_to_path(uri))


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _name(given: str | None, uri: str, sources: Sequence[Source]) -> str:
    taken = {source.name for source in sources}
    if given is None:
        plain = display_name(uri)[:NAME_CHARS] or "root"
        return next(n for n in _numbered(plain, len(taken) + 2) if n not in taken)
    if given in taken:
        raise ConfigurationError(f"There is a source {given} already. Choose another name.")
    if not given.strip() or not given.isprintable() or "/" in given or len(given) > NAME_CHARS:
        raise ConfigurationError(
            f"{given!r} cannot name a source. Use up to {NAME_CHARS} printable characters, no /."
        )
    return given


def _numbered(plain: str, count: int) -> list[str]:
    return [plain, *(f"{plain}-{number}" for number in range(2, count + 1))]
