"""From a sheet to packages, read back by programs that are not ours: csv, exiftool, ffprobe, Pillow.

Whatever people write, the agency's table and the file say the same, and the originals stay as they are.
"""

import csv
import hashlib
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from dam_pipeline.settings import Settings
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stock import shortlist
from dam_pipeline_tests.clips import ffmpeg, place
from dam_pipeline_tests.drawings import add
from dam_pipeline_tests.processed import dam

TITLES = {
    "comma.jpg": 'Red kite, "wings" & lake – café',
    "emoji.jpg": "Kite festival 🪁👨‍👩‍👧‍👦🇩🇪 at the lake",
    "hebrew.jpg": "שקיעה בנמל הישן, \u202eעיר\u202c של העיר",
    "combining.jpg": "Cafe\u0301 in Zu\u0308rich with ḧ̷̢̛͇̟́̓ signs",
    "long.jpg": "Überlänge, " + "falcon and " * 30 + "the end",
    "formula.jpg": "=HYPERLINK(1) @home -20 °C <b>&amp;</b> \\n %20 {city}",
    "japanese.jpg": "日本の桜が咲く公園の朝、" * 12,
    "clip.mov": "Märchen \u2028über «Seen» – שלום, 1,000 Wörter",
}
UNSAID = "unsaid.jpg"
KEYWORDS = (
    'kite, Kite, "Berlin, Germany", café, cafe\u0301, 日本、桜, שקיעה, 🪁, 12" record, C#, =1+1; @home\n'
    + ", ".join(f"word {at}" for at in range(10_000))
)
DESCRIPTION = 'First line: “kites”,\nsecond line; "quotes" & more – שלום 🪁, ends here'
HEADINGS = {
    "adobe-stock": ["Filename", "Title", "Keywords", "Category", "Releases"],
    "shutterstock": [
        *("Filename", "Description", "Keywords", "Categories"),
        *("Editorial", "Mature content", "illustration"),
    ],
}


@dataclass(frozen=True)
class Package:
    """A package, and what the commands that made it said."""

    agency: str
    folder: Path
    code: int
    said: Mapping[str, Any]
    checked: list[dict[str, Any]]

    @property
    def rows(self) -> dict[str, dict[str, str]]:
        """The rows of the table by file name, as the csv module reads them."""
        with open(self.said["csv"], encoding="utf-8", newline="") as file:
            return {row["Filename"]: row for row in csv.DictReader(file)}

    @property
    def manifest(self) -> dict[str, Any]:
        return json.loads(Path(self.said["manifest"]).read_bytes())

    def tags(self) -> dict[str, dict[str, Any]]:
        """All tags by file name, as a plain exiftool reads them."""
        done = subprocess.run(
            ["exiftool", "-j", "-G1", "-charset", "filename=utf8", self.folder / "media"],
            capture_output=True,
            check=True,
        )
        found = json.loads(done.stdout, parse_int=str, parse_float=str)
        return {Path(one["SourceFile"]).name: one for one in found}


@dataclass(frozen=True)
class Desk:
    """The originals with their hashes before anything was done, and the packages by agency."""

    originals: Path
    hashes: Mapping[str, str]
    packages: Mapping[str, Package]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_originals(folder: Path) -> None:
    folder.mkdir()
    for seed, name in enumerate((*TITLES, UNSAID)):
        if name.endswith(".jpg"):
            Image.fromarray(place(seed, 2500, 1700)).save(folder / name, quality=60)
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=25:duration=6"),
        *("-f", "lavfi", "-i", "sine=duration=6", "-c:v", "libx264", "-preset", "ultrafast"),
        *("-pix_fmt", "yuv420p", "-c:a", "aac", "-shortest", folder / "clip.mov"),
    )


