"""What tags say: dates, places, cameras, keywords, faces; sidecars win. Written by exiftool."""

from pathlib import Path

import pytest
from clips import encode, exiftool, ffmpeg, place, shots
from PIL import Image

from dam_pipeline.media.probing import Prober
from dam_pipeline.media.tags import camera, created_at, face_regions, gps, iso_date
from dam_pipeline.records import MediaKind

FACE = (
    "-XMP-mwg-rs:RegionInfo={AppliedToDimensions={W=320,H=180,Unit=pixel},RegionList=[{Area={X=0.25,"
    "Y=0.3,W=0.1,H=0.2,Unit=normalized},Name=Ada,Type=Face},{Area={X=0.5,Y=0.5,W=1,H=1,"
    "Unit=normalized},Name=Barcode,Type=BarCode}]}"
)


@pytest.fixture(scope="module")
def prober():
    with Prober() as prober:
        yield prober


@pytest.fixture
def photo(tmp_path) -> Path:
    Image.fromarray(place(1)).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"


def test_a_photographs_tags_are_read(prober, photo):
    exiftool(
        "-Make=Canon", "-Model=Canon EOS R5", "-LensModel=RF 50mm F1.8",
        "-DateTimeOriginal=2024:05:06 07:08:09", "-OffsetTimeOriginal=+02:00",
        "-GPSLatitude=48.2", "-GPSLatitudeRef=N", "-GPSLongitude=16.3", "-GPSLongitudeRef=W",
        "-XMP-dc:Title=Harbour", "-XMP-dc:Subject=sea", "-XMP-dc:Subject=boats", "-XMP:Rating=4",
        FACE, photo,
    )  # fmt: skip
    found = prober.probe(photo, MediaKind.IMAGE, ())
    assert (found.camera, found.lens) == ("Canon EOS R5", "RF 50mm F1.8")
    assert found.created_at == "2024-05-06T07:08:09+02:00"
    assert found.gps == pytest.approx((48.2, -16.3), abs=1e-4)
    assert (found.title, found.keywords, found.rating) == ("Harbour", ("sea", "boats"), 4.0)
    assert found.face_regions == ({"name": "Ada", "box": [0.2, 0.2, 0.1, 0.2]},)


def test_a_date_without_offset_stays_without(prober, photo):
    exiftool("-DateTimeOriginal=2024:05:06 07:08:09", photo)
    assert prober.probe(photo, MediaKind.IMAGE, ()).created_at == "2024-05-06T07:08:09"


def test_a_films_date_in_utc_has_its_offset(prober, tmp_path):
    clip = encode(
        tmp_path / "a.mp4", shots((5,)), "-metadata", "creation_time=2024-05-06T07:08:09Z"
    )
    assert prober.probe(clip, MediaKind.VIDEO, ()).created_at == "2024-05-06T07:08:09+00:00"


def test_a_phones_local_date_is_preferred_to_utc(prober, tmp_path):
    clip = encode(
        tmp_path / "a.mov", shots((5,)), "-metadata", "creation_time=2024-05-06T05:08:09Z"
    )
    exiftool("-Keys:CreationDate=2024:05:06 07:08:09+02:00", "-Keys:Make=Apple",
             "-Keys:Model=iPhone 15", "-Keys:GPSCoordinates=48.2, 16.3, 200", clip)  # fmt: skip
    found = prober.probe(clip, MediaKind.VIDEO, ())
    assert found.created_at == "2024-05-06T07:08:09+02:00"
    assert found.camera == "Apple iPhone 15"
    assert found.gps == pytest.approx((48.2, 16.3), abs=1e-3)


def test_a_matroskas_date_and_title_are_read(prober, tmp_path):
    tags = ("-metadata", "creation_time=2024-05-06T07:08:09Z", "-metadata", "title=Quay")
    found = prober.probe(encode(tmp_path / "a.mkv", shots((5,)), *tags), MediaKind.VIDEO, ())
    assert (found.created_at, found.title) == ("2024-05-06T07:08:09+00:00", "Quay")


def test_a_sidecar_wins_over_what_is_embedded(prober, photo, tmp_path):
    exiftool(
        "-XMP-dc:Title=Old", "-XMP-dc:Subject=old", "-XMP:Rating=1", "-Model=X100", FACE, photo
    )
    sidecar = tmp_path / "photo.xmp"
    exiftool("-XMP-dc:Title=New", "-XMP-dc:Subject=new", "-XMP:Rating=5", "-XMP-tiff:Model=Z",
             FACE.replace("Ada", "Grace"), sidecar)  # fmt: skip
    found = prober.probe(photo, MediaKind.IMAGE, [sidecar])
    assert (found.title, found.keywords, found.rating) == ("New", ("new",), 5.0)
    assert found.face_regions[0]["name"] == "Grace"
    assert found.camera == "X100"


