"""Stock records as sheets: what goes out comes back the same, and only what a person changed is taken."""

import csv
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.records import Json, MediaKind, Probe
from dam_pipeline.settings import Settings
from dam_pipeline.stock.deliveries import Deliveries, Delivery, DeliveryState
from dam_pipeline.stock.fields import checked
from dam_pipeline.stock.people import Word, edit_record, laid_over, records_of_people
from dam_pipeline.stock.record import Item, Place, Release, StockRecord, Suggestion
from dam_pipeline.stock.sheets.cells import list_of, listed
from dam_pipeline.stock.sheets.columns import VERSION
from dam_pipeline.stock.sheets.exchange import sheet_rows
from dam_pipeline.stock.sheets.files import read_sheet, write_sheet
from dam_pipeline.stock.sheets.rows import RowChange, RowReader
from dam_pipeline_tests.handmade import Clip, Handmade
from dam_pipeline_tests.processed import dam, dam_json
from dam_pipeline_tests.stock_items import clip

ODD = (
    *("=1+1", "+49", "-20 °C", "@home", "'=x", "'quoted'", "\t=1", "a;=1+1;b", "; -1", "＝1"),
    *(
        '"Berlin, Germany"',
        'say "hi"',
        "a,b;c",
        "line\nline",
        "cr\rlf\r\n",
        "👨‍👩‍👧‍👦",
        "שלום",
        "#N/A",
    ),
    *("_x0041_", "_x005F_x0041_", "_x000D_", "TRUE", "2024", "1e5", "5/1/2026", "\x07", "\ud800"),
    *("\ufeff", "\u2028", "v1|title:00", " ", "'"),
)
texts = st.lists(st.one_of(st.text(max_size=8), st.sampled_from(ODD)), max_size=4).map("".join)
records = st.builds(
    StockRecord,
    title=texts,
    description=texts,
    keywords=st.lists(texts, max_size=6).map(tuple),
    category=texts,
    categories=st.dictionaries(st.sampled_from(("adobe-stock", "pond5")), texts),
    usage=st.sampled_from(("", "commercial", "editorial")),
    place=st.none() | st.builds(Place, texts, texts, texts, st.sampled_from(("", "DE", "FR"))),
    date=st.sampled_from(("", "2026-05-01", "2026-05-01T18:30:05", "2026-05", "odd"))
    | st.datetimes().map(datetime.isoformat),
    people=st.none() | st.integers(0, 10_000),
    is_generated=st.none() | st.booleans(),
    is_mature=st.none() | st.booleans(),
    price_usd=st.none() | st.integers(0, 10**8).map(lambda cents: cents / 100),
    creator=texts,
    releases=st.lists(
        st.builds(Release, st.sampled_from(("model", "property")), texts, st.just("")), max_size=3
    ).map(tuple),
)
checked_often = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
FORMATS = pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
HEADINGS = ("media", "title", "keywords", "date", "people", "generated", "price_usd")


def item(record: StockRecord, **changes: Any) -> Item:
    return replace(clip(), record=record, **changes)


def through(path: Path, *items: Item) -> list[dict[str, Any]]:
    """The rows of these items after they were written to a file and read from it."""
    write_sheet(path, sheet_rows(items))
    return [cells for _, cells in read_sheet(path, "media")]


def asked(of: Item, cells: Mapping[str, Any], **options: Any) -> RowChange:
    """What a row asks for of an item."""
    known = {"clear_empty": False, "resolution": "skip", "folder": Path("/sheets")} | options
    return RowReader(of, cells, **known).compared(2, "reel")


def changed(row: RowChange) -> dict[str, tuple[str, str]]:
    return {one.field: (one.before, one.after) for one in row.changes}


@pytest.mark.parametrize(
    ("value", "kind", "told"),
    [
        ("#NAME?", "e", "C2 holds the error #NAME?"),
        ("#REF!", "e", "C2 holds the error #REF!"),
        ('=A1&" x"', "f", "C2 holds a formula without its result"),
    ],
)
def test_a_cell_of_a_workbook_that_has_no_value_is_refused_by_name(
    tmp_path: Path, value: str, kind: str, told: str
) -> None:
    path, of = tmp_path / "broken.xlsx", clip()
    write_sheet(path, sheet_rows([of]))
    book = openpyxl.load_workbook(path)
    cell = book.active["C2"]
    assert book.active["C1"].value == "title"
    cell.value, cell.data_type = value, kind
    book.save(path)
    ((_, cells),) = read_sheet(path, "media")
    for clear_empty in (False, True):
        row = asked(of, cells, clear_empty=clear_empty)
        assert (row.state, dict(row.edit)) == ("failed", {})
        assert row.problems[0].startswith(f"title: {told}")
    write_sheet(path, [("media", "title"), ("reel", value)])  # as a text it is one
    ((_, cells),) = read_sheet(path, "media")
    assert cells["title"] == value


