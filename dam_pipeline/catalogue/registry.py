"""The sources that people added: folders that the sensors watch, kept in the journal `sources`.

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
from dam_pipeline.stores.journal import Journal

JOURNAL = "sources"
NAME_CHARS = 100


@dataclass(frozen=True, slots=True)
class Source:
    """A watched folder; `accepted_at` is when a person last said that what is missing is gone.

    Times are ISO 8601 in UTC; `exclude` are glob patterns of paths below the folder.
    """

    name: str
    uri: str
    exclude: tuple[str, ...] = ()
    added_at: str = ""
    accepted_at: str = ""

    @property
    def path(self) -> Path:
        """The folder on this machine."""
        return uri_to_path(self.uri)

    @property
    def accepted_s(self) -> float | None:
        """`accepted_at` in Unix seconds, or None."""
        return datetime.fromisoformat(self.accepted_at).timestamp() if self.accepted_at else None


def list_sources(home: Path) -> list[Source]:
    """All sources in the order in which they were added."""
    sources: dict[str, Source] = {}
    for entry in Journal(home, JOURNAL).entries():
        name = entry["name"]
        if entry["do"] == "add":
            sources[name] = Source(name, entry["uri"], tuple(entry["exclude"]), entry["when"])
        elif entry["do"] == "remove":
            sources.pop(name, None)
        elif entry["do"] == "accept" and name in sources:
            sources[name] = replace(sources[name], accepted_at=entry["when"])
    return list(sources.values())


def add_source(
    home: Path, path_or_uri: str | Path, name: str | None = None, exclude: Sequence[str] = ()
) -> Source:
    """Watch a folder from now on, under a name that is the folder's own unless given.

    Raises ConfigurationError when it is no folder, is watched already (also as part of another
    source, or with one in it), lies in DAM_HOME, or when the name is taken.
    """
    path = _folder(path_or_uri)
    sources = list_sources(home)
    _refuse_overlap(path, home, sources)
    source = Source(_name(name, path, sources), path_to_uri(path), tuple(exclude), now_iso())
    Journal(home, JOURNAL).append(
        {
            "do": "add",
            "name": source.name,
            "uri": source.uri,
            "exclude": list(source.exclude),
            "when": source.added_at,
        }
    )
    return source


def remove_source(home: Path, name: str) -> Source:
    """Stop watching a source; its media stay. Raises ConfigurationError for an unknown name."""
    source = _get(home, name)
    Journal(home, JOURNAL).append({"do": "remove", "name": name, "when": now_iso()})
    return source


def accept_source(home: Path, name: str) -> Source:
    """Believe the losses that the sensor refuses for this source now; serves one refusal.

    Raises ConfigurationError for an unknown name.
    """
    source = _get(home, name)
    when = now_iso()
    Journal(home, JOURNAL).append({"do": "accept", "name": name, "when": when})
    return replace(source, accepted_at=when)


def _get(home: Path, name: str) -> Source:
    sources = list_sources(home)
    for source in sources:
        if source.name == name:
            return source
    known = ", ".join(source.name for source in sources) or "none"
    raise ConfigurationError(f"There is no source {name}. Known: {known} (`dam source list`).")


def _folder(path_or_uri: str | Path) -> Path:
    text = os.fspath(path_or_uri)
    scheme, separator, _ = text.partition("://")
    if separator and scheme != "file":
        raise ConfigurationError(
            f"{text}: sources on {scheme}:// are not yet supported. Give a folder of this machine, "
            "such as a mounted share; `dam ingest` takes what is at an s3:// address now."
        )
    path = Path(os.path.abspath(uri_to_path(text) if separator else text))
    if not path.is_dir():
        what = "a file; give its folder" if path.exists() else "not there; give a folder that is"
        raise ConfigurationError(f"{path} is {what}. For single files there is `dam ingest`.")
    return path


def _refuse_overlap(path: Path, home: Path, sources: Sequence[Source]) -> None:
    real = os.path.realpath(path)
    if _is_in(real, os.path.realpath(home)):
        raise ConfigurationError(
            f"{path} lies in DAM_HOME ({home}), which holds what the pipeline writes. Give a "
            "folder of originals."
        )
    for source in sources:
        other = os.path.realpath(source.path)
        if real == other:
            raise ConfigurationError(f"{path} is watched already, as source {source.name}.")
        if _is_in(real, other):
            raise ConfigurationError(
                f"{path} lies in the source {source.name} ({source.path}) and is watched with it."
            )
        if _is_in(other, real):
            raise ConfigurationError(
                f"{path} holds the source {source.name} ({source.path}). Remove that first: "
                f"`dam source remove {source.name}`."
            )


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _name(given: str | None, path: Path, sources: Sequence[Source]) -> str:
    taken = {source.name for source in sources}
    if given is None:
        plain = display_name(path_to_uri(path))[:NAME_CHARS] or "root"
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
