"""Rules on the form of a file: kind, codec, container, bytes; what can be, is made right of itself."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from dam_pipeline.formats import RAW, suffix_of
from dam_pipeline.records import Json, MediaKind
from dam_pipeline.stock.rules.rule import Case, Mended, Said, Wrong, rule

FORMS = {"jpg": "jpeg", "jpe": "jpeg", "tif": "tiff", "heif": "heic", "hif": "heic"}
"""Suffixes of pictures, by the name that the probe has for the form."""

KIND_WORDS = {
    MediaKind.VIDEO: "video",
    MediaKind.IMAGE: "photography",
    MediaKind.AUDIO: "sound",
}

CONTAINERS = {
    "mov": ("h264", "hevc", "mjpeg", "mpeg2video", "mpeg4", "prores", "dnxhd"),
    "mp4": ("h264", "hevc", "mpeg4", "av1"),
}
"""Codecs, by ffprobe's names, that are put into these unchanged (as ffmpeg 5.1 does and players know)."""

PACKED = ("aac", "ac3", "eac3", "mp3", "alac")
PCM = ("pcm_s16le", "pcm_s24le", "pcm_s16be", "pcm_s24be")
HELD = {"mp4": PACKED, "m4v": PACKED, "mov": (*PACKED, *PCM)}
"""Sound that players find in these containers; other sound is encoded anew."""


def encoded(
    case: Case, what: str, before: str, after: str, takes: str = "", **changes: Json
) -> Said:
    """What is said of pixels or sound that do not suit: encoded anew where the agency says how.

    Where it does not, the message tells all that it `takes`, if that is more than `after`.
    """
    how, takes = case.form.transcode, takes or after
    if is_camera_raw(case):
        fix = "Develop it in a raw converter, and `dam ingest` the picture."
        return Wrong(f"{what}: it takes {takes}, and this is a camera's raw {before}.", fix)
    if how is None:
        fix = "Export it so from your editor, and `dam ingest` the copy."
        return Wrong(f"{what}: it takes {takes}, and this is {before}.", fix)
    made = replace(case.rendition, how="transcode", suffix=how.suffix, **changes)
    message = f"{what}: the copy in the package is encoded anew."
    return Mended(message, before, after, {"rendition": made})


def is_camera_raw(case: Case) -> bool:
    """Whether the master is a camera's raw file, which a person has to develop."""
    return suffix_of(case.item.media.first_name) in RAW


@rule("error")
def kind_refused(case: Case) -> Iterator[Said]:
    """The agency takes media of this kind."""
    taken, kind = case.agency.media, case.item.probe.kind
    if taken and kind not in taken:
        takes = " and ".join(KIND_WORDS[one] for one in sorted(taken))
        message = f"{case.agency.name} takes {takes}, and this is {KIND_WORDS[kind]}."
        yield Wrong(message, "Leave it out here; other agencies may take it.")


@rule("error", "fix")
def codec(case: Case) -> Iterator[Said]:
    """Pictures and sound are coded as the agency takes them; else the copy is encoded anew."""
    if not _is_codec_taken(case):
        found = f"{_codec(case)} {case.item.profile}".strip()
        what = f"{case.agency.name} does not take its codec"
        yield encoded(case, what, found, _made_into(case), _either(case.form.codecs))


@rule("error", "fix")
def container(case: Case) -> Iterator[Said]:
    """The file is of a form that the agency takes; else its streams are put into one, unchanged."""
    taken, suffix = case.form.suffixes, suffix_of(case.item.media.first_name)
    if not taken or not _is_codec_taken(case) or suffix in (fitting := _fitting(case)):
        return
    what = f"{case.agency.name} does not take this form of file"
    if not fitting:
        found = _codec(case) if _is_photo(case) else suffix
        yield encoded(case, what, found, _made_into(case), _either(taken))
        return
    how = case.rendition.how if _is_photo(case) else "remux"
    made = replace(case.rendition, how=how, suffix=fitting[0])
    message = f"{what}: {_kept(case, fitting[0])}, the container changes."
    yield Mended(message, suffix, fitting[0], {"rendition": made})


@rule("error")
def too_many_bytes(case: Case) -> Iterator[Said]:
    """The file is no larger than the agency takes; what is encoded anew is weighed afterwards."""
    size, most = case.item.probe.size_bytes, case.form.max_bytes
    if most and size > most and case.rendition.how != "transcode":
        message = f"It has {size:,} bytes, {case.agency.name} takes {most:,}."
        yield Wrong(message, "Export a smaller one or a shorter cut, and `dam ingest` that.")


KIND_RULES = (kind_refused,)
FORM_RULES = (codec, container)
SIZE_RULES = (too_many_bytes,)


def _codec(case: Case) -> str:
    """The codec of the pictures, of sound alone that of the sound."""
    return next(iter(case.item.probe.codecs), "")


def _made_into(case: Case) -> str:
    """What the copy becomes: the encoder, of photographs the suffix."""
    how = case.form.transcode
    return (how.codec or how.suffix) if how else ""


def _kept(case: Case, suffix: str) -> str:
    """What a new container leaves as it is, and what not."""
    probe, how = case.item.probe, case.form.transcode
    held = HELD.get(suffix, probe.codecs)
    foreign = [one for one in probe.codecs[1:] if one not in held]
    if not foreign or case.form.audio == "forbidden":
        return "streams and pixels stay"
    coder = ((how.audio_codec if how else "") or "aac").upper()
    return f"pixels stay, the sound ({', '.join(foreign)}) is encoded anew as {coder}"


def _is_codec_taken(case: Case) -> bool:
    taken, found = case.form.codecs, _codec(case)
    return not taken or found in taken or f"{found} {case.item.profile}".casefold() in taken


def _is_photo(case: Case) -> bool:
    return case.item.probe.kind is MediaKind.IMAGE


def _fitting(case: Case) -> list[str]:
    """The suffixes that the agency takes and that suit the streams as they are, the own one first."""
    taken, own, coded = case.form.suffixes, suffix_of(case.item.media.first_name), _codec(case)
    if _is_photo(case):
        fitting = [one for one in taken if FORMS.get(one, one) == (coded or FORMS.get(own, own))]
    else:
        fitting = [one for one, held in CONTAINERS.items() if one in taken and coded in held]
        fitting = [*([own] if own in taken else []), *fitting]
    return sorted(fitting, key=lambda one: one != own)


def _either(words: Iterable[str]) -> str:
    return " or ".join(words)