def test_a_formula_that_gives_an_empty_text_asks_for_nothing(tmp_path: Path) -> None:
    path, saved = tmp_path / "made.xlsx", tmp_path / "saved.xlsx"
    book = openpyxl.Workbook()
    book.active.append(["media", "title"])
    book.active.append(["reel", '=IF(A1="","x","")'])
    book.save(path)
    with zipfile.ZipFile(path) as made, zipfile.ZipFile(saved, "w") as as_excel_saves:
        for name in made.namelist():
            content = made.read(name).replace(b'<c r="B2">', b'<c r="B2" t="str">')
            as_excel_saves.writestr(name, content)
    assert [cells["title"] for _, cells in read_sheet(saved, "media")] == [None]
    assert [str(cells["title"]) for _, cells in read_sheet(path, "media")] == ['=IF(A1="","x","")']


def test_an_apostrophe_that_a_person_typed_stays_in_a_sheet_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "typed.csv"
    path.write_text("media,title\nreel,'-5 degrees outside\n")
    assert [cells["title"] for _, cells in read_sheet(path, "media")] == ["'-5 degrees outside"]
    path.write_text("media,title,_version\nreel,'-5 degrees outside,v1\n")
    assert [cells["title"] for _, cells in read_sheet(path, "media")] == ["-5 degrees outside"]


@checked_often
@given(st.lists(records, min_size=1, max_size=3), st.sampled_from([".csv", ".xlsx"]), st.booleans())
def test_what_is_exported_and_imported_changes_nothing(
    tmp_path: Path, known: list[StockRecord], suffix: str, clear_empty: bool
) -> None:
    items = [item(one) for one in known]
    for of, cells in zip(items, through(tmp_path / f"s{suffix}", *items), strict=True):
        row = asked(of, cells, clear_empty=clear_empty)
        assert (row.state, row.changes, row.conflicts, row.problems) == ("unchanged", (), (), ())


@checked_often
@given(records, st.sampled_from([".csv", ".xlsx"]))
def test_a_sheet_carries_the_whole_record(tmp_path: Path, known: StockRecord, suffix: str) -> None:
    document = {**known.to_json(), "releases": [], "place": None, "date": "2026-05-01T18:30:05"}
    kept = checked({name: value for name, value in document.items() if value is not None})
    record = StockRecord.from_json(
        kept | {"place": None, "description": kept["description"].strip()}
    )
    [cells] = through(tmp_path / f"s{suffix}", item(record))
    row = asked(item(StockRecord()), {**cells, VERSION: ""})
    assert row.problems == ()
    empty_categories = {name: one for name, one in record.categories.items() if one}
    assert laid_over(StockRecord(), Word(dict(checked(row.edit)))) == replace(
        record, categories=empty_categories
    )


@checked_often
@given(st.lists(texts, max_size=8))
def test_keywords_stand_in_one_cell_whatever_is_in_them(words: list[str]) -> None:
    cell = listed(words)
    assert listed(list_of(cell)) == cell
    assert len(list_of(cell)) <= len(words)


def test_keywords_are_told_apart_as_people_write_them() -> None:
    assert list_of('sun, "Berlin, Germany"; sea\n"a ""b""",, 12" record') == [
        *("sun", "Berlin, Germany", "sea", 'a "b"', '12" record')
    ]


