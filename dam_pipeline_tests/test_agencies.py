"""Agencies as data: what ships, a library's own, what is wrong in a file, and templates of tables."""

import codecs
import json
import re
import subprocess
import zipfile
from dataclasses import fields
from pathlib import Path

import pytest
from openpyxl import Workbook

from dam_pipeline.agencies.agency import Agency
from dam_pipeline.agencies.keeping import add_agency, forget_agency, import_template
from dam_pipeline.agencies.listing import APART, rules_of
from dam_pipeline.agencies.loading import (
    broken_agencies,
    find_agency,
    known_agencies,
    known_agency,
    read_agency,
    shipped_agencies,
    shipped_files,
)
from dam_pipeline.agencies.specification import parse_agency
from dam_pipeline.agencies.templates import require_template, template_file
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.records import MediaKind
from dam_pipeline.settings import Settings
from dam_pipeline.stores import library_files
from dam_pipeline_tests.processed import dam, dam_json

NINE = {
    *("adobe-stock", "shutterstock", "pond5", "getty", "alamy", "dreamstime", "storyblocks"),
    *("artgrid", "generic"),
}
NEED_A_TEMPLATE = {"pond5", "getty", "dreamstime", "storyblocks"}
GENERIC = shipped_files()["generic"].read_text(encoding="utf-8")
POND5 = "originalfilename,title,description,keywords,price"

SMALL = """
name = "Small"
version = "3"
verified_on = 2026-11-21
[[sources]]
what = ["title"]
where = "a letter"
read_on = "2026-11-20"
confidence = "C"
[title]
max_length = 12
[media.image]
suffixes = ["jpg"]
"""


def own(settings: Settings, agency_id: str, text: str) -> Path:
    """A specification of the library's own."""
    path = settings.home / "agencies" / f"{agency_id}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def headings(settings: Settings, agency_id: str) -> list[str]:
    """The headings of an agency's table, as it is packaged now."""
    return [one.heading for one in find_agency(settings, agency_id).table.columns]


def workbook(path: Path, *rows: list[object]) -> Path:
    """An XLSX file with these rows."""
    book = Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


