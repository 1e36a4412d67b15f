"""Rules on files, batches and deliveries: how a copy is made, what it is called, what is there already."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from dam_pipeline.agencies.agency import (
    BatchRules,
    FileNameRules,
    MediaRules,
)
from dam_pipeline.agencies.loading import shipped_agencies
from dam_pipeline.graph.among import Alike
from dam_pipeline.media.probing import Prober
from dam_pipeline.records import MediaKind
from dam_pipeline.stock.deliveries import Delivery, DeliveryState
from dam_pipeline.stock.footage import gamma_of, profile_of
from dam_pipeline.stock.record import Item, Rendition
from dam_pipeline_tests.clips import ffmpeg
from dam_pipeline_tests.stock_agencies import (
    JPEG,
    PRORES,
    RAW_PHOTO,
    agency,
    at_rate,
    changed,
    checked,
    image,
    said,
    sized,
    video,
)
from dam_pipeline_tests.stock_items import clip, photo

RATES: dict[str, Any] = {"frame_rates": (25, 29.97, 30), "transcode": PRORES}
HD: dict[str, Any] = {"max_width": 1920, "max_height": 1080, "transcode": PRORES}
ALL_AT_ONCE: dict[str, Any] = {
    "suffixes": ("mov",),
    "codecs": ("prores",),
    "is_even_size": True,
    "frame_rates": (25,),
    "audio": "forbidden",
    "transcode": PRORES,
}
RENDITIONS: list[tuple[Item, dict[str, Any], Rendition]] = [
    (clip("a.mkv"), {"suffixes": ("mp4",)}, Rendition("remux", "mp4")),
    (clip("a.m4v"), {"suffixes": ("mp4", "mov")}, Rendition("remux", "mov")),
    (clip(), {"audio": "forbidden"}, Rendition("remux", drop_audio=True)),
    (photo("a.JPE"), {"suffixes": ("jpg", "png")}, Rendition("copy", "jpg")),
    (photo("a.jpg", {"codecs": ("png",)}), {"suffixes": ("jpg", "png")}, Rendition("copy", "png")),
    (
        photo("a.png", {"codecs": ("png",)}),
        {"suffixes": ("jpg",), "transcode": JPEG},
        Rendition("transcode", "jpg"),
    ),
    (at_rate(29.4, is_variable=True), RATES, Rendition("transcode", "mov", frame_rate=29.97)),
    (at_rate(59.94), RATES, Rendition("transcode", "mov", frame_rate=30)),
    (at_rate(29.9), RATES, Rendition("transcode", "mov", frame_rate=29.97)),
    (
        sized(6001, 4001),
        {"max_megapixels": 6, "transcode": JPEG},
        Rendition("transcode", "jpg", 2999, 2000),
    ),
    (
        clip(probe={"width": 2161, "height": 3841}),
        HD,
        Rendition("transcode", "mov", 1080, 1918),
    ),
    (
        clip("a.mkv", {"codecs": ("vp9",), "width": 1921, "frame_rate": 50.0}),
        ALL_AT_ONCE,
        Rendition("transcode", "mov", 1920, 2160, 25, drop_audio=True),
    ),
    (
        clip(probe={"is_hdr": True, "is_interlaced": True}),
        {"codecs": ("prores",), "transcode": PRORES},
        Rendition("transcode", "mov", is_deinterlaced=True, is_toned=True),
    ),
]


@pytest.mark.parametrize(("item", "rules", "made"), RENDITIONS)
def test_the_copy_is_made_as_little_other_as_can_be(
    item: Item, rules: dict[str, Any], made: Rendition
) -> None:
    for_whom = agency([MediaRules(item.probe.kind, **rules)])
    (verdict,) = checked(for_whom, item)
    assert not verdict.errors
    assert verdict.submission.rendition == made
    assert verdict.submission.file_name.endswith(f".{made.suffix or 'mp4'}")


@pytest.mark.parametrize(
    ("codecs", "audio", "kept"),
    [
        (("h264", "aac"), "", "streams and pixels stay"),
        (("h264", "flac"), "", "pixels stay, the sound (flac) is encoded anew as AAC"),
        (("h264", "flac"), "forbidden", "streams and pixels stay"),
    ],
)
def test_a_new_container_says_what_becomes_of_the_sound(
    codecs: tuple[str, ...], audio: str, kept: str
) -> None:
    (verdict,) = checked(video(suffixes=("mov",), audio=audio), clip("a.mkv", {"codecs": codecs}))
    (fix,) = [one for one in verdict.fixes if one.rule == "container"]
    assert fix.message == f"Acme does not take this form of file: {kept}, the container changes."


def test_transparency_that_stays_is_not_spoken_of() -> None:
    see_through = {"codecs": ("prores",), "pixel_format": "yuva444p12le"}
    (verdict,) = checked(video(codecs=("prores",)), clip("a.mov", see_through))
    assert said(verdict) == {}


def test_a_picture_that_would_be_too_small_afterwards_is_not_made_smaller() -> None:
    narrow = image(max_width=4000, min_height=1000, transcode=JPEG)
    (verdict,) = checked(narrow, sized(9000, 1200))
    (error,) = verdict.errors
    assert error.rule == "picture-too-large"
    assert verdict.submission.rendition == Rendition()


def test_a_camera_raw_file_is_never_encoded_here() -> None:
    (verdict,) = checked(image(suffixes=("jpg",), codecs=("jpeg",), transcode=JPEG), RAW_PHOTO)
    (error,) = verdict.errors
    assert (error.rule, "raw converter" in error.fix) == ("codec", True)


def test_what_is_encoded_anew_is_not_weighed_before() -> None:
    heavy = {"size_bytes": 2000}
    for_whom = video(max_bytes=999, codecs=("prores",), transcode=PRORES)
    assert said(checked(for_whom, clip(probe=heavy))[0]) == {"codec": "fix"}


def test_file_names_fit_and_collide_with_none() -> None:
    short = agency(file_name=FileNameRules(30))
    items = [
        changed(
            clip("Café – Møre & Rømsdal, the whole evening.MOV"),
            media_media_id=hashlib.md5(bytes([at])).hexdigest(),
        )
        for at in range(9)
    ]
    names = [one.submission.file_name for one in checked(short, *items)]
    assert len(set(names)) == 9
    assert all(len(name) <= 30 and name.isascii() and " " not in name for name in names)


def test_what_an_agency_has_is_an_error_until_it_is_to_go_again() -> None:
    item = clip()
    there = Delivery(
        "acme", item.media.media_id, item.media.asset_id, "sftp://h/", "p", "media/a.mp4", "", 1, "",
        DeliveryState.VERIFIED, when="2026-10-01T08:00:00+00:00",
    )  # fmt: skip
    known = {item.media.asset_id: there}
    (verdict,) = checked(agency(), item, delivered=known)
    (error,) = verdict.errors
    assert (error.rule, error.message) == (
        "already-delivered",
        "Acme has it since 2026-10-01: media/a.mp4.",
    )
    (again,) = checked(agency(), item, delivered=known, again=True)
    assert not again.errors


def test_what_an_agency_rejected_is_told_with_the_reason() -> None:
    item = clip()
    rejected = Delivery(
        "acme", item.media.media_id, item.media.asset_id, "sftp://h/", "p", "media/a.mp4", "", 1, "",
        DeliveryState.REJECTED, reason="Noise.", when="2026-10-01T08:00:00+00:00",
    )  # fmt: skip
    (verdict,) = checked(agency(), item, rejected={item.media.asset_id: rejected})
    (warning,) = verdict.warnings
    assert warning.message == "Acme rejected it on 2026-10-01: Noise."


def test_near_duplicates_of_the_batch_and_of_deliveries_are_named_and_others_not() -> None:
    one, two = clip(), clip("b.mp4", title="Another")
    ids = [one.media.media_id, two.media.media_id]
    there = Delivery(
        "acme",
        "older",
        "older",
        "sftp://h/",
        "p",
        "media/o.mp4",
        "",
        1,
        "",
        DeliveryState.DELIVERED,
    )
    alike = {
        ids[0]: [Alike(ids[1], 0.99, 0.5), Alike("stranger", 0.98, 1.0), Alike("older", 0.9, 1.0)],
        ids[1]: [Alike(ids[0], 0.99, 1.0)],
    }
    first, second = checked(agency(), one, two, alike=alike, delivered={"older": there})
    assert [w.message for w in first.warnings] == [
        f"It shows the same pictures as {two.media.partition_key} (50% of it), media/o.mp4 (100% of it)."
    ]
    assert [w.rule for w in second.warnings] == ["near-duplicate"]


def test_an_older_version_of_an_item_that_goes_again_is_no_near_duplicate() -> None:
    item = clip()
    own = item.media
    older = Delivery(
        "acme", "older", own.asset_id, "sftp://h/", "p", "media/o.mp4", "", 1, "", DeliveryState.ACCEPTED
    )  # fmt: skip
    known = {"alike": {own.media_id: [Alike("older", 0.99, 1.0)]}, "again": True}
    (verdict,) = checked(agency(), item, delivered={own.asset_id: older}, **known)
    assert said(verdict) == {}


def test_what_the_graph_has_not_seen_is_told() -> None:
    pair = [clip(), clip("b.mp4", title="Another")]
    unseen = {one.media.media_id: None for one in pair}
    assert [said(one) for one in checked(agency(), *pair, alike=unseen)] == [
        {"not-compared": "warning"}
    ] * 2


def test_items_that_are_left_out_do_not_count_against_the_batch() -> None:
    verdicts = checked(
        agency(batch=BatchRules(max_items=1, is_one_kind=True)),
        changed(photo(), uri=""),
        changed(photo("b.jpg", title="Another"), uri=""),
        clip(),
    )
    assert [[error.rule for error in one.errors] for one in verdicts] == [
        ["master-missing"],
        ["master-missing"],
        [],
    ]


def test_a_log_curve_and_a_profile_are_read_from_raw_tags() -> None:
    sony = {"XML:AcquisitionRecordGroupItemValue": ["s-log3-cine", "s-gamut3-cine"]}
    assert gamma_of({"exiftool": sony}) == "s-log3-cine"
    assert gamma_of({"exiftool": {"MakerNotes:PhotoStyle": "V-Log"}}) == "V-Log"
    assert (
        gamma_of({"exiftool": {"MakerNotes:PhotoStyle": "Standard", "XMP:Title": "S-Log3"}}) == ""
    )
    streams = [
        {"codec_type": "audio"},
        {"codec_type": "video", "profile": "HQ", "color_transfer": "log100"},
    ]
    assert gamma_of({"ffprobe": {"streams": streams}}) == "log100"
    assert profile_of({"ffprobe": {"streams": streams}}) == "HQ"
    assert profile_of({}) == gamma_of({}) == ""


@pytest.mark.parametrize(("profile", "name", "level"), [("3", "HQ", None), ("1", "LT", "fix")])
def test_a_real_prores_file_is_taken_or_not_by_its_profile(
    profile: str, name: str, level: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "a.mov"
    pattern = ("-f", "lavfi", "-i", "testsrc2=s=320x240:d=0.2")
    ffmpeg(*pattern, "-c:v", "prores_ks", "-profile:v", profile, path)
    with Prober() as prober:
        probe = prober.probe(path, MediaKind.VIDEO)
    assert profile_of(probe.raw) == name
    item = changed(clip("a.mov"), probe=probe, profile=profile_of(probe.raw))
    (artgrid,) = [one for one in shipped_agencies() if one.id == "artgrid"]
    assert said(checked(artgrid, item)[0]).get("codec") == level
