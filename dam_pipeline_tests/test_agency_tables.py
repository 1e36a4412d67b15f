"""The table of a package, read back by readers of others: the csv module, ElementTree."""

import csv
import io
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dam_pipeline.agencies.agency import Agency, Category, CategoryRules, Column, TableRules
from dam_pipeline.agencies.columns import VALUES
from dam_pipeline.agencies.loading import find_agency
from dam_pipeline.errors import ConfigurationError, PackageInvalid
from dam_pipeline.packaging.cells import cells
from dam_pipeline.packaging.tables import write_table
from dam_pipeline.settings import Settings
from dam_pipeline.stock.record import Place, Release, Rendition, Submission

PLAIN = Submission("a_1.jpg", "", "", (), (), "", Rendition())
FULL = Submission(
    file_name="falcon_3f2a9c.mov",
    title='A "falcon", hunting',
    description="=SUM(1) of flight\nin two lines",
    keywords=("falcon", "golden hour", "hawk's eye"),
    categories=("1", "11"),
    usage="editorial",
    rendition=Rendition(),
    releases=(
        Release("property", "/releases/barn.pdf", "b"),
        Release("model", "/releases/x.pdf", "a", name="Ada Model"),
    ),
    place=Place("Évora", "Alentejo", "Portugal", "PT"),
    date="2026-05-04T10:00:00+01:00",
    people=1,
    is_generated=False,
    is_mature=None,
    is_illustration=True,
    price_usd=79.0,
    creator="Ada",
    copyright="© Ada",
)

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
ODD_TEXTS = st.sampled_from(
    [
        '"',
        '""',
        ",",
        "\n",
        "\r\n",
        "\r",
        "'",
        "=1+1",
        "שלום",
        "🦅🏳️‍🌈",
        "\t",
        " x ",
        "\ufeff",
        ";",
        "\0",
    ]
)
TITLES = st.one_of(TEXTS, ODD_TEXTS, st.builds("{}{}".format, TEXTS, ODD_TEXTS))
KEYWORDS = st.lists(TITLES.map(lambda text: text.replace(",", " ")), max_size=8)


def agency(*values: str, **rules: object) -> Agency:
    """An agency whose table has these values, each under its own name."""
    columns = tuple(Column(value, value) for value in values)
    table = replace(TableRules(columns=columns), **rules)
    known = (Category("1", "Animals"), Category("11", "Landscapes"))
    categories = CategoryRules(max_count=2, known=known)
    return Agency("a", "Agency A", "1", "2026-11-21", (), "A", categories=categories, table=table)


def xml(*columns: Column) -> Agency:
    """An agency that wants these columns as XML."""
    rules = TableRules("xml", "metadata.xml", columns, root="items", row="item")
    return replace(agency(), table=rules)


def written(of: Agency, submissions: Sequence[Submission]) -> list[bytes]:
    """The bytes of the files of a table."""
    with TemporaryDirectory() as folder:
        paths = write_table(of, submissions, Path(folder) / of.table.file_name)
        return [path.read_bytes() for path in paths]


def rows_of(content: bytes, encoding: str = "utf-8", **dialect: str) -> list[list[str]]:
    """What the csv module reads."""
    return list(csv.reader(io.StringIO(content.decode(encoding), newline=""), **dialect))


def table_of(of: Agency, *submissions: Submission) -> list[dict[str, str]]:
    """The rows of a table of one file, by heading."""
    (content,) = written(of, submissions)
    heading, *rows = rows_of(content)
    return [dict(zip(heading, row, strict=True)) for row in rows]


