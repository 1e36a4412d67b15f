"""The probe: what a file says of itself, from ffprobe, exiftool and its sidecars.

Nothing is decoded here, and nothing is written but links in a folder of our own.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from dam_pipeline.errors import MediaError, SourceError, UnreadableMedia, UnsupportedMedia
from dam_pipeline.formats import suffix_of
from dam_pipeline.identity import display_name, path_to_uri
from dam_pipeline.media.access import AGAIN, readable_size
from dam_pipeline.media.containers import Container, ContainerReader
from dam_pipeline.media.exif import ExifReader, Tags
from dam_pipeline.media.formats import EXIFTOOL_PICTURES, HEIF_FAMILY
from dam_pipeline.media.tags import describe, iso_date
from dam_pipeline.records import Json, MediaKind, Probe

SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height
ROTATION_DEG = {3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}  # clockwise, by EXIF orientation


class TagWindow(Protocol):
    """A remote recording that is read by ranges; what was read of it lies in a local file."""

    url: str

    def fill_for_tags(self) -> None:
        """See that all that exiftool reads lies in the file."""
        ...


class Prober:
    """Probes files; holds one exiftool for many of them. Use as a context manager."""

    def __init__(self) -> None:
        self._exif = ExifReader()
        self._containers = ContainerReader()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what runs in the background."""
        self._exif.close()
        self._containers.close()

    @property
    def exiftool_pid(self) -> int | None:
        """Process id of the running exiftool, if there is one."""
        return self._exif.pid

    def probe(
        self,
        path: Path,
        kind: MediaKind,
        sidecars: Sequence[Path] = (),
        window: TagWindow | None = None,
    ) -> Probe:
        """What the file says of itself; `kind` is what its name says, the record's what it is.

        Through a `window`, a remote recording is read as far as needed; it is not all at `path`.

        Raises UnreadableMedia for a file that is damaged, empty, not readable or not what its name
        says, UnsupportedMedia for one without pictures and sound, SourceUnavailable for one that
        is not there, ConfigurationError when a tool is missing.
        """
        with _naming(path):
            size_bytes = readable_size(path)
            beside = [_Sidecar(self._exif, sidecar) for sidecar in sidecars]
            if kind == MediaKind.IMAGE:
                return _photograph(self._exif.read(path), beside, size_bytes)
            running = self._containers.start(window.url if window else path, size_bytes)
            if window:
                window.fill_for_tags()
            tags = _tags_if_any(self._exif, path)
            return _recording(self._containers.finish(running), tags, beside, size_bytes)


class _Sidecar:
    """A file beside the original: the tags of an XMP, of others just that they are there."""

    def __init__(self, exif: ExifReader, path: Path) -> None:
        self.tags: Tags = {}
        self.record: dict[str, Json] = {"name": display_name(path_to_uri(path))}
        try:
            self.record["size_bytes"] = path.stat().st_size
            if suffix_of(path.name) == "xmp":
                self.tags = exif.read(path)
                self.record["tags"] = self.tags
        except (OSError, MediaError) as error:
            self.record["error"] = str(error)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file's name in front of what is said of it."""
    try:
        yield
    except (MediaError, SourceError) as error:
        raise type(error)(f"{display_name(path_to_uri(path))} {error}") from error


def _tags_if_any(exif: ExifReader, path: Path) -> Tags:
    """A recording's tags; what exiftool stumbles over may still be a good recording."""
    try:
        return exif.read(path)
    except UnreadableMedia as error:
        return {"ExifTool:Error": str(error)}


