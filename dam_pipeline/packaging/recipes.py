"""What a deliverable is made from, as a hash; the names and the room that follow from it."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from dam_pipeline.agencies.agency import Agency
from dam_pipeline.errors import ConfigurationError, DiskFull
from dam_pipeline.media.versions import tool_versions
from dam_pipeline.records import Json, MediaKind
from dam_pipeline.stock.record import Verdict
from dam_pipeline.stores.derived import raise_if_full

NAME_DIGITS = 10
FORM = 2  # of deliverables; raised when other bytes come out of the same recipe
BYTES_A_PIXEL = 1.5  # of a JPEG of the best quality
INTERMEDIATE = ("prores", "dnx")  # beginnings of encoders' names
INTERMEDIATE_BYTES_A_PIXEL = 0.7  # ProRes 4444: 330 Mbit/s at 1920 x 1080, 29.97 (Apple, 2022)
DELIVERY_BYTES_A_PIXEL = 0.15
RESERVE_BYTES = 64 << 20


def recipe_of(agency: Agency, verdict: Verdict) -> str:
    """A hash (32 hex digits) of all that an item's file is made from, its tools among them."""
    transcode = agency.rules_for(verdict.item.probe.kind).transcode
    return _digest(
        {
            "form": FORM,
            "master": verdict.item.sha256 or verdict.item.media.media_id,
            "submission": asdict(verdict.submission),
            "transcode": asdict(transcode) if transcode else None,
            "embeds": agency.embeds,
            "tools": tool_versions(),
        }
    )


def content_digest(agency: Agency, verdicts: Sequence[Verdict]) -> str:
    """Ten hex digits, the same for equal content."""
    return _digest([agency.version, *(recipe_of(agency, one) for one in verdicts)])[:NAME_DIGITS]


def package_name(agency: Agency, verdicts: Sequence[Verdict]) -> str:
    """The name of a package's folder: equal content, equal name."""
    return f"{agency.id}-{content_digest(agency, verdicts)}"


def needed_bytes(agency: Agency, verdicts: Sequence[Verdict]) -> int:
    """About how much the deliverables take; of what is encoded anew an upper estimate."""
    return sum(_needed(agency, one) for one in verdicts)


def check_room(folder: Path, needed: int) -> None:
    """Raise DiskFull when a folder's disk has no room for `needed` bytes more than are in it.

    Raises ConfigurationError where nothing can be written.
    """
    there = sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())
    parent = next(one for one in (folder, *folder.parents) if one.exists())
    _check_writable(folder, parent)
    free = shutil.disk_usage(parent).free
    if free < needed - there + RESERVE_BYTES:
        raise DiskFull(
            f"The package takes about {size(needed)}, and {size(RESERVE_BYTES)} are kept free; the "
            f"disk of {folder} has {size(free)}. Free some space, choose another --out, or package "
            "fewer media."
        )


def size(count: int) -> str:
    """Bytes as people say them."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _check_writable(folder: Path, parent: Path) -> None:
    """What rights allow is only known by trying: there are shares and systems that refuse all."""
    try:
        tempfile.TemporaryDirectory(dir=parent).cleanup()
    except OSError as error:
        raise_if_full(error, folder)
        raise ConfigurationError(
            f"{folder} cannot be written to ({error.strerror}). Choose another --out."
        ) from error


def _needed(agency: Agency, verdict: Verdict) -> int:
    probe, wanted = verdict.item.probe, verdict.submission.rendition
    if wanted.how != "transcode":
        return verdict.item.media.size_bytes
    pixels = (wanted.width or probe.width) * (wanted.height or probe.height)
    if probe.kind is MediaKind.IMAGE:
        return round(pixels * BYTES_A_PIXEL)
    transcode = agency.rules_for(probe.kind).transcode
    codec = transcode.codec if transcode else ""
    is_intermediate = codec.startswith(INTERMEDIATE)
    weight = INTERMEDIATE_BYTES_A_PIXEL if is_intermediate else DELIVERY_BYTES_A_PIXEL
    return round(pixels * weight * probe.duration_s * (wanted.frame_rate or probe.frame_rate or 25))


def _digest(content: Json) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
