"""The catalogue on SQLite and on Postgres: the same answers, the same order, many writers at once."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from dam_pipeline.catalogue.catalogue import Catalogue, open_catalogue
from dam_pipeline.catalogue.database import catalogue_engine
from dam_pipeline.catalogue.migrating import head, migrate
from dam_pipeline.catalogue.server_facts import database_facts
from dam_pipeline.catalogue.tables import METADATA
from dam_pipeline.errors import ConfigurationError, SchemaMismatch
from dam_pipeline.records import Facts, Filters, Location, Media, MediaKind, StageRow, State

# Alphabets, cases, signs and a character beyond the first 65,536, which UTF-16 would sort elsewhere.
NAMES = ["Zoo", "apfel", "Äpfel", "a_b", "a-b", "a b", "a", "B", "éa", "ﬃ", "𝄞"]


@pytest.fixture
def catalogue(tmp_path: Path, database_url: str) -> Iterator[Catalogue]:
    with open_catalogue(tmp_path, database_url) as opened:
        yield opened


def media(number: int, key: str = "", name: str = "a.mov") -> Media:
    media_id = f"{number:032x}"
    return Media(media_id, key or f"key-{number:05}", MediaKind.VIDEO, 1, name, media_id)


def place(uri: str, number: int = 1) -> Location:
    return Location(uri=uri, media_id=f"{number:032x}", size_bytes=1, mtime_ns=2)


def done(number: int, stage: str = "probe", reason: str = "") -> StageRow:
    return StageRow(f"{number:032x}", stage, State.DONE, reason, updated_at="2026-01-01")


def test_the_migrations_make_the_tables_that_the_code_speaks_of(catalogue: Catalogue) -> None:
    with catalogue.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, METADATA) == []


def test_texts_come_in_the_same_order_from_both(catalogue: Catalogue) -> None:
    catalogue.add_media(media(number, name) for number, name in enumerate(NAMES))
    catalogue.put_locations(place(f"s3://bucket/{name}") for name in NAMES)
    assert [one.partition_key for one in catalogue.all_media()] == sorted(NAMES)
    assert [one.uri for one in catalogue.locations()] == [f"s3://bucket/{n}" for n in sorted(NAMES)]


def test_a_folder_holds_what_is_below_it_and_nothing_that_looks_like_it(
    catalogue: Catalogue,
) -> None:
    below = ["file:///Films_1/%25/a.mov", "file:///Films_1/b.mov", "file:///Films_1/𝄞/ü"]
    others = ["file:///Films_10/a", "file:///FilmsX1/a", "file:///films_1/a", "file:///Films_1.mov"]
    catalogue.put_locations(map(place, [*below, *others]))
    assert [one.uri for one in catalogue.locations("file:///Films_1")] == below
    assert [one.uri for one in catalogue.locations("file:///Films_1/b.mov")] == [below[1]]


@pytest.mark.parametrize("said", ["key-00001", "key-0000", "0" * 31 + "1", "\0", "\udcff"])
def test_a_reference_finds_one_media_or_says_why_not(catalogue: Catalogue, said: str) -> None:
    catalogue.add_media([media(1), media(2)])
    if said.endswith("1"):
        assert catalogue.find(said).partition_key == "key-00001"
    else:
        with pytest.raises(ConfigurationError, match=r"fits several|No media is known"):
            catalogue.find(said)


def test_characters_that_a_database_refuses_are_left_out(catalogue: Catalogue) -> None:
    catalogue.add_media([media(1, name="caf\udce9\0.mov")])
    catalogue.states.record([done(1, reason="moov\0 atom \udcff missing")])
    catalogue.set_facts([Facts(media(1).media_id, MediaKind.VIDEO, 1.0, True, None, "SONY\0 Ü")])
    assert catalogue.all_media()[0].first_name == "caf?.mov"
    row = catalogue.states.of([media(1).media_id])[media(1).media_id]["probe"]
    assert row.reason == "moov atom ? missing"
    assert catalogue.matching(Filters(camera="sony")) == {media(1).media_id}


def test_of_the_same_row_twice_in_one_write_the_last_stays(catalogue: Catalogue) -> None:
    catalogue.add_media([media(1), media(1, name="b.mov")])
    catalogue.put_locations([place("file:///a", 1), place("file:///a", 2)])
    catalogue.states.record([done(1, reason="first"), done(1, reason="second")])
    assert catalogue.locations()[0].media_id == media(2).media_id
    assert catalogue.states.of([media(1).media_id])[media(1).media_id]["probe"].reason == "second"


def test_a_catalogue_of_a_newer_version_is_refused(tmp_path: Path, database_url: str) -> None:
    with open_catalogue(tmp_path, database_url) as opened, opened.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    words = r"form 9999 by a newer dam_pipeline.*Update this installation"
    with pytest.raises(SchemaMismatch, match=words), open_catalogue(tmp_path, database_url):
        pass


def test_a_catalogue_of_an_older_version_is_brought_up_with_what_it_holds(
    tmp_path: Path, database_url: str
) -> None:
    engine = catalogue_engine(tmp_path, database_url)
    migrate(engine, "0001")
    columns = "media_id, partition_key, kind, size_bytes, first_name, asset_id"
    with engine.begin() as connection:
        row = f"INSERT INTO media ({columns}) VALUES ('1', 'kept-0001', 'video', 1, 'a', '1')"
        connection.execute(sa.text(row))
    engine.dispose()
    with open_catalogue(tmp_path, database_url) as catalogue:
        assert [one.partition_key for one in catalogue.all_media()] == ["kept-0001"]
        assert database_facts(catalogue).form == head()


def test_the_facts_name_the_database(catalogue: Catalogue) -> None:
    facts = database_facts(catalogue)
    assert (facts.form, facts.damage) == (head(), "")
    assert facts.name.startswith("SQLite 3" if facts.free_connections is None else "Postgres 1")


# Several processes on one catalogue: a script in each, with its number.

WRITERS = 3
COMMON = """
import sys
from pathlib import Path
from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline_tests.test_catalogue_databases import done, media, place
number, home, url = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
"""
OPEN = (
    COMMON
    + """