class TestShipped:
    """What ships."""

    def test_all_nine_are_there(self, settings: Settings) -> None:
        assert {one.agency.id for one in known_agencies(settings)} == NINE

    @pytest.mark.parametrize("agency", shipped_agencies(), ids=lambda one: one.id)
    def test_every_rule_that_is_set_has_a_source(self, agency: Agency) -> None:
        told = {group for source in agency.sources for group in source.what}
        unset = Agency("", "", "", "", (), "A")
        groups = {field.name for field in fields(Agency)} - set(APART)
        is_set = {one for one in groups if getattr(agency, one) != getattr(unset, one)}
        assert is_set - told == set()

    @pytest.mark.parametrize("agency", shipped_agencies(), ids=lambda one: one.id)
    def test_the_confidence_is_that_of_the_weakest_source(self, agency: Agency) -> None:
        assert agency.confidence == max(one.confidence for one in agency.sources)

    @pytest.mark.parametrize("agency", shipped_agencies(), ids=lambda one: one.id)
    def test_a_person_is_told_what_to_do(self, agency: Agency) -> None:
        assert agency.human_steps
        assert agency.notes
        assert agency.transport.login_help or not agency.transport.host

    def test_a_table_whose_headings_are_not_sure_needs_a_template(self) -> None:
        needy = {one.id for one in shipped_agencies() if one.table and one.table.needs_template}
        assert needy == NEED_A_TEMPLATE

    def test_adobe_stock_is_as_its_page_says(self, settings: Settings) -> None:
        adobe = find_agency(settings, "adobe-stock")
        assert headings(settings, "adobe-stock") == [
            *("Filename", "Title", "Keywords", "Category", "Releases")
        ]
        assert (adobe.title.max_length, adobe.title.forbidden) == (70, ",")
        assert (adobe.file_name.max_length, adobe.keywords.max_count) == (30, 49)
        assert (adobe.table.max_rows, adobe.table.max_bytes) == (5000, 1_000_000)
        assert [one.code for one in adobe.categories.known] == [str(n) for n in range(1, 22)]
        assert adobe.transport.schemes == ("sftp",)

    def test_shutterstock_is_as_its_page_says(self, settings: Settings) -> None:
        found = find_agency(settings, "shutterstock")
        assert headings(settings, "shutterstock") == [
            *("Filename", "Description", "Keywords", "Categories"),
            *("Editorial", "Mature content", "illustration"),
        ]
        assert (found.keywords.min_count, found.keywords.max_count) == (7, 50)
        assert (found.categories.min_count, found.categories.max_count) == (1, 2)
        assert (found.transport.schemes, found.transport.host) == (
            ("ftps",),
            "ftps.shutterstock.com",
        )
        assert found.generated == "forbidden"

    def test_what_separates_keywords_may_not_stand_in_one(self, settings: Settings) -> None:
        for agency in (one.agency for one in known_agencies(settings)):
            if agency.table:
                assert agency.table.keyword_separator.strip() in agency.keywords.forbidden

    def test_every_category_is_told_apart_by_all_its_words(self) -> None:
        for agency in shipped_agencies():
            words = [
                word.casefold()
                for one in agency.categories.known
                for word in {one.name.casefold(), *one.also}
            ]
            assert [word for word in words if words.count(word) > 1] == []

    @pytest.mark.parametrize(
        "agency",
        [one for one in shipped_agencies() if MediaKind.VIDEO in one.media],
        ids=lambda one: one.id,
    )
    def test_what_other_videos_are_made_into_is_taken(self, agency: Agency, tmp_path: Path) -> None:
        rules = agency.media[MediaKind.VIDEO]
        if (how := rules.transcode) is None:
            assert (agency.id, rules.suffixes, rules.codecs) == ("generic", (), ())
            return
        made = tmp_path / f"made.{how.suffix}"
        subprocess.run(
            [
                *("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=64x64:d=0.2"),
                *("-c:v", how.codec, "-pix_fmt", how.pixel_format, *how.options, made),
            ],
            check=True,
        )
        shown = ("-show_entries", "stream=codec_name,profile", "-of", "csv=p=0")
        told = subprocess.run(
            ["ffprobe", "-v", "error", *shown, made], check=True, capture_output=True, text=True
        )
        codec, profile = told.stdout.strip().lower().split(",")
        assert not rules.codecs or {codec, f"{codec} {profile}"} & set(rules.codecs)

    def test_listing_names_every_rule_once(self) -> None:
        for agency in shipped_agencies():
            names = [name for name, _ in rules_of(agency)]
            assert len(names) == len(set(names))
        adobe = dict(rules_of(read_agency(shipped_files()["adobe-stock"])))
        assert adobe["title.max_length"] == "70"
        assert adobe["editorial.allows_people"] == "no"
        assert adobe["table.delimiter"] == "','"
        assert "title.min_length" not in adobe


