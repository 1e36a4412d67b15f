"""Deliverables: made from masters as an agency takes them, described in the file, and looked at again."""

import fcntl
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dam_pipeline.agencies.agency import Agency, MediaRules
from dam_pipeline.errors import PackageInvalid
from dam_pipeline.formats import suffix_of
from dam_pipeline.media.containers import Container, ContainerReader
from dam_pipeline.media.decoder import Decoder
from dam_pipeline.media.encoding import decode_whole, encode
from dam_pipeline.media.exif_writer import ExifWriter
from dam_pipeline.packaging.embedding import can_embed, embed, has_old_iptc
from dam_pipeline.packaging.encodings import encoding_of, size_of, suited
from dam_pipeline.packaging.masters import Master
from dam_pipeline.records import MediaKind, Probe
from dam_pipeline.stock.record import Finding, Item, Rendition, Submission, Verdict
from dam_pipeline.stores.derived import DerivedFiles

FICLONE = 0x40049409  # linux/fs.h: share the blocks until one of the two is written to
FEWEST_FRAMES_OFF = 2  # that a deliverable may be longer or shorter than its master
AUDIO_FRAME_S = 0.1  # encoders of sound begin and end with some of silence
DEFAULT_RATE = 25.0

OnShare = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Bench:
    """The tools of one thread."""

    writer: ExifWriter
    containers: ContainerReader
    decoder: Decoder
    stall_s: float


def make_deliverable(
    bench: Bench,
    derived: DerivedFiles,
    agency: Agency,
    verdict: Verdict,
    master: Master,
    target: Path,
    *,
    link: bool,
    on_share: OnShare,
) -> list[Finding]:
    """Make an item's file at `target`; returns what a person should know of it.

    The master is only read; with `link`, a file that keeps all its bytes shares them with it.
    Raises PackageInvalid where the file is not what was wanted, MediaError, DiskFull.
    """
    item, submission = verdict.item, verdict.submission
    warnings: list[Finding] = []
    rules = agency.rules_for(item.probe.kind)
    is_anew = submission.rendition.how != "copy"
    if is_anew:
        complaint = _made_anew(bench, agency, item, submission, master, target, on_share)
        if complaint:
            warnings.append(Finding("damaged-master", f"ffmpeg says of the master: {complaint}."))
    if agency.embeds and can_embed(submission.file_name):
        is_photo = item.probe.kind is MediaKind.IMAGE
        camera = master.path if is_anew and is_photo else None
        embed(
            bench.writer,
            target if is_anew else master.path,
            target,
            submission,
            camera=camera,
            is_recoded=is_photo and not is_anew and has_old_iptc(derived, item.media.media_id),
        )
    elif not is_anew:
        _copied(master.path, target, link)
    if agency.embeds and not can_embed(submission.file_name):
        warnings.append(_not_embedded(submission.file_name))
    if item.probe.kind is not MediaKind.IMAGE:
        least_s = _least_s(bench, rules, item, submission, master)
        _check_recording(bench, rules, item, submission, target, least_s, on_share)
    if is_anew:  # the rules have weighed the others
        _check_bytes(agency, rules, submission, target.stat().st_size)
    return warnings


def _made_anew(
    bench: Bench,
    agency: Agency,
    item: Item,
    submission: Submission,
    master: Master,
    target: Path,
    on_share: OnShare,
) -> str:
    rendition = submission.rendition
    if item.probe.kind is MediaKind.IMAGE:
        size = bench.decoder.photo(master.path, target, rendition.width, rendition.height)
        fit = (rendition.width or item.probe.width, rendition.height or item.probe.height)
        if size != fit:
            raise PackageInvalid(
                f"{submission.file_name} came out with {size[0]} × {size[1]} pixels instead of "
                f"{fit[0]} × {fit[1]}. Look at the master in a viewer."
            )
        return ""
    wanted = encoding_of(agency, item.probe, rendition)
    wanted = suited(wanted, _probed(bench, master.path), target)
    return encode(
        master.path,
        target,
        wanted,
        duration_s=item.probe.duration_s,
        stall_s=bench.stall_s,
        on_share=on_share,
    )