class TestCsv:
    """Comma-separated tables."""

    def test_adobe_gets_its_header_and_rows_to_the_byte(self, settings: Settings) -> None:
        one = replace(FULL, title="Falcon in flight", categories=("1",), releases=())
        (content,) = written(find_agency(settings, "adobe-stock"), [one])
        assert content == (
            b"Filename,Title,Keywords,Category,Releases\r\n"
            b'falcon_3f2a9c.mov,Falcon in flight,"falcon,golden hour,hawk\'s eye",1,\r\n'
        )

    def test_shutterstock_gets_names_of_categories_and_yes_or_no(self, settings: Settings) -> None:
        one = replace(FULL, categories=("Animals/Wildlife", "Nature"), description="Falcon")
        (row,) = table_of(find_agency(settings, "shutterstock"), one)
        assert row == {
            "Filename": "falcon_3f2a9c.mov",
            "Description": "Falcon",
            "Keywords": "falcon,golden hour,hawk's eye",
            "Categories": "Animals/Wildlife,Nature",
            "Editorial": "Yes",
            "Mature content": "",
            "illustration": "Yes",
        }

    def test_every_value_is_taken_from_the_submission(self) -> None:
        (row,) = table_of(agency(*VALUES), FULL)
        assert row == {
            "file_name": "falcon_3f2a9c.mov",
            "title": 'A "falcon", hunting',
            "description": "=SUM(1) of flight\nin two lines",
            "keywords": "falcon,golden hour,hawk's eye",
            "categories": "1,11",
            "category_names": "Animals,Landscapes",
            "category_1": "1",
            "category_2": "11",
            "category_3": "",
            "releases": "Ada Model,barn.pdf",
            "model_releases": "Ada Model",
            "property_releases": "barn.pdf",
            "has_model_release": "Yes",
            "has_property_release": "Yes",
            "editorial": "Yes",
            "usage": "editorial",
            "mature": "",
            "illustration": "Yes",
            "generated": "No",
            "people": "1",
            "city": "Évora",
            "region": "Alentejo",
            "country": "Portugal",
            "country_code": "PT",
            "date": "2026-05-04",
            "price": "79",
            "creator": "Ada",
            "copyright": "© Ada",
        }

    def test_what_nobody_said_stays_empty(self) -> None:
        (row,) = table_of(agency(*VALUES), PLAIN)
        said = {name: text for name, text in row.items() if text}
        assert said == {
            "file_name": "a_1.jpg",
            "has_model_release": "No",
            "has_property_release": "No",
        }

    def test_every_value_that_a_specification_may_name_is_made(self) -> None:
        of = agency()
        assert set(cells(of, of.table, PLAIN)) == set(VALUES)

    def test_columns_of_one_text_or_none_are_in_their_place(self) -> None:
        columns = (Column("File", "file_name"), Column("Kind", text="Footage"), Column("", ""))
        (content,) = written(replace(agency(), table=TableRules(columns=columns)), [PLAIN])
        assert rows_of(content) == [["File", "Kind", ""], ["a_1.jpg", "Footage", ""]]

    @pytest.mark.parametrize(
        ("form", "text", "written_so"),
        [
            ("%m/%d/%Y", "2026-05-04", "05/04/2026"),
            ("%B %d, %Y", "2026-05-04T10:00:00Z", "May 04, 2026"),
            ("%Y-%m-%d", "2026-05", "2026-05"),
            ("%Y-%m-%d", "", ""),
        ],
    )
    def test_a_date_is_written_as_the_agency_wants(
        self, form: str, text: str, written_so: str
    ) -> None:
        (row,) = table_of(agency("date", date_format=form), replace(PLAIN, date=text))
        assert row == {"date": written_so}

    @pytest.mark.parametrize(
        ("price", "text"), [(79.0, "79"), (19.5, "19.50"), (None, ""), (0, "0")]
    )
    def test_a_price_is_written_in_dollars(self, price: float | None, text: str) -> None:
        (row,) = table_of(agency("file_name", "price"), replace(PLAIN, price_usd=price))
        assert row["price"] == text

    @given(titles=st.lists(TITLES, min_size=1, max_size=4), keywords=KEYWORDS)
    @pytest.mark.parametrize(
        ("rules", "dialect"),
        [
            ({}, {}),
            ({"quoting": "all", "line_end": "lf"}, {}),
            ({"delimiter": ";", "encoding": "utf-8-sig"}, {"delimiter": ";"}),
            ({"delimiter": "\t", "encoding": "utf-16", "line_end": "lf"}, {"delimiter": "\t"}),
        ],
        ids=["plain", "all-quoted", "semicolons-with-mark", "tabs-utf-16"],
    )
    def test_any_text_is_read_back_the_same(
        self,
        rules: dict[str, str],
        dialect: dict[str, str],
        titles: list[str],
        keywords: list[str],
    ) -> None:
        of = agency("file_name", "title", "keywords", **rules)
        items = [replace(PLAIN, title=title, keywords=tuple(keywords)) for title in titles]
        (content,) = written(of, items)
        heading, *rows = rows_of(content, of.table.encoding, **dialect)
        assert heading == ["file_name", "title", "keywords"]
        assert [row[1] for row in rows] == titles
        assert all((row[2].split(",") if keywords else []) == keywords for row in rows)

    def test_ten_thousand_keywords_are_read_back(self) -> None:
        keywords = tuple(f"word {n} 🦅" for n in range(10_000))
        (row,) = table_of(agency("keywords"), replace(PLAIN, keywords=keywords))
        assert tuple(row["keywords"].split(",")) == keywords

    @pytest.mark.parametrize(
        ("of", "one", "told"),
        [
            (
                agency("keywords"),
                replace(FULL, keywords=("salt, pepper",)),
                "'salt, pepper' in key",
            ),
            (
                agency("keywords", keyword_separator="; "),
                replace(FULL, keywords=("a;b",)),
                "holds ';'",
            ),
            (agency("categories"), replace(FULL, categories=("a,b",)), "'a,b' in categories"),
            (
                agency("releases"),
                replace(FULL, releases=(Release("model", "/x.pdf", "", "Doe, J"),)),
                "'Doe, J' in releases",
            ),
        ],
        ids=["keywords", "another-separator", "categories", "releases"],
    )
    def test_an_entry_that_would_break_its_list_is_refused_by_name(
        self, of: Agency, one: Submission, told: str
    ) -> None:
        with pytest.raises(PackageInvalid, match=rf"falcon_3f2a9c\.mov: .*{told}"):
            written(of, [PLAIN, one])

    @pytest.mark.parametrize(
        ("encoding", "title", "letter"),
        [("cp1252", "Łódź", "Ł"), ("ascii", "Évora", "É"), ("utf-8", "half \ud83e", "ud83e")],
    )
    def test_a_letter_that_the_encoding_lacks_is_refused_by_name(
        self, encoding: str, title: str, letter: str
    ) -> None:
        of = agency("title", encoding=encoding)
        with pytest.raises(PackageInvalid, match=rf"(?s)falcon_3f2a9c\.mov: .*{letter}"):
            written(of, [replace(FULL, title=title)])

    def test_letters_that_the_encoding_has_are_written(self) -> None:
        (content,) = written(agency("title", encoding="cp1252"), [replace(PLAIN, title="Évora")])
        assert content == b"title\r\n\xc9vora\r\n"