class TestOwn:
    """A library's own specifications."""

    def test_a_new_agency_is_one_file(self, settings: Settings) -> None:
        own(settings, "small", SMALL)
        found = find_agency(settings, "small")
        assert (found.id, found.confidence, found.title.max_length) == ("small", "C", 12)
        assert {one.agency.id for one in known_agencies(settings)} == {*NINE, "small"}

    def test_a_table_is_called_by_its_form_unless_a_name_is_given(self, settings: Settings) -> None:
        table = '[table]\nformat = "xml"\nroot = "items"\nrow = "item"\n'
        table += 'columns = [{ heading = "file", value = "file_name" }]\n'
        own(settings, "small", SMALL + table)
        assert find_agency(settings, "small").table.file_name == "metadata.xml"
        own(settings, "small", SMALL + table + 'file_name = "batch.xml"\n')
        assert find_agency(settings, "small").table.file_name == "batch.xml"
        assert find_agency(settings, "generic").table.file_name == "metadata.csv"

    def test_one_of_the_same_id_takes_the_place_of_the_shipped_one(
        self, settings: Settings
    ) -> None:
        path = own(settings, "alamy", SMALL)
        known = known_agency(settings, "alamy")
        assert (known.agency.name, known.path, known.is_own) == ("Small", path, True)
        assert known.shipped.name == "Alamy"

    def test_an_agency_that_is_not_there_is_told_with_those_that_are(
        self, settings: Settings
    ) -> None:
        with pytest.raises(ConfigurationError, match=r"no agency 'adobe'.*adobe-stock, alamy"):
            find_agency(settings, "adobe")

    @pytest.mark.parametrize("agency_id", ["../alamy", "", "ALAMY", "alamy.toml"])
    def test_only_an_id_finds_an_agency(self, agency_id: str, settings: Settings) -> None:
        with pytest.raises(ConfigurationError, match="There is no agency"):
            find_agency(settings, agency_id)

    def test_one_broken_file_does_not_hide_the_others(self, settings: Settings) -> None:
        own(settings, "small", "title = 3")
        assert find_agency(settings, "alamy").name == "Alamy"
        assert {one.agency.id for one in known_agencies(settings)} == NINE
        with pytest.raises(ConfigurationError, match=r"small\.toml"):
            find_agency(settings, "small")

    def test_a_broken_file_can_be_forgotten(self, settings: Settings) -> None:
        own(settings, "alamy", "title = 3")
        assert forget_agency(settings, "alamy", dry_run=False) == ["agencies/alamy.toml"]
        assert find_agency(settings, "alamy").name == "Alamy"

    def test_a_file_whose_name_is_no_id_is_named(self, settings: Settings) -> None:
        own(settings, "My Agency", SMALL)
        assert "my-agency.toml" in broken_agencies(settings)["My Agency"]
        listed = dam("stock", "agencies", "--json")
        assert (listed.exit_code, len(json.loads(listed.stdout))) == (3, len(NINE))
        assert "My Agency is no id" in listed.stderr

    def test_a_file_that_is_no_utf_8_is_named(self, settings: Settings) -> None:
        own(settings, "small", "").write_bytes(b"name = '\xff'")
        with pytest.raises(ConfigurationError, match=r"small\.toml cannot be read"):
            find_agency(settings, "small")

    def test_what_is_added_is_checked_first(self, settings: Settings, tmp_path: Path) -> None:
        made = tmp_path / "small.toml"
        made.write_text("name = 'x'")
        with pytest.raises(ConfigurationError, match="version is missing"):
            add_agency(settings, made, dry_run=False)
        made.write_text(SMALL)
        add_agency(settings, made, dry_run=True)
        assert not (settings.home / "agencies").exists()
        add_agency(settings, made, dry_run=False)
        assert find_agency(settings, "small").name == "Small"
        assert forget_agency(settings, "small", dry_run=True) == ["agencies/small.toml"]
        forget_agency(settings, "small", dry_run=False)
        with pytest.raises(ConfigurationError, match="There is no agency"):
            find_agency(settings, "small")

    def test_what_ships_cannot_be_forgotten(self, settings: Settings) -> None:
        with pytest.raises(ConfigurationError, match="nothing of its own about alamy"):
            forget_agency(settings, "alamy", dry_run=False)

    @pytest.mark.s3
    def test_workers_that_share_a_storage_share_agencies(
        self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(library_files, "LOOK_AGAIN_S", 0.0)
        address = f"{request.getfixturevalue('bucket').uri}/library"
        one = Settings(home=tmp_path / "one", storage_url=address)
        two = Settings(home=tmp_path / "two", storage_url=address)
        made, sheet = tmp_path / "small.toml", tmp_path / "sheet.csv"
        made.write_text(SMALL)
        sheet.write_text(POND5)
        add_agency(one, made, dry_run=False)
        import_template(one, "pond5", sheet, dry_run=False)
        assert find_agency(two, "small").name == "Small"
        assert headings(two, "pond5") == POND5.split(",")
        forget_agency(two, "small", dry_run=False)
        forget_agency(two, "pond5", dry_run=False)
        assert {known.agency.id for known in known_agencies(one)} == NINE
        assert known_agency(one, "pond5").template is None


class TestBadFiles:
    """A mistake in a file is told with the file, the key and what is allowed."""

    @pytest.mark.parametrize(
        ("instead", "of", "told"),
        [
            (
                "[media.audio]\nmax_s = 3",
                "[media.audio]",
                r"media\.audio\.max_s is no key.*max_dur",
            ),
            ("[media.sound]", "[media.audio]", r"media\.sound.*'video', 'image' or 'audio'"),
            ("title = 3\ngenerated =", "generated =", r"title is to be.*not 3"),
            ("[media.audio.transcode]", "[media.audio]", r"transcode\.suffix is missing"),
            ("max_length = true", "max_length = 100", r"file_name\.max_length is to be.*not true"),
            ('allowed = "z-a"', 'allowed = "A-Za-z0-9_-"', r"file_name\.allowed is no class"),
            ('confidence = "D"', 'confidence = "A"', r"sources\.0\.confidence.*'A', 'B' or 'C'"),
            ('read_on = "May"', 'read_on = "2026-11-21"', r"'May' is no date"),
            ('value = "prize"', 'value = "price"', r"prize of 'Price \(USD\)' is no value.*price"),
            ('"tables"', '"table"', r"sources: tables is no group of rules.*table"),
            ('encoding = "utf8x"\n[releases]', "[releases]", r"there is no utf8x"),
            ('delimiter = ""\n[releases]', "[releases]", r"table\.delimiter is to be one char"),
            ('keyword_separator = ""\n[releases]', "[releases]", r"keyword_separator is empty"),
            (
                'format = "xml"\nencoding = "cp1252"\n[releases]',
                "[releases]",
                r"encoding of XML is utf-8 or .*not cp1252",
            ),
            ('format = "xml"\n[releases]', "[releases]", r"'File name' is no name of an XML"),
            ("needs_template = true\n[releases]", "[releases]", r"template_help is missing"),
            ('[editorial]\ncaption = "{town}"\n[releases]', "[releases]", r"\{town\} is unknown"),
            ('schemes = ["scp"]', 'schemes = ["sftp", "ftps"', r"transport\.schemes\.0.*'sftp'"),
            ("[categories]\nmin_count = 1\n[releases]", "[releases]", r"known is empty"),
            ('id = "x"\nname =', "name =", r"id may not stand here"),
            ('[media.image]\nsuffixes = [".JPG"]', "[media.image]", r"'\.JPG' in small letters"),
            (
                '[media.image]\nsuffixes = ["png"]\ntranscode = { suffix = "jpg" }',
                "[media.image]",
                r"transcode\.suffix: jpg is not one of the suffixes",
            ),
            ("]", "[releases]", r"is no TOML.*line"),
        ],
        ids=lambda text: text[:24].replace("\n", " "),
    )
    def test_it_is_named(self, instead: str, of: str, told: str) -> None:
        assert of in GENERIC
        text = GENERIC.replace(of, instead, 1)
        if of == 'schemes = ["sftp", "ftps"':
            text = GENERIC.replace('schemes = ["sftp", "ftps", "s3", "file", "ftp"]', instead)
        with pytest.raises(ConfigurationError, match=f"(?s)here/x\\.toml.*{told}"):
            parse_agency(text, "x", "here/x.toml")

    def test_a_category_twice_is_named(self) -> None:
        known = '[categories]\nknown = [{code="1",name="Sea"},{code="2",name="sea"}]\n[releases]'
        with pytest.raises(ConfigurationError, match="name sea twice"):
            parse_agency(GENERIC.replace("[releases]", known), "x", "x.toml")

    def test_a_code_with_the_separator_of_a_list_is_named(self) -> None:
        known = '[categories]\nmax_count = 2\nknown = [{code="a,b",name="Sea"}]\n[releases]'
        with pytest.raises(ConfigurationError, match="a,b holds the table's list_separator"):
            parse_agency(GENERIC.replace("[releases]", known), "x", "x.toml")


class TestTemplates:
    """The headings of what a user downloaded."""

    @pytest.mark.parametrize(
        ("content", "delimiter", "encoding"),
        [
            (POND5.encode(), ",", ""),
            (codecs.BOM_UTF8 + POND5.encode(), ",", "utf-8-sig"),
            (codecs.BOM_UTF16_LE + POND5.encode("utf-16-le"), ",", "utf-16"),
            (codecs.BOM_UTF16_BE + POND5.encode("utf-16-be"), ",", "utf-16"),
            (POND5.encode("utf-16-le"), ",", "utf-16-le"),
            (POND5.encode("utf-16-be"), ",", "utf-16-be"),
            (POND5.replace(",", ";").encode(), ";", ""),
            (POND5.replace(",", "\t").encode(), "\t", ""),
            (f"sep=;\r\n{POND5.replace(',', ';')}\r\n".encode(), ";", ""),
            (f"\r\n,,,,\r\n \r\n{POND5}\r\nclip.mov,a,b,c,1\r\n".encode(), ",", ""),
            (('"' + POND5.replace(",", '","') + '"').encode(), ",", ""),
        ],
        ids=[
            *("ascii", "utf-8-mark", "utf-16-le-mark", "utf-16-be-mark", "utf-16-le", "utf-16-be"),
            *("semicolons", "tabs", "sep-line", "empty-rows-first", "quoted"),
        ],
    )
    def test_headings_are_read_however_the_file_is_written(
        self, content: bytes, delimiter: str, encoding: str, settings: Settings, tmp_path: Path
    ) -> None:
        (tmp_path / "t.csv").write_bytes(content)
        found = import_template(settings, "pond5", tmp_path / "t.csv", dry_run=False)
        assert (found.delimiter, found.encoding, found.unknown) == (delimiter, encoding, ())
        assert [(one.heading, one.value) for one in found.columns] == [
            ("originalfilename", "file_name"),
            ("title", "title"),
            ("description", "description"),
            ("keywords", "keywords"),
            ("price", "price"),
        ]
        table = find_agency(settings, "pond5").table
        assert (table.delimiter, table.encoding) == (delimiter, encoding or "utf-8")
        assert not table.needs_template

    @pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
    def test_letters_that_are_no_ascii_tell_the_encoding(
        self, encoding: str, settings: Settings, tmp_path: Path
    ) -> None:
        (tmp_path / "t.csv").write_bytes("Filename,Título".encode(encoding))
        found = import_template(settings, "pond5", tmp_path / "t.csv", dry_run=True)
        assert (found.encoding, found.unknown) == (encoding, ("Título",))

    def test_a_heading_keeps_every_letter(self, settings: Settings, tmp_path: Path) -> None:
        (tmp_path / "t.csv").write_text('"File Name *\n(required)", TITLE ,"Keywords, all",\n')
        import_template(
            settings,
            "pond5",
            tmp_path / "t.csv",
            ["File Name * (required)=file_name", "keywords, all=keywords"],
            dry_run=False,
        )
        assert headings(settings, "pond5") == [
            *("File Name *\n(required)", " TITLE ", "Keywords, all", "")
        ]
        values = [one.value for one in find_agency(settings, "pond5").table.columns]
        assert values == ["file_name", "title", "keywords", ""]

    def test_a_workbook_is_read_as_well(self, settings: Settings, tmp_path: Path) -> None:
        path = workbook(tmp_path / "t.xlsx", [], ["OriginalFilename", "name", 2026], ["a.mov"])
        found = import_template(settings, "pond5", path, dry_run=False)
        assert [(one.heading, one.value) for one in found.columns] == [
            *(("OriginalFilename", "file_name"), ("name", "title"), ("2026", ""))
        ]
        assert (found.delimiter, found.encoding, found.unknown) == ("", "", ("2026",))
        assert find_agency(settings, "pond5").table.delimiter == ","

    def test_a_second_import_goes_by_the_specification_again(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        first, second = tmp_path / "1.csv", tmp_path / "2.csv"
        first.write_text("Filename,Extra")
        second.write_text("Filename,Title")
        import_template(settings, "pond5", first, dry_run=False)
        found = import_template(settings, "pond5", second, dry_run=False)
        assert found.unknown == ()
        assert headings(settings, "pond5") == ["Filename", "Title"]

    def test_a_dry_run_keeps_nothing(self, settings: Settings, tmp_path: Path) -> None:
        (tmp_path / "t.csv").write_text(POND5)
        import_template(settings, "pond5", tmp_path / "t.csv", dry_run=True)
        assert not settings.home.exists()

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (b"", "has no headings"),
            (b"\r\n,,\r\n", "has no headings"),
            (b"a letter to the editor", "no column for the file's name.*--map"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel"),
            (b"PK\x03\x04 and no workbook", "is no XLSX"),
            (b"Filename,\x81\x8d\x8f", "no text in a known encoding"),
            (b"\x00\x01\x02\x03", "no column for the file's name|no text"),
        ],
    )
    def test_a_file_that_is_no_template_is_refused(
        self, content: bytes, told: str, settings: Settings, tmp_path: Path
    ) -> None:
        (tmp_path / "t.csv").write_bytes(content)
        with pytest.raises(ConfigurationError, match=told):
            import_template(settings, "pond5", tmp_path / "t.csv", dry_run=False)
        assert known_agency(settings, "pond5").template is None

    def test_what_is_no_file_is_refused(self, settings: Settings, tmp_path: Path) -> None:
        for path in (tmp_path / "nothing.csv", tmp_path):
            with pytest.raises(ConfigurationError, match="cannot be read"):
                import_template(settings, "pond5", path, dry_run=False)

    @pytest.mark.parametrize(
        ("said", "told"),
        [
            ("Title=heading", "'heading' is no value.*file_name, title"),
            ("Colour=title", "no heading 'Colour'.*Filename, Title"),
            ("Title", "is no value"),
        ],
    )
    def test_what_a_person_says_of_headings_is_checked(
        self, said: str, told: str, settings: Settings, tmp_path: Path
    ) -> None:
        (tmp_path / "t.csv").write_text("Filename,Title")
        with pytest.raises(ConfigurationError, match=told):
            import_template(settings, "pond5", tmp_path / "t.csv", [said], dry_run=False)

    def test_an_agency_without_a_table_takes_no_template(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        (tmp_path / "t.csv").write_text("Filename")
        with pytest.raises(ConfigurationError, match="Alamy takes no table"):
            import_template(settings, "alamy", tmp_path / "t.csv", dry_run=False)

    def test_a_template_that_is_damaged_is_told(self, settings: Settings) -> None:
        path = settings.home / template_file("pond5")
        path.parent.mkdir(parents=True)
        for text in ("{", "[]", '{"format": 2}', '{"format": 1, "columns": [{"x": 1}]}'):
            path.write_text(text)
            with pytest.raises(ConfigurationError, match="agencies import pond5 FILE"):
                find_agency(settings, "pond5")

    def test_a_template_that_is_damaged_is_imported_again_or_forgotten(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        kept, sheet = settings.home / template_file("pond5"), tmp_path / "sheet.csv"
        sheet.write_text(POND5)
        kept.parent.mkdir(parents=True)
        kept.write_text("{")
        import_template(settings, "pond5", sheet, dry_run=False)
        assert headings(settings, "pond5") == POND5.split(",")
        kept.write_text("{")
        forget_agency(settings, "pond5", dry_run=False)
        assert find_agency(settings, "pond5").table.needs_template

    def test_a_workbook_that_tells_a_wrong_size_is_read_whole(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        good, wrong = workbook(tmp_path / "good.xlsx", POND5.split(",")), tmp_path / "wrong.xlsx"
        with zipfile.ZipFile(good) as book, zipfile.ZipFile(wrong, "w") as made:
            for name in book.namelist():
                content = re.sub(
                    rb'<dimension ref="[^"]*"', b'<dimension ref="A1"', book.read(name)
                )
                made.writestr(name, content)
        import_template(settings, "pond5", wrong, dry_run=False)
        assert headings(settings, "pond5") == POND5.split(",")

    @pytest.mark.parametrize("agency_id", sorted(NEED_A_TEMPLATE))
    def test_without_a_needed_template_one_sentence_says_how_to_get_it(
        self, agency_id: str, settings: Settings
    ) -> None:
        with pytest.raises(ConfigurationError, match=f"import {agency_id} FILE"):
            require_template(find_agency(settings, agency_id))
        require_template(find_agency(settings, "adobe-stock"))


class TestCommands:
    """`dam stock agencies`."""

    @pytest.mark.usefixtures("dam_home")
    def test_the_bare_command_lists(self) -> None:
        listed = {one["id"]: one for one in dam_json("stock", "agencies")}
        assert set(listed) == NINE
        assert listed["adobe-stock"] == {
            "id": "adobe-stock",
            "name": "Adobe Stock",
            "version": "1",
            "verified_on": "2026-11-21",
            "confidence": "B",
            "transport": ["sftp"],
            "host": "",
            "table": "csv",
            "needs_template": False,
            "template": None,
            "is_own": False,
            "replaces": None,
            "path": str(shipped_files()["adobe-stock"]),
        }
        text = dam("stock", "agencies").stdout
        assert all(agency in text for agency in NINE)

    def test_a_template_is_imported_and_forgotten(self, dam_home: Path, tmp_path: Path) -> None:
        sheet = tmp_path / "t.csv"
        sheet.write_text("Filename,Title,Weather")
        words = ("stock", "agencies", "import", "pond5", str(sheet))
        dry = dam_json(*words, "--dry-run")
        assert (dry["unknown"], dry["dry_run"], dam_home.exists()) == (["Weather"], True, False)
        assert dry["missing"] == ["keywords"]
        assert "Weather" in dam(*words).stderr
        listed = {one["id"]: one for one in dam_json("stock", "agencies", "list")}
        assert listed["pond5"]["template"]["file"] == "t.csv"
        assert listed["pond5"]["needs_template"] is False
        removed = dam_json("stock", "agencies", "remove", "pond5")
        assert removed["removed"] == ["agencies/pond5.template.json"]
        assert dam("stock", "agencies", "remove", "pond5").exit_code == 2

    def test_a_specification_is_added_and_shown(self, dam_home: Path, tmp_path: Path) -> None:
        made = tmp_path / "alamy.toml"
        made.write_text(SMALL)
        assert dam_json("stock", "agencies", "add", str(made))["replaces_shipped"] is True
        shown = dam_json("stock", "agencies", "show", "alamy")
        assert (shown["is_own"], shown["replaces"]) == (True, "1")
        assert shown["specification"]["title"]["max_length"] == 12
        assert shown["specification"]["media"]["image"]["suffixes"] == ["jpg"]
        assert "alamy: yours, replaces the shipped version 1" in dam("stock", "agencies").stderr
        assert (dam_home / "agencies/alamy.toml").read_text() == SMALL

    def test_show_tells_rules_steps_and_sources(self, settings: Settings) -> None:
        assert not settings.home.exists()
        text = dam("stock", "agencies", "show", "artgrid").stdout
        for part in ("media.video.max_duration_s", "Backstage", "filmmakershub.artlist.io"):
            assert part in text

    @pytest.mark.usefixtures("dam_home")
    @pytest.mark.parametrize(
        "words", [("show", "nobody"), ("import", "nobody", "x"), ("add", "x.csv"), ("remove", "x")]
    )
    def test_wrong_words_are_wrong_use(self, words: tuple[str, ...]) -> None:
        assert dam("stock", "agencies", *words).exit_code == 2
