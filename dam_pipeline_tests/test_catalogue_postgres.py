"""The catalogue's Postgres: where its tables lie, what a person is told, servers that come and go."""

import json
import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from PIL import Image

from dam_pipeline.catalogue import postgres
from dam_pipeline.catalogue.catalogue import Catalogue, open_catalogue
from dam_pipeline.catalogue.postgres import with_driver
from dam_pipeline.catalogue.tables import LOCATION
from dam_pipeline.dagster_home import open_instance
from dam_pipeline.errors import ConfigurationError, StoreUnavailable
from dam_pipeline.settings import Settings, load_settings
from dam_pipeline_tests.postgres_server import PostgresServer, running_postgres
from dam_pipeline_tests.processed import DAM, ENDS_WITHIN_S, dam, run_dam
from dam_pipeline_tests.test_catalogue_databases import done, media, place

pytestmark = pytest.mark.postgres

SECRET = "s3cret!"


@pytest.fixture
def catalogue(tmp_path: Path, own_postgres: str) -> Iterator[Catalogue]:
    with open_catalogue(tmp_path, own_postgres) as opened:
        yield opened


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    """What the server answers over a connection of its own."""
    engine = sa.create_engine(with_driver(url))
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(sa.text(query))]
    engine.dispose()
    return found


def test_catalogue_and_dagster_share_a_database_and_not_their_tables(
    settings: Settings, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The role has the name of the catalogue's schema, into which Postgres would look by itself."""
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", "")
    with postgres_server.own_database() as url:
        team = settings.model_copy(update={"postgres_url": url})
        with open_catalogue(team.home, url) as catalogue, open_instance(team) as instance:
            catalogue.add_media([media(1)])
            instance.add_dynamic_partitions("media", ["key-00001"])
        with open_instance(team) as again:
            assert again.get_dynamic_partitions("media") == ["key-00001"]
        tables = "SELECT table_schema FROM information_schema.tables WHERE table_name = '{}'"
        assert rows(url, "SELECT current_user") == [("dam",)]
        assert rows(url, tables.format("media")) == [("dam",)]
        assert rows(url, tables.format("event_logs")) == [("public",)]
        assert sorted(rows(url, tables.format("alembic_version"))) == [("dam",), ("public",)]


def test_every_text_is_sorted_by_its_characters_numbers(
    catalogue: Catalogue, own_postgres: str
) -> None:
    query = (
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'dam' "
        "AND table_name <> 'alembic_version' AND data_type IN ('text', 'character varying') "
        "AND collation_name IS DISTINCT FROM 'C'"
    )
    assert rows(own_postgres, query) == []


def test_a_thousand_rows_take_few_round_trips(catalogue: Catalogue) -> None:
    sent: Counter[str] = Counter()
    sa.event.listen(
        catalogue.engine,
        "before_cursor_execute",
        lambda _c, _cursor, statement, *_rest: sent.update([statement.split()[0]]),
    )
    numbers = range(1000)
    catalogue.add_media(map(media, numbers))
    catalogue.put_locations(place(f"file:///{number:05}", number) for number in numbers)
    catalogue.states.claim(["probe"], [media(number).media_id for number in numbers], "run", 60)
    catalogue.states.record(map(done, numbers))
    assert sent["INSERT"] <= 8
    assert sum(sent.values()) <= 25


def test_places_below_a_folder_are_found_by_the_index(catalogue: Catalogue) -> None:
    many = (
        "INSERT INTO location (uri, media_id, size_bytes, mtime_ns, first_seen, last_seen) "
        "SELECT 'file:///films/' || n % 100 || '/' || n, n, 1, 1, '', '' "
        "FROM generate_series(1, 20000) AS n"
    )
    with catalogue.engine.begin() as connection:
        connection.execute(sa.text(many))
        connection.execute(sa.text("ANALYZE location"))
    plans: list[str] = []

    def explain(connection: sa.Connection, statement: object, *_rest: object) -> None:
        if isinstance(statement, sa.Select) and not plans:
            plans.append("being asked")
            words = statement.compile(connection, compile_kwargs={"literal_binds": True})
            answer = connection.exec_driver_sql(f"EXPLAIN {words}".replace("%", "%%"))
            plans.append("\n".join(answer.scalars()))

    sa.event.listen(catalogue.engine, "before_execute", explain)
    assert len(catalogue.locations("file:///films/7")) == 200
    assert f"{LOCATION.name}_pkey" in plans[1]
    assert "Seq Scan" not in plans[1]


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "START_WAIT_S", 0.0)


def opening(url: str, home: Path) -> str:
    """What opening the catalogue says; it must not be possible."""
    with pytest.raises((ConfigurationError, StoreUnavailable)) as raised, open_catalogue(home, url):
        pass
    assert SECRET not in f"{raised.value!r} {raised.value}"
    return f"{type(raised.value).__name__}: {raised.value}"


@pytest.mark.parametrize("url", ["mysql://dam:s3cret!@host/db", "s3cret!", "postgresql://host"])
def test_what_is_no_address_is_refused_in_words(url: str, tmp_path: Path) -> None:
    assert "ConfigurationError: DAM_POSTGRES_URL cannot be read" in opening(url, tmp_path)


@pytest.mark.parametrize("option", ["conect_timeout=5", "sslmode=bogus"])
def test_a_misspelt_option_is_told(
    postgres_server: PostgresServer, tmp_path: Path, option: str
) -> None:
    said = opening(f"{postgres_server.url}?{option}", tmp_path)
    assert said.startswith("ConfigurationError")
    assert option.partition("=")[0] in said
    assert "Correct DAM_POSTGRES_URL" in said