print("ready", flush=True); sys.stdin.readline()
with open_catalogue(home, url) as catalogue:
    catalogue.add_media([media(number)])
print("through", flush=True)
"""
)
CLAIM = (
    COMMON
    + """
ids = [media(one).media_id for one in range(60)]
ids = ids if number % 2 else ids[::-1]
with open_catalogue(home, url) as catalogue:
    print("ready", flush=True); sys.stdin.readline()
    for start in range(0, 60, 10):
        piece = ids[start:start + 10]
        held = catalogue.states.claim(["probe", "shots"], piece, f"run-{number}", 600)
        for one in piece:
            for stage in ("probe", "shots"):
                if (one, stage) not in held:
                    print(one, stage)
    print("through", flush=True); sys.stdin.readline()
"""
)
WRITE = (
    COMMON
    + """
numbers = range(100) if number % 2 else range(99, -1, -1)
with open_catalogue(home, url) as catalogue:
    print("ready", flush=True); sys.stdin.readline()
    for time in range(5):
        catalogue.add_media(media(one) for one in numbers)
        catalogue.put_locations(place(f"file:///{one:03}", one) for one in numbers)
        catalogue.states.record(done(one, reason=f"{number}") for one in numbers)
        catalogue.mark_missing([f"file:///{one:03}" for one in numbers])
        catalogue.states.forget([media(one).media_id for one in numbers], ["shots"])
print("through", flush=True)
"""
)


REBUILD = (
    COMMON
    + """
with open_catalogue(home, url) as catalogue:
    catalogue.states.record([done(number)])
"""
)


def together(script: str, home: Path, database_url: str) -> list[str]:
    """Run a script in several processes that begin at the same moment; gives what each printed."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(number), str(home), database_url], **pipes
        )
        for number in range(WRITERS)
    ]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    # All live until all are through: what a dead process held is given to others.
    told = [list(iter(writer.stdout.readline, "through\n")) for writer in writers]
    for writer in writers:
        writer.communicate(timeout=100)
    assert [writer.returncode for writer in writers] == [0] * WRITERS
    return [line for lines in told for line in lines]


def test_several_processes_make_one_catalogue(tmp_path: Path, database_url: str) -> None:
    together(OPEN, tmp_path, database_url)
    with open_catalogue(tmp_path, database_url) as catalogue:
        assert len(catalogue.all_media()) == WRITERS


def test_of_processes_that_claim_at_once_one_gets_each_lease(
    tmp_path: Path, database_url: str
) -> None:
    told = together(CLAIM, tmp_path, database_url)
    assert sorted(told) == sorted(
        f"{media(one).media_id} {stage}\n" for one in range(60) for stage in ("probe", "shots")
    )


def test_a_rebuild_beside_a_run_leaves_the_run_its_leases(
    tmp_path: Path, database_url: str
) -> None:
    mine = done(1)
    with open_catalogue(tmp_path, database_url) as catalogue:
        catalogue.states.claim([mine.stage], [mine.media_id], "run", 600)
        command = [sys.executable, "-c", REBUILD, "1", str(tmp_path), database_url]
        subprocess.run(command, check=True, timeout=100)
        assert catalogue.states.running() == {(mine.media_id, mine.stage): "run"}
        catalogue.states.record([mine], "run")
        assert catalogue.states.running() == {}


def test_processes_that_write_the_same_rows_do_not_wait_for_each_other(
    tmp_path: Path, database_url: str
) -> None:
    together(WRITE, tmp_path, database_url)
    with open_catalogue(tmp_path, database_url) as catalogue:
        places = catalogue.locations()
        assert len(places) == len(catalogue.all_media()) == 100
        assert all(one.missing_since for one in places)
        rows = catalogue.states.of([one.media_id for one in catalogue.all_media()])
        assert len({one["probe"].reason for one in rows.values()}) == 1
