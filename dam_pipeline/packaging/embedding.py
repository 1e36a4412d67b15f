"""What is said of a media, written into its copy and read back: the same text as in the table.

Photographs get IPTC and XMP, MOV and MP4 get XMP, Keys and ItemList. UserData is never written:
programs read its text as MacRoman. What the camera wrote stays.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dam_pipeline.errors import PackageInvalid
from dam_pipeline.formats import suffix_of
from dam_pipeline.media.exif_writer import ExifWriter, Value, can_write
from dam_pipeline.stock.record import Place, Submission
from dam_pipeline.stores.derived import DerivedFiles

WITH_IPTC = frozenset(("jpg", "jpe", "jpeg", "tif", "tiff"))
WITH_KEYS = frozenset(("mov", "qt", "mp4", "m4v", "m4a", "3gp", "3g2"))
KEYWORD_SEPARATOR = ", "  # in Keys and ItemList, where all keywords are one text
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
DAY = 10  # characters of an ISO 8601 date without time
MARK, UTF8 = "IPTC:CodedCharacterSet", "UTF8"
UTF8_RAW = "\x1b%G"  # ISO 2022, as IPTC marks it
LONGEST_SHOWN = 80

CAMERA = (
    *("-tagsFromFile", "@", "-EXIF:all", "--EXIF:Orientation", "--EXIF:ColorSpace"),
    *("--EXIF:ExifImageWidth", "--EXIF:ExifImageHeight", "--IFD1:all", "--EXIF:PreviewImage"),
    *("--EXIF:ImageDescription", "--EXIF:Artist", "--EXIF:Copyright", "-EXIF:ColorSpace=1"),
)
"""What a photograph that was made anew, upright and in sRGB, keeps of the master's EXIF."""


def can_embed(file_name: str) -> bool:
    """Whether descriptions can be written into a file of this name."""
    return can_write(suffix_of(file_name))


def embed(
    writer: ExifWriter,
    source: Path,
    target: Path,
    submission: Submission,
    *,
    camera: Path | None = None,
    is_recoded: bool = False,
) -> None:
    """Make `target` from `source` with the submission's texts in it, and read them back.

    `camera` is the photograph that `source` was made anew from, whose EXIF comes along; with
    `is_recoded`, IPTC that `source` has in another character set comes along in UTF-8. Raises
    PackageInvalid where the file does not say what was written, and as `ExifWriter.write`.
    """
    tags = tags_of(submission)
    before = CAMERA if camera else _in_utf8(tags) if is_recoded else ()
    found = writer.write(source, target, tags, before, camera or source)
    _compare(tags, found, submission.file_name)


def tags_of(one: Submission) -> dict[str, Value]:
    """The tags of a submission by exiftool's names; an empty value takes a tag away."""
    suffix = suffix_of(one.file_name)
    place = one.place or Place()
    tags: dict[str, Value] = {
        "XMP-dc:Title": one.title,
        "XMP-dc:Description": one.description,
        "XMP-dc:Subject": one.keywords,
        **_known({"XMP-dc:Creator": one.creator, "XMP-dc:Rights": one.copyright}),
        **_known({"XMP-photoshop:City": place.city, "XMP-photoshop:State": place.region}),
        **_known({"XMP-photoshop:Country": place.country}),
        **_known({"XMP-iptcCore:CountryCode": place.country_code}),
        **_known({"XMP-photoshop:DateCreated": one.date[:DAY].replace("-", ":")}),
        **_known({"XMP-iptcExt:DigitalSourceType": GENERATED if one.is_generated else ""}),
    }
    if suffix in WITH_IPTC:
        tags |= _iptc(one, place)
    if suffix in WITH_KEYS:
        tags |= _keys(one)
    return tags


def has_old_iptc(derived: DerivedFiles, media_id: str) -> bool:
    """Whether a media has IPTC in another character set than UTF-8, by its probe."""
    stored = derived.outcome(media_id, "probe")
    raw = stored.result.get("raw", {}).get("exiftool", {}) if stored else {}
    return raw.get(MARK) != UTF8_RAW and any(name.startswith("IPTC:") for name in raw)


def _compare(tags: Mapping[str, Value], found: Mapping[str, Any], file_name: str) -> None:
    """Raise PackageInvalid unless a file says exactly these tags, and nothing where one is empty."""
    for name, wanted in tags.items():
        expected = [wanted] if isinstance(wanted, str) else list(wanted)
        value = found.get(name, [])
        said = value if isinstance(value, list) else [value]
        if [one for one in expected if one] != said:
            raise PackageInvalid(
                f"{file_name}: {name} reads {_short(said)} after {_short(expected)} was written. "
                "Take control characters and the like out of the text."
            )


def _iptc(one: Submission, place: Place) -> dict[str, Value]:
    return {
        MARK: UTF8,
        "IPTC:ObjectName": one.title,
        "IPTC:Caption-Abstract": one.description,
        "IPTC:Keywords": one.keywords,
        **_known({"IPTC:By-line": one.creator, "IPTC:CopyrightNotice": one.copyright}),
        **_known({"IPTC:City": place.city, "IPTC:Province-State": place.region}),
        **_known({"IPTC:Country-PrimaryLocationName": place.country}),
    }


def _keys(one: Submission) -> dict[str, Value]:
    keywords = KEYWORD_SEPARATOR.join(one.keywords)
    return {
        "Keys:Title": one.title,
        "Keys:Description": one.description,
        "Keys:Keywords": keywords,
        "ItemList:Title": one.title,
        "ItemList:Description": one.description,
        "ItemList:Keyword": keywords,
        **_known({"Keys:Author": one.creator, "Keys:Copyright": one.copyright}),
        # Of the master: players would show these beside ours.
        "UserData:Title": "",
        "UserData:Description": "",
        "UserData:Comment": "",
    }


def _in_utf8(tags: Mapping[str, Value]) -> tuple[str, ...]:
    """How IPTC of another character set is written anew: its texts would be taken for UTF-8."""
    ours = [name for name in tags if name.startswith("IPTC:")]
    # Entries that are copied into a list would stay beside those that are written.
    return ("-tagsFromFile", "@", "-IPTC:all", *(f"--{name}" for name in ours))


def _known(tags: Mapping[str, str]) -> dict[str, str]:
    """Only those that have a value: of the others the master's word stays."""
    return {name: value for name, value in tags.items() if value}


def _short(entries: list[str]) -> str:
    text = KEYWORD_SEPARATOR.join(entries)
    return repr(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…")