def test_a_wrong_password_is_told_without_it(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    address = sa.make_url(postgres_server.url).set(password=SECRET)
    said = opening(address.render_as_string(hide_password=False), tmp_path)
    assert said.startswith("ConfigurationError")
    assert 'password authentication failed for user "dam"' in said
    assert "Correct DAM_POSTGRES_URL" in said


def test_an_unknown_database_is_told(postgres_server: PostgresServer, tmp_path: Path) -> None:
    said = opening(postgres_server.url.rpartition("/")[0] + "/nowhere", tmp_path)
    assert said.startswith("ConfigurationError")
    assert 'database "nowhere" does not exist' in said


def test_a_role_that_may_not_make_the_schema_is_told(
    postgres_server: PostgresServer, own_postgres: str, tmp_path: Path
) -> None:
    postgres_server.run(f"CREATE ROLE guest_{tmp_path.name} LOGIN PASSWORD '{SECRET}'")
    address = sa.make_url(own_postgres).set(username=f"guest_{tmp_path.name}", password=SECRET)
    said = opening(address.render_as_string(hide_password=False), tmp_path)
    assert said.startswith("ConfigurationError")
    assert "permission denied" in said


@pytest.mark.usefixtures("no_patience")
def test_a_server_that_is_away_is_told_by_the_command_in_one_sentence(
    dam_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAM_POSTGRES_URL", f"postgresql://dam:{SECRET}@127.0.0.1:9/dam")
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", "")
    result = dam("status")
    assert result.exit_code == 1
    assert result.stderr.startswith("dam: Postgres at 127.0.0.1:9 (database dam) cannot be used")
    assert SECRET not in result.output + repr(load_settings())


@pytest.mark.slow
@pytest.mark.weights
def test_two_ingests_of_overlapping_folders_at_once_lose_and_double_nothing(
    dam_home: Path, own_postgres: str, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for number in range(6):
        photo = Image.new("RGB", (64, 48), (40 * number, 90, 200 - 30 * number))
        for name in (f"{number}.png", f"sub/{number + 3}.png"):
            if number < 3 or name.startswith("sub"):
                photo.save(folder / name)
    environment = {**os.environ, "DAM_POSTGRES_URL": own_postgres, "DAM_SPEECH": "false"}
    started = [
        subprocess.Popen([DAM, "ingest", path], env=environment, stderr=subprocess.DEVNULL)
        for path in (folder, folder / "sub")
    ]
    assert [process.wait(timeout=ENDS_WITHIN_S) for process in started] == [0, 0]
    said = json.loads(run_dam(environment, "ingest", str(folder), "--json").stdout)
    assert (said["discovered"], said["new"], said["done"], said["run_ids"]) == (9, 0, 6, [])
    assert rows(own_postgres, "SELECT count(*) FROM dam.media") == [(6,)]
    assert rows(own_postgres, "SELECT count(*) FROM dam.location") == [(9,)]
    assert rows(own_postgres, "SELECT count(*) FROM dam.lease") == [(0,)]
    assert rows(own_postgres, "SELECT count(*) FROM dynamic_partitions") == [(6,)]


# A server of the test's own, which it kills.


@pytest.fixture(scope="module")
def mortal() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


def test_a_connection_lost_in_the_middle_is_told_and_the_next_call_works(
    mortal: PostgresServer, tmp_path: Path
) -> None:
    with mortal.own_database() as url, open_catalogue(tmp_path, url) as catalogue:
        catalogue.add_media([media(1)])
        words = r"cannot be used now.*taken up again"
        with pytest.raises(StoreUnavailable, match=words), catalogue.engine.begin() as connection:
            connection.execute(sa.text("SELECT 1"))
            mortal.kill()
            connection.execute(sa.text("SELECT 1"))
        mortal.start()
        assert len(catalogue.all_media()) == 1
        catalogue.add_media([media(2)])
        assert len(catalogue.all_media()) == 2


def test_a_server_that_starts_is_waited_for(mortal: PostgresServer, tmp_path: Path) -> None:
    with mortal.own_database() as url:
        mortal.kill()
        later = threading.Timer(1.0, mortal.start)
        later.start()
        with open_catalogue(tmp_path, url) as catalogue:
            assert catalogue.all_media() == []
        later.join()


def test_a_server_that_does_not_come_is_waited_for_once(
    mortal: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "START_WAIT_S", 2.0)
    with mortal.own_database() as url, open_catalogue(tmp_path, url) as catalogue:
        mortal.kill()
        waited_s = []
        for _ in range(3):
            began_s = time.monotonic()
            with pytest.raises(StoreUnavailable):
                catalogue.all_media()
            waited_s.append(time.monotonic() - began_s)
        mortal.start()
        assert waited_s[0] > 2.0 > waited_s[2]


def test_dagsters_storage_tells_it_in_the_same_words(
    mortal: PostgresServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", "")
    monkeypatch.setattr(postgres, "START_WAIT_S", 0.0)
    with mortal.own_database() as url:
        team = settings.model_copy(update={"postgres_url": url})
        with open_instance(team) as instance:
            mortal.kill()
            with pytest.raises(StoreUnavailable, match="cannot be used now"):
                instance.get_runs_count()
            mortal.start()
            assert instance.get_runs_count() == 0
