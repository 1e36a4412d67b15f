"""The manifest of a package: what is in it, from which masters, made by what.

It holds no time, path of the package or run of its own, so that making it again gives the same bytes.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from dam_pipeline.errors import PackageInvalid
from dam_pipeline.records import Json
from dam_pipeline.stores.derived import replaced

MANIFEST_FILE = "manifest.json"
PACKAGES = "packages"  # below DAM_HOME
FORMAT = 1


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """A file of the package besides the deliverables; `goes_by` tells who brings it to the agency."""

    file: str
    size_bytes: int
    sha256: str
    goes_by: str = ""  # "upload" (to `folder` over there), "portal" (a person), "" (stays)
    folder: str = ""


@dataclass(frozen=True, slots=True)
class PackagedItem:
    """One deliverable: `file` is its path in the package, `folder` where it goes over there.

    `lineage` has by stage which model, weights and code made what the item is described by;
    `said_by` who says what stands in each field. `recipe` is a hash of all that the file is made from.
    """

    media_id: str
    asset_id: str
    partition_key: str
    file: str
    size_bytes: int
    sha256: str
    master_uri: str
    master_sha256: str
    title: str
    description: str
    keywords: tuple[str, ...]
    categories: tuple[str, ...]
    usage: str
    rendition: Mapping[str, Json]
    folder: str = ""
    thumbnail: str = ""
    releases: tuple[str, ...] = ()  # paths in the package
    warnings: tuple[Mapping[str, Json], ...] = ()
    fixes: tuple[Mapping[str, Json], ...] = ()
    said_by: Mapping[str, str] = field(default_factory=dict)
    lineage: Mapping[str, Json] = field(default_factory=dict)
    recipe: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An item with errors, which the package does not hold."""

    media_id: str
    partition_key: str
    errors: tuple[Mapping[str, Json], ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything about a package; `tools` names the programs that made it with their versions."""

    agency: str
    agency_version: str
    tools: Mapping[str, str]
    items: tuple[PackagedItem, ...]
    left_out: tuple[LeftOut, ...] = ()
    table: PackagedFile | None = None
    checklist: PackagedFile | None = None
    files: tuple[PackagedFile, ...] = ()  # thumbnails and releases
    format: int = FORMAT

    def to_json(self) -> dict[str, Json]:
        """All fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Json]) -> Self:
        """The record of what `to_json` gave."""
        values = dict(document)
        values["items"] = tuple(_item(one) for one in values["items"])
        values["left_out"] = tuple(
            LeftOut(**{**one, "errors": tuple(one["errors"])}) for one in values["left_out"]
        )
        for name in ("table", "checklist"):
            values[name] = PackagedFile(**values[name]) if values[name] else None
        values["files"] = tuple(PackagedFile(**one) for one in values["files"])
        return cls(**values)


def _item(document: Mapping[str, Json]) -> PackagedItem:
    lists = ("keywords", "categories", "releases", "warnings", "fixes")
    return PackagedItem(**{**document, **{name: tuple(document[name]) for name in lists}})


def write_manifest(folder: Path, manifest: Manifest) -> Path:
    """Write the manifest of the package in a folder, as its last file."""
    path = folder / MANIFEST_FILE
    with replaced(path) as temporary:
        text = json.dumps(manifest.to_json(), indent=2, sort_keys=True, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    return path


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the package in a folder; raises PackageInvalid where there is none to read."""
    path = folder / MANIFEST_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise PackageInvalid(
                f"{path} has form {document['format']}; this dam_pipeline reads {FORMAT}. "
                "Package again."
            )
        return Manifest.from_json(document)
    except FileNotFoundError as error:
        raise PackageInvalid(
            f"{folder} is no package: it has no {MANIFEST_FILE}. `dam stock package` makes one; "
            "run it again if it was cut off."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise PackageInvalid(f"{path} is damaged ({error}). Package again.") from error
