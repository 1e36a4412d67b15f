"""Which files are media, by their names: extensions of video, pictures, sound and sidecars.

What a name promises is checked by the probe; which demuxers and decoders may open a file is decided
in `media`. Raw containers of playlists (m3u8, mpd …) and drawings (svg) are no media here.
"""

from dam_pipeline.records import MediaKind


def _suffixes(text: str) -> frozenset[str]:
    return frozenset(text.split())


VIDEO = _suffixes(
    "3g2 3gp asf avi divx dv flv insv m2t m2ts m2v m4v mkv mov mp4 mpe mpeg mpg mts mxf ogv qt ts "
    "vob webm wmv"
)
RAW = _suffixes("arw cr2 cr3 dng nef orf pef raf rw2 srw")
IMAGE = _suffixes("avif heic heif hif jpe jpeg jpg png tif tiff webp") | RAW
AUDIO = _suffixes(
    "aac ac3 aif aifc aiff amr caf flac m4a m4b mka mp2 mp3 oga ogg opus wav w64 wma wv"
)
SIDECAR = _suffixes("lrv srt thm xml xmp")

_KINDS = {
    **dict.fromkeys(VIDEO, MediaKind.VIDEO),
    **dict.fromkeys(IMAGE, MediaKind.IMAGE),
    **dict.fromkeys(AUDIO, MediaKind.AUDIO),
}


def suffix_of(name: str) -> str:
    """The extension in lower case without its dot, or an empty string."""
    stem, dot, suffix = name.rpartition(".")
    return suffix.lower() if dot and stem.strip("./") else ""


def kind_of_name(name: str) -> MediaKind | None:
    """What a file is by its name alone; None when it is no media file."""
    return _KINDS.get(suffix_of(name))


def is_sidecar_name(name: str) -> bool:
    """Whether a file of this name belongs to the media file beside it."""
    return suffix_of(name) in SIDECAR
