"""Packages written by hand for what sends them: any bytes, a true manifest."""

import hashlib
import random
from collections.abc import Mapping
from pathlib import Path

from dam_pipeline.packaging.manifest import (
    Manifest,
    PackagedFile,
    PackagedItem,
    write_manifest,
)

AGENCY = "adobe-stock"


def pack(
    folder: Path,
    files: Mapping[str, bytes],
    *,
    agency: str = AGENCY,
    over_there: str = "",
    releases: Mapping[str, bytes] | None = None,
    table_goes_by: str = "portal",
) -> Path:
    """A package of these files (name → bytes), whose asset ids are their names without ending.

    Its releases are uploaded to `releases` over there; its table goes the way it is told to.
    """
    items = tuple(_item(folder, name, content, over_there) for name, content in files.items())
    sent_along = tuple(
        _file(folder, f"releases/{name}", content, "upload", "releases")
        for name, content in (releases or {}).items()
    )
    rows = "".join(f"{name}\n" for name in files)
    table = _file(folder, "metadata.csv", f"Filename\n{rows}".encode(), table_goes_by, over_there)
    checklist = _file(folder, "CHECKLIST.md", b"- [ ] send\n", "", "")
    write_manifest(
        folder,
        Manifest(agency, "1", {}, items, table=table, checklist=checklist, files=sent_along),
    )
    return folder


def asset_of(name: str) -> str:
    """The asset id, and media id, of a file of that name."""
    return hashlib.md5(Path(name).stem.encode()).hexdigest()


def some_bytes(size: int, seed: int = 0) -> bytes:
    """Bytes that no other seed gives."""
    return random.Random(seed).randbytes(size)


def several(count: int, size: int, seed: int = 0) -> dict[str, bytes]:
    """Clips of that size, `clip-00.mov` and on."""
    return {f"clip-{at:02}.mov": some_bytes(size, seed + at) for at in range(count)}


def _item(folder: Path, name: str, content: bytes, over_there: str) -> PackagedItem:
    path = f"media/{name}"
    asset_id = asset_of(name)
    return PackagedItem(
        media_id=asset_id,
        asset_id=asset_id,
        partition_key=f"{Path(name).stem}-{asset_id[:12]}",
        file=path,
        size_bytes=len(content),
        sha256=_write(folder / path, content),
        master_uri=f"file:///masters/{name}",
        master_sha256=hashlib.sha256(b"master" + content).hexdigest(),
        title=name,
        description="",
        keywords=(),
        categories=(),
        usage="commercial",
        rendition={"how": "copy"},
        folder=over_there,
    )


def _file(folder: Path, path: str, content: bytes, goes_by: str, over_there: str) -> PackagedFile:
    return PackagedFile(path, len(content), _write(folder / path, content), goes_by, over_there)


def _write(path: Path, content: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()