def described(sheet: Path) -> None:
    """Fill the exported sheet in, as a person does in a spreadsheet, and save it as such programs do."""
    with open(sheet, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if title := TITLES.get(row["_file"]):
            row.update(title=title, description=DESCRIPTION, keywords=KEYWORDS, people="0")
            row.update(category="Nature", usage="commercial", generated="no", date="01.05.2026")
            row["category:adobe-stock"] = "Landscapes"
    with open(sheet, "w", encoding="utf-16", newline="") as file:
        headings = {name: None for row in rows for name in row}
        writer = csv.DictWriter(file, headings, delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)


def packaged(agency: str, folder: Path) -> Package:
    checked = json.loads(dam("stock", "check", "--agency", agency, "--json").stdout)
    done = dam("stock", "package", "--agency", agency, "--out", str(folder), "--json")
    assert done.exit_code in (0, 3), done.stderr
    return Package(agency, folder, done.exit_code, json.loads(done.stdout), checked)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    base = tmp_path_factory.mktemp("whole")
    originals, sheet = base / "originals", base / "records.csv"
    make_originals(originals)
    hashes = {path.name: sha256(path) for path in originals.iterdir()}
    settings = Settings(home=base / "home")
    with Toolbox.open(settings) as tools:
        found = add(tools, originals, ("probe", "checksum", "poster"))
    shortlist.add(settings, [one.asset_id for one in found])
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DAM_HOME", str(settings.home))
        assert dam("stock", "export", "--out", str(sheet)).exit_code == 0
        described(sheet)
        assert dam("stock", "import", str(sheet)).exit_code == 0
        made = {agency: packaged(agency, base / agency) for agency in HEADINGS}
        yield Desk(originals, hashes, made)


@pytest.fixture(params=HEADINGS)
def package(desk: Desk, request: pytest.FixtureRequest) -> Package:
    return desk.packages[request.param]


def first_name(package: Package, file: str) -> str:
    """The original's name of a deliverable."""
    [item] = [one for one in package.manifest["items"] if one["file"] == f"media/{file}"]
    return Path(item["master_uri"]).name


def test_all_but_the_undescribed_are_packaged_and_that_one_is_named(package: Package) -> None:
    assert package.code == 3
    assert {first_name(package, name) for name in package.rows} == set(TITLES)
    [left_out] = package.manifest["left_out"]
    assert left_out["partition_key"].startswith("unsaid-")
    [failed] = [one for one in package.checked if one["errors"]]
    assert failed["media_id"] == left_out["media_id"]
    assert failed["errors"] == left_out["errors"]


def test_the_table_has_the_headings_of_the_agency_and_a_row_a_file(package: Package) -> None:
    with open(package.said["csv"], encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == HEADINGS[package.agency]
    assert {len(row) for row in rows} == {len(rows[0])}
    assert sorted(row[0] for row in rows[1:]) == sorted(
        path.name for path in (package.folder / "media").iterdir()
    )


def test_table_file_manifest_and_answer_say_the_same(package: Package) -> None:
    tags = package.tags()
    answers = {Path(one["file"]).name: one for one in package.said["items"]}
    for item in package.manifest["items"]:
        name = Path(item["file"]).name
        row, inside, answer = package.rows[name], tags[name], answers[name]
        keywords = row["Keywords"].split(",")
        texts = {key: inside[f"XMP-dc:{key}"] for key in ("Title", "Description", "Subject")}
        assert texts["Title"] == item["title"] == answer["title"]
        assert texts["Subject"] == keywords == item["keywords"] == answer["keywords"]
        assert texts["Description"] == item["description"]
        column = "Title" if "Title" in row else "Description"
        assert row[column] == texts[column]
        if name.endswith(".jpg"):
            assert inside["IPTC:ObjectName"] == texts["Title"]
            assert inside["IPTC:Caption-Abstract"] == texts["Description"]
            assert inside["IPTC:Keywords"] == keywords
        else:
            assert inside["Keys:Title"] == texts["Title"]
            assert inside["Keys:Description"] == texts["Description"]
            assert inside["Keys:Keywords"] == ", ".join(keywords)


def test_ffprobe_reads_the_title_and_the_streams_of_the_master(
    desk: Desk, package: Package
) -> None:
    [clip] = (package.folder / "media").glob("*.mov")
    asked = ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", clip]
    found = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
    [item] = [one for one in package.manifest["items"] if one["file"].endswith(".mov")]
    assert found["format"]["tags"]["title"] == item["title"]
    assert [one["codec_name"] for one in found["streams"][:2]] == ["h264", "aac"]
    assert float(found["format"]["duration"]) == pytest.approx(6.0, abs=0.1)
    assert streams(clip) == streams(desk.originals / "clip.mov")


def streams(path: Path) -> str:
    """Hashes of the packets of picture and sound, as ffmpeg counts them."""
    asked = ["-map", "0:v", "-map", "0:a", "-c", "copy", "-f", "streamhash", "-"]
    done = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", path, *asked], capture_output=True, check=True, text=True
    )
    return done.stdout


def test_no_pixel_of_a_photograph_was_touched(desk: Desk, package: Package) -> None:
    for path in (package.folder / "media").glob("*.jpg"):
        with (
            Image.open(path) as copy,
            Image.open(desk.originals / first_name(package, path.name)) as own,
        ):
            assert ImageChops.difference(copy.convert("RGB"), own.convert("RGB")).getbbox() is None


def test_names_and_texts_keep_the_limits_of_both_agencies(package: Package) -> None:
    names = list(package.rows)
    assert len({name.casefold() for name in names}) == len(TITLES)
    assert all(re.fullmatch(r"[A-Za-z0-9_]+\.(jpg|mov)", name) for name in names)
    for name, row in package.rows.items():
        words = row["Keywords"].split(",")
        limit = {"adobe-stock": 49, "shutterstock": 50}[package.agency]
        assert words[:3] == ["kite", "Berlin", "Germany"]
        assert len(words) == limit == len({word.casefold() for word in words})
        if package.agency == "adobe-stock":
            assert len(name) <= 30
            assert 0 < len(row["Title"]) <= 70
            assert "," not in row["Title"]
        else:
            assert 0 < len(row["Description"]) <= 200


def test_titles_are_what_the_person_wrote_as_far_as_the_agency_takes_it(desk: Desk) -> None:
    package = desk.packages["adobe-stock"]
    titles = {first_name(package, name): row["Title"] for name, row in package.rows.items()}
    assert titles["comma.jpg"] == 'Red kite - "wings" & lake – café'
    assert titles["emoji.jpg"] == TITLES["emoji.jpg"]
    assert titles["hebrew.jpg"] == "שקיעה בנמל הישן - עיר של העיר"
    assert titles["combining.jpg"].startswith("Café in Zürich with ḧ")
    assert titles["long.jpg"] == "Überlänge - falcon and falcon and falcon and falcon and falcon"
    assert titles["formula.jpg"] == TITLES["formula.jpg"]
    assert titles["clip.mov"] == "Märchen über «Seen» – שלום - 1000 Wörter"


def test_every_file_is_in_the_manifest_with_its_hash(desk: Desk, package: Package) -> None:
    manifest = package.manifest
    others = [*manifest["files"], manifest["table"], manifest["checklist"]]
    hashes = {one["file"]: one["sha256"] for one in (*manifest["items"], *others)}
    there = [path for path in package.folder.rglob("*") if path.is_file()]
    assert {str(path.relative_to(package.folder)) for path in there} == {*hashes, "manifest.json"}
    for file, known in hashes.items():
        assert sha256(package.folder / file) == known
    for item in manifest["items"]:
        name = Path(item["master_uri"]).name
        assert item["master_sha256"] == desk.hashes[name]
        with Image.open(package.folder / item["thumbnail"]) as picture:
            picture.load()


def test_the_originals_are_as_they_were(desk: Desk, package: Package) -> None:
    assert package.folder.exists()
    assert {path.name: sha256(path) for path in desk.originals.iterdir()} == desk.hashes