class TestLimits:
    """Tables over an agency's limits."""

    @pytest.fixture
    def adobe(self, settings: Settings) -> Agency:
        return find_agency(settings, "adobe-stock")

    def test_more_rows_than_a_table_takes_are_several_tables(
        self, adobe: Agency, tmp_path: Path
    ) -> None:
        items = [replace(PLAIN, file_name=f"{n}.jpg", title="x") for n in range(12_001)]
        paths = write_table(adobe, items, tmp_path / "metadata.csv")
        assert [path.name for path in paths] == [
            *("metadata.csv", "metadata-2.csv", "metadata-3.csv")
        ]
        tables = [rows_of(path.read_bytes()) for path in paths]
        assert [len(rows) - 1 for rows in tables] == [5000, 5000, 2001]
        assert {tuple(rows[0]) for rows in tables} == {
            ("Filename", "Title", "Keywords", "Category", "Releases")
        }
        assert [row[0] for rows in tables for row in rows[1:]] == [one.file_name for one in items]

    def test_five_thousand_rows_are_one_table(self, adobe: Agency) -> None:
        assert len(written(adobe, [replace(PLAIN, title="x")] * 5000)) == 1

    def test_more_bytes_than_a_table_takes_are_several_tables(self, adobe: Agency) -> None:
        keywords = tuple(f"kéyword number {n}" for n in range(49))
        items = [replace(PLAIN, title=f"n {n}", keywords=keywords) for n in range(3000)]
        contents = written(adobe, items)
        sizes = [len(content) for content in contents]
        assert len(sizes) == 3
        assert max(sizes) <= 1_000_000
        assert min(sizes[:-1]) > 999_000  # filled as far as it goes
        titles = [row[1] for content in contents for row in rows_of(content)[1:]]
        assert titles == [one.title for one in items]

    def test_a_limit_counts_the_mark_of_the_encoding(self) -> None:
        of = agency("title", encoding="utf-16", max_bytes=30)
        for content in written(of, [replace(PLAIN, title="ab")] * 5):
            assert len(content) <= 30
            assert content.startswith(b"\xff\xfe")

    def test_a_row_that_is_too_large_alone_is_refused_by_name(self, adobe: Agency) -> None:
        one = replace(FULL, keywords=("x" * 1_000_000,))
        with pytest.raises(PackageInvalid, match=r"falcon_3f2a9c\.mov: its row alone.*1,000,000"):
            written(adobe, [one])

    def test_an_agency_may_take_one_table_only(self) -> None:
        of = agency("title", max_rows=2, too_long="refuse")
        assert len(written(of, [PLAIN] * 2)) == 1
        with pytest.raises(PackageInvalid, match="Agency A takes one table, and 2 items fill it"):
            written(of, [PLAIN] * 3)

    def test_an_agency_without_a_table_gets_none(self, settings: Settings, tmp_path: Path) -> None:
        assert write_table(find_agency(settings, "alamy"), [PLAIN], tmp_path / "x.csv") == ()
        assert list(tmp_path.iterdir()) == []

    def test_without_its_template_a_table_is_refused(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        with pytest.raises(ConfigurationError, match=r"Pond5's table.*import pond5 FILE"):
            write_table(find_agency(settings, "pond5"), [PLAIN], tmp_path / "x.csv")

    def test_the_same_submissions_give_the_same_bytes(self, adobe: Agency) -> None:
        items = [replace(FULL, categories=("1",), releases=())] * 3
        assert written(adobe, items) == written(adobe, items)


class TestXml:
    """Tables as XML."""

    COLUMNS = (
        Column("file", "file_name"),
        Column("title", "title"),
        Column("keywords", "keywords", entry="keyword"),
        Column("tags", "keywords"),
        Column("kind", text="footage"),
    )

    def test_it_has_the_elements_of_the_specification(self) -> None:
        (content,) = written(xml(*self.COLUMNS), [FULL])
        assert content.decode() == (
            '<?xml version="1.0" encoding="UTF-8"?>\n<items>\n'
            '<item><file>falcon_3f2a9c.mov</file><title>A "falcon", hunting</title>'
            "<keywords><keyword>falcon</keyword><keyword>golden hour</keyword>"
            "<keyword>hawk's eye</keyword></keywords>"
            "<tags>falcon,golden hour,hawk's eye</tags><kind>footage</kind></item>\n</items>\n"
        )

    @given(title=TITLES, keywords=st.lists(TITLES, max_size=6))
    def test_any_text_is_read_back_but_for_control_characters(
        self, title: str, keywords: list[str]
    ) -> None:
        of = xml(*self.COLUMNS[:3])
        (content,) = written(of, [replace(PLAIN, title=title, keywords=tuple(keywords))])
        (item,) = ET.fromstring(content)
        assert (item.findtext("title") or "") == without_controls(title)
        found = [one.text or "" for one in item.iter("keyword")]
        assert found == [without_controls(one) for one in keywords]

    def test_other_encodings_are_declared(self) -> None:
        of = xml(Column("title", "title"))
        of = replace(of, table=replace(of.table, encoding="utf-16"))
        (content,) = written(of, [replace(PLAIN, title="Évora <&>")])
        assert ET.fromstring(content)[0].findtext("title") == "Évora <&>"

    def test_parts_of_a_long_table_are_whole_documents(self) -> None:
        of = xml(Column("file", "file_name"))
        of = replace(of, table=replace(of.table, max_rows=2))
        contents = written(of, [replace(PLAIN, file_name=f"{n}.jpg") for n in range(5)])
        files = [[item.findtext("file") for item in ET.fromstring(one)] for one in contents]
        assert files == [["0.jpg", "1.jpg"], ["2.jpg", "3.jpg"], ["4.jpg"]]


def without_controls(text: str) -> str:
    """The text without what XML 1.0 cannot hold (its production 2, `Char`)."""
    return "".join(
        one for one in text if one in "\t\n\r" or (one >= " " and one not in "\ufffe\uffff")
    )