def _photograph(tags: Tags, sidecars: Sequence[_Sidecar], size_bytes: int) -> Probe:
    form = str(tags.get("File:FileType", "")).rpartition(" ")[2]  # of "Extended WEBP" the last
    if form.upper() not in EXIFTOOL_PICTURES:
        what = f"holds {form}" if form else f"is damaged ({tags.get('ExifTool:Error', 'unknown')})"
        raise UnreadableMedia(f"{what}, not a picture as its name says. {AGAIN}")
    width, height = _stored_size(tags)
    if not width or not height:
        raise UnreadableMedia(f"has no picture size ({form} without a whole header). {AGAIN}")
    orientation = _orientation(tags)
    if orientation in SIDEWAYS:
        width, height = height, width
    description = describe(tags, [s.tags for s in sidecars], orientation)
    return Probe(
        kind=MediaKind.IMAGE,
        container=form.lower(),
        duration_s=0.0,
        size_bytes=size_bytes,
        width=width,
        height=height,
        rotation_deg=ROTATION_DEG.get(orientation, 0),
        has_video=False,
        has_audio=False,
        frame_rate=0.0,
        is_variable_frame_rate=False,
        codecs=(form.lower(),),
        orientation=orientation,
        bit_depth=_picture_bits(tags),
        raw=_raw(None, tags, sidecars),
        **_described(description),
    )


def _recording(
    container: Container, tags: Tags, sidecars: Sequence[_Sidecar], size_bytes: int
) -> Probe:
    if not container.video_streams and not container.audio_streams:
        raise UnsupportedMedia("has neither pictures nor sound that can be decoded; remove it.")
    description = _described(describe(tags, [s.tags for s in sidecars]))
    description["created_at"] = description["created_at"] or iso_date(container.created or "")
    description["title"] = description["title"] or container.title
    return Probe(
        kind=MediaKind.VIDEO if container.video_streams else MediaKind.AUDIO,
        container=container.name,
        duration_s=container.duration_s,
        size_bytes=size_bytes,
        width=container.width,
        height=container.height,
        rotation_deg=container.rotation_deg,
        has_video=container.video_streams > 0,
        has_audio=container.audio_streams > 0,
        frame_rate=container.frame_rate,
        is_variable_frame_rate=container.is_variable_frame_rate,
        codecs=container.codecs,
        pixel_format=container.pixel_format,
        bit_depth=container.bit_depth,
        colour_transfer=container.colour_transfer,
        colour_primaries=container.colour_primaries,
        is_hdr=container.is_hdr,
        is_interlaced=container.is_interlaced,
        timecode=container.timecode,
        video_streams=container.video_streams,
        audio_streams=container.audio_streams,
        audio_channels=container.audio_channels,
        sample_rate_hz=container.sample_rate_hz,
        raw=_raw(container, tags, sidecars),
        **description,
    )


def _described(description: Any) -> dict[str, Any]:
    return {name: getattr(description, name) for name in description.__slots__}


def _raw(container: Container | None, tags: Tags, sidecars: Sequence[_Sidecar]) -> dict[str, Json]:
    raw: dict[str, Json] = {"exiftool": tags, "sidecars": [s.record for s in sidecars]}
    return raw if container is None else {"ffprobe": container.raw, **raw}


def _stored_size(tags: Tags) -> tuple[int, int]:
    """Width and height of the stored picture, before turning."""
    parts = str(tags.get("Composite:ImageSize", "")).replace("x", " ").split()
    if len(parts) == 2 and all(part.isdigit() for part in parts):
        return int(parts[0]), int(parts[1])
    return int(tags.get("File:ImageWidth", 0) or 0), int(tags.get("File:ImageHeight", 0) or 0)


def _orientation(tags: Tags) -> int:
    """EXIF orientation 1–8; of HEIF the container's rotation is what readers obey."""
    if tags.get("File:FileType") in HEIF_FAMILY:
        turned_deg = int(tags.get("QuickTime:Rotation", 0) or 0) % 360
        return {90: 8, 180: 3, 270: 6}.get(turned_deg, 1)
    value = tags.get("EXIF:Orientation", 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _picture_bits(tags: Tags) -> int | None:
    for name in (
        "File:BitsPerSample",
        "EXIF:BitsPerSample",
        "PNG:BitDepth",
        "QuickTime:BitDepthLuma",
    ):
        parts = str(tags.get(name, "")).split()
        if parts and parts[0].isdigit():
            return int(parts[0])
    return None