def test_what_a_sidecar_is_silent_about_stays_as_embedded(prober, photo, tmp_path):
    exiftool("-XMP-dc:Title=Old", "-XMP:Rating=1", photo)
    exiftool("-XMP:Rating=5", tmp_path / "photo.xmp")
    found = prober.probe(photo, MediaKind.IMAGE, [tmp_path / "photo.xmp"])
    assert (found.title, found.rating) == ("Old", 5.0)


def test_other_sidecars_are_recorded_and_a_broken_one_does_not_matter(prober, tmp_path):
    clip = encode(tmp_path / "clip.mp4", shots((5,)))
    sidecars = [tmp_path / name for name in ("clip.SRT", "clip.thm", "clip.xmp")]
    for sidecar in sidecars:
        sidecar.write_bytes(b"<not really")
    raw = prober.probe(clip, MediaKind.VIDEO, [*sidecars, tmp_path / "gone.xml"]).raw
    assert [s["name"] for s in raw["sidecars"]] == ["clip.SRT", "clip.thm", "clip.xmp", "gone.xml"]
    assert raw["sidecars"][0]["size_bytes"] == 11
    assert "error" in raw["sidecars"][3]


def test_a_songs_title_is_read(prober, tmp_path):
    ffmpeg("-f", "lavfi", "-i", "sine=d=1", "-metadata", "title=Étude", tmp_path / "a.mp3")
    assert prober.probe(tmp_path / "a.mp3", MediaKind.AUDIO, ()).title == "Étude"


def test_a_title_that_looks_like_a_number_stays_text(prober, photo):
    exiftool("-XMP-dc:Title=2024", "-XMP-dc:Subject=007", photo)
    found = prober.probe(photo, MediaKind.IMAGE, ())
    assert (found.title, found.keywords) == ("2024", ("007",))


@pytest.mark.parametrize(
    ("make", "model", "camera_name"),
    [
        ("Canon", "Canon EOS R5", "Canon EOS R5"),
        ("NIKON CORPORATION", "NIKON D90", "NIKON D90"),
        ("SONY", "ILCE-7M4", "SONY ILCE-7M4"),
        ("Apple", "iPhone 7", "Apple iPhone 7"),
        ("", "X100", "X100"),
        ("DJI", "", "DJI"),
        ("", "", None),
    ],
)
def test_a_cameras_make_is_not_named_twice(make, model, camera_name):
    assert camera({"EXIF:Make": make, "EXIF:Model": model}) == camera_name


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2024:05:06 07:08:09", "2024-05-06T07:08:09"),
        ("2024:05:06 07:08:09.123+02:00", "2024-05-06T07:08:09+02:00"),
        ("2024:05:06 07:08:09-0330", "2024-05-06T07:08:09-03:30"),
        ("2024-05-06T07:08:09.000000Z", "2024-05-06T07:08:09+00:00"),
        ("2024:05:06 07:08", "2024-05-06T07:08:00"),
        ("0000:00:00 00:00:00", None),
        ("1904:01:01 00:00:00", None),
        ("2024:13:40 99:99:99", None),
        ("2024", None),
        ("", None),
        ("    :  :     :  :  ", None),
    ],
)
def test_dates_are_iso_8601_and_nonsense_is_none(text, iso):
    assert iso_date(text) == iso


def test_a_clock_that_was_never_set_is_no_date():
    assert created_at({"QuickTime:CreateDate": "1970:01:01 00:00:00"}) is None


def test_a_position_on_the_equator_and_meridian_is_no_fix():
    assert gps({"Composite:GPSLatitude": 0, "Composite:GPSLongitude": 0}) is None
    assert gps({"Composite:GPSLatitude": 95, "Composite:GPSLongitude": 0}) is None
    assert gps({"Composite:GPSLatitude": 0, "Composite:GPSLongitude": 6.1}) == (0, 6.1)


@pytest.mark.parametrize(
    ("orientation", "box"),
    [
        (1, [0.1, 0.2, 0.3, 0.4]),
        (3, [0.6, 0.4, 0.3, 0.4]),
        (6, [0.4, 0.1, 0.4, 0.3]),
        (8, [0.2, 0.6, 0.4, 0.3]),
    ],
)
def test_face_regions_turn_with_the_picture(orientation, box):
    region = {"Rectangle": "0.1, 0.2, 0.3, 0.4", "PersonDisplayName": "Ada"}
    found = face_regions({"XMP:RegionInfoMP": {"Regions": [region]}}, orientation)
    assert found[0]["name"] == "Ada"
    assert found[0]["box"] == pytest.approx(box)


def test_keywords_that_apple_writes_as_one_text_are_told_apart(prober, tmp_path):
    clip = encode(tmp_path / "a.mov", shots((5,)))
    exiftool("-Keys:Keywords=sea, boats,,New York; sea", clip)
    assert prober.probe(clip, MediaKind.VIDEO, ()).keywords == ("sea", "boats", "New York")


def test_a_comma_within_a_keyword_of_a_photograph_stays(prober, photo):
    exiftool("-XMP-dc:Subject=Paris, Texas", "-XMP-dc:Subject=sea", photo)
    assert prober.probe(photo, MediaKind.IMAGE, ()).keywords == ("Paris, Texas", "sea")
