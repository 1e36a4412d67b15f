"""Hashes of weights, remembered by path, size and mtime so that gigabytes are read only once.

The memory is `manifest.json` in the folder of weights. It is a cache: losing it, or an entry in a
race of two processes, costs a second reading and nothing else.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

MANIFEST = "manifest.json"
_BLOCK_BYTES = 1 << 22


def weights_sha256(files: Sequence[Path], weights_dir: Path) -> str:
    """SHA-256 (64 hex) of a model's weights, from the memory where it still holds.

    One file: its own hash. Several: the hash of the lines `name hash` in the order of names.
    """
    hashes = {path.name: file_sha256(path, weights_dir) for path in files}
    if len(hashes) == 1:
        return next(iter(hashes.values()))
    lines = "".join(f"{name} {hashes[name]}\n" for name in sorted(hashes))
    return hashlib.sha256(lines.encode()).hexdigest()


def file_sha256(path: Path, weights_dir: Path) -> str:
    """SHA-256 of one file, from the memory when path, size and mtime are as they were."""
    path = path.resolve()
    stat = path.stat()
    seen = [stat.st_size, stat.st_mtime_ns]
    entry = _read(weights_dir).get(str(path))
    if entry and entry[:2] == seen:
        return str(entry[2])
    digest = read_sha256(path)
    remember(path, digest, weights_dir)
    return digest


def read_sha256(path: Path) -> str:
    """SHA-256 of one file, read now."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def remember(path: Path, digest: str, weights_dir: Path) -> None:
    """Note a file's hash; does nothing where the folder of weights cannot be written."""
    path = path.resolve()
    stat = path.stat()
    entries = {name: entry for name, entry in _read(weights_dir).items() if Path(name).exists()}
    entries[str(path)] = [stat.st_size, stat.st_mtime_ns, digest]
    try:
        weights_dir.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=weights_dir, prefix=".manifest-")
        with os.fdopen(handle, "w") as file:
            json.dump(entries, file, indent=1, sort_keys=True)
        os.replace(temporary, weights_dir / MANIFEST)
    except OSError:
        return  # a read-only or full folder only loses the memory


def _read(weights_dir: Path) -> dict[str, list[int | str]]:
    try:
        entries = json.loads((weights_dir / MANIFEST).read_text())
    except (OSError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}
