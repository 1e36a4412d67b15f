"""Agencies with a few rules each, and what the rules say of items for them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dam_pipeline.agencies.agency import (
    Agency,
    Category,
    CategoryRules,
    EditorialRules,
    FileNameRules,
    MediaRules,
    TextRules,
    Transcode,
)
from dam_pipeline.records import MediaKind
from dam_pipeline.stock.record import Item, Verdict
from dam_pipeline.stock.rules import Batch, Case, decide, submission_of
from dam_pipeline_tests.stock_items import clip, photo

PRORES = Transcode("mov", "prores_ks", "yuv422p10le")
JPEG = Transcode("jpg")
LISTED = CategoryRules(
    known=(Category("1", "Animals", ("wildlife",)), Category("7", "Food & Drink"))
)
CAPTION = EditorialRules(field="title", caption="{CITY}, {COUNTRY} - {date}: {text}")
TITLE = TextRules(is_required=True, min_length=5, max_length=40, advised_min=10, advised_max=30)
RAW_PHOTO = photo("DSC_1.NEF", {"codecs": ("nef",), "container": "nef"})
FORTY = "Fishing boats at dawn in the old harbour"  # 40 characters


def agency(media: Sequence[MediaRules] = (), **rules: Any) -> Agency:
    """An agency that takes everything but for the rules that are given."""
    kinds = {one.kind: one for one in media} or {kind: MediaRules(kind) for kind in MediaKind}
    basics = {"file_name": FileNameRules(60), "generated": "accepted", "media": kinds}
    return Agency("acme", "Acme", "1", "2026-11-21", (), "A", **{**basics, **rules})


def video(**rules: Any) -> Agency:
    """An agency with rules for clips."""
    return agency([MediaRules(MediaKind.VIDEO, **rules)])


def image(**rules: Any) -> Agency:
    """An agency with rules for photographs."""
    return agency([MediaRules(MediaKind.IMAGE, **rules)])


def checked(for_whom: Agency, *items: Item, **known: Any) -> list[Verdict]:
    """What the rules say of a batch, with what is `known` of it from elsewhere."""
    cases = [Case(one, for_whom, submission_of(one, for_whom)) for one in items]
    alike = known.pop("alike", {one.media.media_id: [] for one in items})
    return decide(Batch(for_whom, cases, alike=alike, **known))


def said(verdict: Verdict) -> dict[str, str]:
    """The level of each rule that spoke; those of names are left out, as every file gets one."""
    levels = {one.rule: "fix" for one in verdict.fixes if one.rule != "file-name"}
    levels |= {one.rule: "warning" for one in verdict.warnings}
    return levels | {one.rule: "error" for one in verdict.errors}


def changed(item: Item, **changes: Any) -> Item:
    """The item with other fields; those of its media go by `media_…`."""
    of_media = {name[6:]: changes.pop(name) for name in list(changes) if name.startswith("media_")}
    return replace(item, media=replace(item.media, **of_media), **changes)


def sized(width: int, height: int) -> Item:
    """A photograph of this size."""
    return photo(probe={"width": width, "height": height})


def lasting(seconds: float) -> Item:
    """A clip of this length."""
    return clip(probe={"duration_s": seconds})


def at_rate(rate: float, *, is_variable: bool = False) -> Item:
    """A clip with this frame rate."""
    return clip(probe={"frame_rate": rate, "is_variable_frame_rate": is_variable})