@checked_often
@given(texts)
def test_no_spreadsheet_takes_a_text_for_a_formula(tmp_path: Path, text: str) -> None:
    known = item(StockRecord(title=text, description=f"a;{text}", keywords=(text,)))
    write_sheet(tmp_path / "s.csv", sheet_rows([known]))
    raw = (tmp_path / "s.csv").read_text("utf-8")
    with open(tmp_path / "s.csv", encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [one for one in cells if re.match(r"\s*[=+\-@]", one)]
    assert not re.search(r";\s*[=+\-@]", raw)
    write_sheet(tmp_path / "s.xlsx", sheet_rows([known]))
    with zipfile.ZipFile(tmp_path / "s.xlsx") as book:
        assert b"<f" not in book.read("xl/worksheets/sheet1.xml")


@FORMATS
def test_a_formula_reads_back_as_the_text_it_is(tmp_path: Path, suffix: str) -> None:
    known = item(StockRecord(title="=cmd|' /C calc'!A0", keywords=("@home", "-20 °C")))
    [cells] = through(tmp_path / f"s{suffix}", known)
    assert cells["title"] == "=cmd|' /C calc'!A0"
    assert cells["keywords"] == "@home, -20 °C"


def test_a_changed_cell_is_told_field_by_field_and_becomes_one_edit() -> None:
    known = item(
        StockRecord(title="Old", keywords=("sun",), place=Place("Bonn", "", "Germany", "DE"))
    )
    [cells] = [dict(zip(*sheet_rows([known]), strict=True))]
    row = asked(known, {**cells, "title": "New", "city": "Köln", "category:pond5": "Nature"})
    assert changed(row) == {
        "title": ("Old", "New"),
        "city": ("Bonn", "Köln"),
        "category:pond5": ("", "Nature"),
    }
    assert row.edit == {
        "title": "New",
        "place": {"city": "Köln", "region": "", "country": "Germany", "country_code": "DE"},
        "categories": {"pond5": "Nature"},
    }


def test_a_country_gives_its_code_and_needs_no_second_cell() -> None:
    known = item(StockRecord(place=Place("Bonn", "", "Germany", "DE")))
    [cells] = [dict(zip(*sheet_rows([known]), strict=True))]
    row = asked(known, {**cells, "country": "Frankreich"})
    assert "'Frankreich' is no country" in row.problems[0]
    row = asked(known, {**cells, "country": "France"})
    assert checked(row.edit)["place"]["country_code"] == "FR"


def test_releases_are_added_and_taken_away_by_their_paths(tmp_path: Path) -> None:
    (tmp_path / "new.pdf").write_bytes(b"signed")
    known = item(StockRecord(releases=(Release("model", "/gone/old.pdf", "00", "Jane"),)))
    [cells] = [dict(zip(*sheet_rows([known]), strict=True))]
    row = asked(known, {**cells, "model_releases": "new.pdf"}, folder=tmp_path)
    assert row.edit == {
        "releases": {
            "add": [{"kind": "model", "path": str(tmp_path / "new.pdf")}],
            "remove": [{"path": "/gone/old.pdf"}],
        }
    }
    assert not row.problems
    row = asked(known, {**cells, "property_releases": "none.pdf"}, folder=tmp_path)
    assert "none.pdf" in row.problems[0]


def test_an_empty_cell_says_nothing_unless_it_is_asked_to() -> None:
    known = item(StockRecord(title="Old", keywords=("sun",), people=2))
    [cells] = [dict(zip(*sheet_rows([known]), strict=True))]
    empty = {**cells, "title": None, "keywords": "", "people": None}
    assert asked(known, empty).state == "unchanged"
    assert asked(known, empty, clear_empty=True).edit == {
        "title": "",
        "keywords": [],
        "people": None,
    }


@pytest.mark.parametrize(
    ("name", "cell", "edit"),
    [
        ("title", 2024, {"title": "2024"}),
        ("title", 3.0, {"title": "3"}),
        ("keywords", 1984.0, {"keywords": ["1984"]}),
        ("keywords", "sun; sea\nsand", {"keywords": ["sun", "sea", "sand"]}),
        ("date", datetime(2026, 3, 1, 18, 30), {"date": "2026-03-01T18:30:00"}),
        ("date", datetime(2026, 3, 1), {"date": "2026-03-01"}),
        ("date", date(2026, 3, 1), {"date": "2026-03-01"}),
        ("date", "01.03.2026", {"date": "2026-03-01"}),
        ("date", "13/3/2026 6:30 PM", {"date": "2026-03-13T18:30:00"}),
        ("people", 2.0, {"people": 2}),
        ("people", "0", {"people": 0}),
        ("generated", True, {"is_generated": True}),
        ("generated", "Nein", {"is_generated": False}),
        ("price_usd", "79,50", {"price_usd": 79.5}),
        ("price_usd", "$79", {"price_usd": 79.0}),
        ("usage", "Editorial", {"usage": "editorial"}),
    ],
)
def test_what_spreadsheets_make_of_values_is_understood(
    name: str, cell: Any, edit: Mapping[str, Json]
) -> None:
    assert asked(item(StockRecord()), {name: cell}).edit == edit


@pytest.mark.parametrize(
    ("name", "cell", "says"),
    [
        ("keywords", datetime(2024, 5, 1), "format Text"),
        ("date", "1/3/2026", "can be two dates"),
        ("date", "last May", "is no date; write it as 2026-03-01"),
        ("people", "two", "write 0, 1, 2"),
        ("people", "-1", "no number of people"),
        ("generated", "maybe", "neither yes nor no"),
        ("price_usd", "cheap", "no price"),
        ("usage", "private", "commercial or editorial"),
        ("country", "Atlantis", "Atlantis"),
        ("title", "x" * 2000, "2000 characters"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_what_to_write(
    name: str, cell: Any, says: str
) -> None:
    row = asked(item(StockRecord()), {"description": "fine", name: cell})
    assert row.state == "failed"
    assert row.edit == {}
    assert row.problems[0].startswith(f"{name}: ")
    assert says in row.problems[0]


@pytest.mark.parametrize("cell", ["5/1/2026 18:30", "01.05.2026 18:30:05", "5/1/2026 6:30 PM"])
def test_a_date_that_the_spreadsheet_wrote_in_its_own_way_is_no_change(cell: str) -> None:
    known = item(StockRecord(date="2026-05-01T18:30:05"))
    assert asked(known, {"date": cell}).state == "unchanged"


def test_a_suggestion_stands_beside_its_field_and_is_not_read() -> None:
    offered = (
        Suggestion("title", "Weaker", "tags", 0.2),
        Suggestion("title", "Red kite above a lake", "transcript", 0.9),
        Suggestion("keywords", "lake", "tags", 0.5),
        Suggestion("keywords", "kite", "tags", 0.6),
    )
    known = item(StockRecord(), suggestions=offered, said_by={"date": "probe"})
    headings, cells = sheet_rows([known])
    row = dict(zip(headings, cells, strict=True))
    assert headings[headings.index("title") + 1] == "_suggested_title"
    assert row["_suggested_title"] == "Red kite above a lake"
    assert row["_suggested_keywords"] == "kite, lake"
    assert row["_said_by"] == "date: probe"
    assert asked(known, {**row, "_suggested_title": "typed here"}).state == "unchanged"


@FORMATS
def test_a_text_with_lines_stays_in_its_row(tmp_path: Path, suffix: str) -> None:
    known = [item(StockRecord(description="one\ntwo")), item(StockRecord(title="next"))]
    path = tmp_path / f"s{suffix}"
    write_sheet(path, sheet_rows(known))
    rows = list(read_sheet(path, "media"))
    assert [(number, cells["description"] or "") for number, cells in rows] == [
        (2, "one\ntwo"),
        (3, ""),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_sheets_are_read_as_programs_save_them(
    tmp_path: Path, delimiter: str, encoding: str
) -> None:
    path = tmp_path / "s.csv"
    with open(path, "w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([("Media", " Title "), ("reel", "Café, a; b|c")])
    assert list(read_sheet(path, "media")) == [(2, {"media": "reel", "title": "Café, a; b|c"})]


def test_the_unicode_text_of_excel_is_a_sheet_too(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_bytes("media\ttitle\r\nreel\tCafé\r\n".encode("utf-16"))
    assert list(read_sheet(tmp_path / "s.txt", "media")) == [
        (2, {"media": "reel", "title": "Café"})
    ]


def test_of_a_workbook_the_sheet_with_the_headings_is_read(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["notes of my own"])
    records = book.create_sheet("records")
    for row in ([], ["my records"], ["Media", "Title"], ["reel", "Kites"]):
        records.append(row)
    book.save(tmp_path / "s.xlsx")
    assert list(read_sheet(tmp_path / "s.xlsx", "media")) == [
        (4, {"media": "reel", "title": "Kites"})
    ]


def test_a_first_line_that_tells_excel_the_delimiter_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("sep=;\nmedia;title\nreel;a,b\n")
    assert list(read_sheet(path, "media")) == [(3, {"media": "reel", "title": "a,b"})]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le"])
def test_another_encoding_is_refused_until_it_is_named(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes("media,title\nreel,Café\n".encode(encoding))
    with pytest.raises(ConfigurationError, match=r"not in UTF-8.*--encoding cp1252"):
        list(read_sheet(path, "media"))
    assert list(read_sheet(path, "media", encoding)) == [(2, {"media": "reel", "title": "Café"})]


def test_a_name_of_no_encoding_is_told(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_bytes(b"media\n\xff\n")
    with pytest.raises(ConfigurationError, match="'klingon' is no encoding"):
        list(read_sheet(tmp_path / "s.csv", "media", "klingon"))


def test_a_sheet_for_excel_begins_with_a_mark(tmp_path: Path) -> None:
    write_sheet(tmp_path / "s.csv", [("media",), ("é",)], bom=True)
    assert (tmp_path / "s.csv").read_bytes().startswith(b"\xef\xbb\xbfmedia")
    assert list(read_sheet(tmp_path / "s.csv", "media")) == [(2, {"media": "é"})]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("s.ods", b"", "Save it as .xlsx"),
        ("s.xlsx", b"media,title", "save it as .xlsx"),
        ("s.csv", b"name,title\nreel,x\n", "no column 'media'"),
        ("s.csv", b"", "no column 'media'"),
        ("s.csv", b"sep=", "no column 'media'"),
        ("s.csv", b"media,title,Title\nreel,x,y\n", "more than one column 'title'"),
        ("none.csv", None, "No such file"),
    ],
)
def test_a_file_that_is_no_sheet_is_refused(
    tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=re.escape(says)):
        list(read_sheet(tmp_path / name, "media"))


def test_a_cell_that_excel_could_not_hold_is_refused_but_for_csv(tmp_path: Path) -> None:
    known = item(StockRecord(keywords=tuple(f"a longer word {at}" for at in range(10_000))))
    with pytest.raises(ConfigurationError, match=r"keywords would have .* Export to .csv"):
        write_sheet(tmp_path / "s.xlsx", sheet_rows([known]))
    assert not list(tmp_path.iterdir())
    csv.field_size_limit(131_072)  # Python's own, whatever was read before
    [cells] = through(tmp_path / "s.csv", known)
    assert list_of(cells["keywords"]) == list(known.record.keywords)


def probe_of(**fields: Json) -> dict[str, Json]:
    probe = Probe(MediaKind.VIDEO, "mov", 8.0, 1, 64, 36, 0, True, True, 25.0, False, ("h264",))
    return probe.to_json() | fields


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A library of three clips with titles from their files: reel, tape and harbour."""
    monkeypatch.setenv("DAM_HOME", str(tmp_path / "home"))
    with open_catalogue(tmp_path / "home") as catalogue:
        made = Handmade(tmp_path / "home", catalogue)
        for name in ("reel", "tape", "harbour"):
            made.add(Clip(f"{name}.mov", probe=probe_of(title=f"A {name}", keywords=["sea"])))
        yield made.settings


def titles(of: Settings) -> set[str]:
    """The titles that people gave."""
    return {str(word.values.get("title")) for word in records_of_people(of).values()}


def exported(path: Path) -> list[list[str]]:
    dam_json("stock", "export", "reel", "tape", "harbour", "--out", str(path))
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def saved(path: Path, rows: list[list[str]]) -> str:
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return str(path)


def test_a_sheet_comes_back_with_two_titles_changed(library: Settings, tmp_path: Path) -> None:
    rows = exported(tmp_path / "s.csv")
    at = rows[0].index("title")
    assert [row[at] for row in rows] == ["title", "A reel", "A tape", "A harbour"]
    rows[1][at], rows[3][at] = "Kites, and a lake", "=HARBOUR"
    sheet = saved(tmp_path / "s.csv", rows)
    before = dam_json("stock", "import", sheet, "--dry-run")
    assert records_of_people(library) == {}
    assert before["dry_run"] is True
    done = dam_json("stock", "import", sheet)
    assert {**done, "dry_run": True} == before
    assert (done["changed"], done["unchanged"]) == (2, 1)
    assert done["rows"][0]["changes"] == [
        {"field": "title", "before": "A reel", "after": "Kites, and a lake"}
    ]
    assert titles(library) == {"Kites, and a lake", "=HARBOUR"}
    again = dam_json("stock", "import", sheet)
    assert (again["changed"], again["unchanged"]) == (0, 3)


def test_rows_that_cannot_be_are_named_and_the_others_are_taken(
    library: Settings, tmp_path: Path
) -> None:
    rows = exported(tmp_path / "s.csv")
    title, people = rows[0].index("title"), rows[0].index("people")
    rows[0].append("colour")
    rows[1][title], rows[1][people] = "Half of a row", "two"
    rows[2][title] = "Taken"
    rows[3][0] = "nobody-knows"
    rows += [["", "no media"], rows[2]]
    result = dam("stock", "import", saved(tmp_path / "s.csv", rows), "--json")
    assert result.exit_code == 3
    done = json.loads(result.stdout)
    assert titles(library) == {"Taken"}
    assert "'colour' is not known" in done["problems"][0]
    problems = {row["row"]: row["problems"][0] for row in done["rows"] if row["problems"]}
    assert set(problems) == {2, 4, 5, 6}
    assert "'two' is no number of people" in problems[2]
    assert "No media is known as nobody-knows" in problems[4]
    assert "which file this row is about" in problems[5]
    assert "row 3 is about the same file" in problems[6]


def test_a_newer_word_is_not_overwritten_by_an_older_sheet(
    library: Settings, tmp_path: Path
) -> None:
    rows = exported(tmp_path / "s.csv")
    title, keywords = rows[0].index("title"), rows[0].index("keywords")
    assets = {word: Clip(f"{word}.mov").media_id for word in ("reel", "tape", "harbour")}
    edit_record(library, [assets["reel"]], {"title": "Newer"})
    edit_record(library, [assets["tape"]], {"title": "Newer too"})
    rows[1][title] = "From the sheet"  # both were changed
    rows[1][keywords] = "kite"
    rows[2][keywords] = "tape, sea"  # another field of the record was
    sheet = saved(tmp_path / "s.csv", rows)

    result = dam("stock", "import", sheet, "--json")
    assert result.exit_code == 3
    done = json.loads(result.stdout)
    assert (done["changed"], done["conflict"], done["unchanged"]) == (1, 1, 1)
    conflict = {"field": "title", "before": "Newer", "after": "From the sheet"}
    assert done["rows"][0]["conflicts"] == [conflict]
    words = records_of_people(library)
    assert words[assets["reel"]].values == {"title": "Newer"}
    assert words[assets["tape"]].values == {"title": "Newer too", "keywords": ["tape", "sea"]}

    assert dam("stock", "import", sheet, "--conflicts", "library").exit_code == 0
    assert records_of_people(library)[assets["reel"]].values == {
        "title": "Newer",
        "keywords": ["kite"],
    }
    assert dam("stock", "import", sheet, "--conflicts", "sheet").exit_code == 0
    assert records_of_people(library)[assets["reel"]].values["title"] == "From the sheet"


def test_a_sheet_that_is_there_is_not_replaced(library: Settings, tmp_path: Path) -> None:
    out = tmp_path / "s.xlsx"
    out.write_bytes(b"somebody's work")
    result = dam("stock", "export", "reel", "--out", str(out))
    assert result.exit_code == 2
    assert "--overwrite" in result.stderr
    assert out.read_bytes() == b"somebody's work"
    assert dam("stock", "export", "reel", "--out", str(out), "--overwrite").exit_code == 0
    book = openpyxl.load_workbook(out)
    assert book.active["A2"].value.startswith("reel-")


def test_a_place_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="There is no folder"):
        write_sheet(tmp_path / "none" / "s.csv", [("media",)])
    assert not (tmp_path / "none").exists()
    (tmp_path / "s.xlsx").mkdir()
    for path in (tmp_path / "s.xlsx", Path("/proc/s.csv")):
        with pytest.raises(ConfigurationError, match="cannot be written"):
            write_sheet(path, [("media",), ("reel",)])


def test_what_agencies_rejected_is_exported_with_the_reasons(
    library: Settings, tmp_path: Path
) -> None:
    out = str(tmp_path / "mend.csv")
    assert dam("stock", "export", "--rejected", "--out", out).exit_code == 2
    for name, state in (("reel", "rejected"), ("tape", "accepted")):
        media_id = Clip(f"{name}.mov").media_id
        place = ("file:///sent", "/packages/1", f"media/{name}.mov", "00", 1, "00")
        Deliveries(library).record(
            Delivery(
                *("pond5", media_id, media_id, *place, DeliveryState(state)),
                reason="out of focus" if state == "rejected" else "",
            )
        )
    dam_json("stock", "export", "--rejected", "--out", out)
    with open(out, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["_file"], row["_rejected"]) for row in rows] == [
        ("reel.mov", "pond5: out of focus")
    ]


def test_a_person_reads_what_changed(library: Settings, tmp_path: Path) -> None:
    rows = exported(tmp_path / "s.csv")
    rows[1][rows[0].index("title")] = "Kites [bold]"
    result = dam("stock", "import", saved(tmp_path / "s.csv", rows), "--dry-run")
    assert "title: “A reel” → “Kites [bold]”" in result.stdout
    assert "1 of 3 records would be changed" in result.stderr
