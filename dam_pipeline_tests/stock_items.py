"""Items for agencies as tests need them: complete, without a fault, in memory or in a handmade library."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dam_pipeline.identity import partition_key
from dam_pipeline.records import Json, Media, MediaKind, Probe
from dam_pipeline.stock.record import Item, Place, StockRecord

CLIP = Probe(
    kind=MediaKind.VIDEO,
    container="mov,mp4,m4a,3gp,3g2,mj2",
    duration_s=20.0,
    size_bytes=50_000_000,
    width=3840,
    height=2160,
    rotation_deg=0,
    has_video=True,
    has_audio=True,
    frame_rate=25.0,
    is_variable_frame_rate=False,
    codecs=("h264", "aac"),
    created_at="2026-03-01T12:00:00",
    camera="Sony FX6",
    pixel_format="yuv420p",
    bit_depth=8,
    video_streams=1,
    audio_streams=1,
)
PHOTO = replace(
    CLIP,
    kind=MediaKind.IMAGE,
    container="jpeg",
    duration_s=0.0,
    size_bytes=8_000_000,
    width=6000,
    height=4000,
    has_video=False,
    has_audio=False,
    frame_rate=0.0,
    codecs=("jpeg",),
    pixel_format=None,
    video_streams=0,
    audio_streams=0,
)
RECORD = StockRecord(
    title="Fishing boats at dawn in the old harbour",
    description="Three fishing boats leave the old harbour of Lisbon at dawn, seen from the quay.",
    keywords=("harbour", "boat", "dawn", "fishing", "sea", "Lisbon", "Portugal", "ferry"),
    usage="commercial",
    place=Place("Lisbon", "Lisboa", "Portugal", "PT"),
    date="2026-03-01T12:00:00",
    people=0,
)


def clip(name: str = "C0001.MP4", probe: Mapping[str, Any] | None = None, **record: Any) -> Item:
    """A clip of 20 s in 4K, 25 frames a second, described in full; what is given is said instead."""
    return _item(name, replace(CLIP, **(probe or {})), replace(RECORD, **record))


def photo(name: str = "DSC_1.jpg", probe: Mapping[str, Any] | None = None, **record: Any) -> Item:
    """A photograph of 24 megapixels, described in full; what is given is said instead."""
    return _item(name, replace(PHOTO, **(probe or {})), replace(RECORD, **record))


def probed(probe: Probe, **changes: Json) -> dict[str, Json]:
    """A whole probe for a clip of `handmade`, with these changes."""
    return replace(probe, **changes).to_json()


def _item(name: str, probe: Probe, record: StockRecord) -> Item:
    media_id = hashlib.md5(name.encode()).hexdigest()
    key = partition_key(name, media_id)
    media = Media(media_id, key, probe.kind, probe.size_bytes, name, asset_id=media_id)
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    said_by = dict.fromkeys(("title", "description", "keywords", "usage", "people"), "person")
    return Item(media, f"file:///library/{name}", probe, sha256, record, said_by, faces=0)