def _copied(source: Path, target: Path, link: bool) -> None:
    """The master's bytes under another name; the same bytes on the disk where `link` can be had."""
    target.unlink(missing_ok=True)
    if link:
        with suppress(OSError):
            return _cloned(source, target)
        with suppress(OSError):
            return os.link(os.path.realpath(source), target)
    shutil.copyfile(source, target)


def _cloned(source: Path, target: Path) -> None:
    try:
        with open(source, "rb") as read, open(target, "wb") as written:
            fcntl.ioctl(written.fileno(), FICLONE, read.fileno())
    except OSError:
        target.unlink(missing_ok=True)
        raise


def _not_embedded(file_name: str) -> Finding:
    return Finding(
        "not-embedded",
        f"Descriptions cannot be written into .{suffix_of(file_name)} files; they stand in the "
        "table and the manifest only.",
    )


def _check_bytes(
    agency: Agency, rules: MediaRules, submission: Submission, size_bytes: int
) -> None:
    if rules.max_bytes and size_bytes > rules.max_bytes:
        raise PackageInvalid(
            f"{submission.file_name} came out with {size_bytes:,} bytes; {agency.name} takes "
            f"{rules.max_bytes:,}. Deliver a shorter or smaller version."
        )


def _check_recording(
    bench: Bench,
    rules: MediaRules,
    item: Item,
    submission: Submission,
    path: Path,
    least_s: float,
    on_share: OnShare,
) -> None:
    """Hold the file against what was wanted; what was encoded anew is decoded from end to end."""
    found = _probed(bench, path)
    if wrong := _differences(found, item.probe, submission.rendition, rules, least_s):
        raise PackageInvalid(
            f"{submission.file_name} is not what was wanted: {'; '.join(wrong)}. Look at the master "
            "in a player, or choose another form."
        )
    if submission.rendition.how == "transcode":
        decode_whole(path, duration_s=found.duration_s, stall_s=bench.stall_s, on_share=on_share)


def _differences(
    found: Container, probe: Probe, rendition: Rendition, rules: MediaRules, least_s: float
) -> list[str]:
    rate = rendition.frame_rate or probe.frame_rate
    tolerance_s = FEWEST_FRAMES_OFF / (rate or DEFAULT_RATE) + AUDIO_FRAME_S
    size = size_of(probe, rendition, rules)
    wrong = []
    if not least_s - tolerance_s <= found.duration_s <= probe.duration_s + tolerance_s:
        wrong.append(f"{found.duration_s:.2f} s instead of {least_s:.2f} s")
    if (found.width, found.height) != size:
        wrong.append(f"{found.width} × {found.height} instead of {size[0]} × {size[1]} pixels")
    if rendition.frame_rate and abs(found.frame_rate - rendition.frame_rate) > 0.01:
        wrong.append(f"{found.frame_rate:.3f} frames a second instead of {rendition.frame_rate:g}")
    if found.audio_streams and _is_silent(rendition, rules):
        wrong.append("it has sound")
    if probe.has_video and not found.video_streams:
        wrong.append("it has no pictures")
    accepted = {one.split()[0] for one in rules.codecs}
    if rendition.how == "transcode" and accepted and found.codecs[0] not in accepted:
        wrong.append(f"{found.codecs[0]} instead of {' or '.join(rules.codecs)}")
    if rendition.how == "copy" and found.codecs != probe.codecs:
        wrong.append(f"{', '.join(found.codecs)} instead of {', '.join(probe.codecs)}")
    return wrong


def _least_s(
    bench: Bench, rules: MediaRules, item: Item, submission: Submission, master: Master
) -> float:
    """How long the deliverable lasts at least: without sound as its pictures, which may end before."""
    duration_s = item.probe.duration_s
    if submission.rendition.how == "copy" or not _is_silent(submission.rendition, rules):
        return duration_s
    return _probed(bench, master.path).picture_duration_s or duration_s


def _is_silent(rendition: Rendition, rules: MediaRules) -> bool:
    return rendition.drop_audio or rules.audio == "forbidden"


def _probed(bench: Bench, path: Path) -> Container:
    return bench.containers.finish(bench.containers.start(path, path.stat().st_size))
