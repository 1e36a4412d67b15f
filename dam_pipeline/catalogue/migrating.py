"""Bringing a catalogue's database to the newest form; several processes may try at once."""

from pathlib import Path

import sqlalchemy as sa

from dam_pipeline.catalogue.postgres import SCHEMA
from dam_pipeline.errors import SchemaMismatch

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 0x64616D  # "dam": the advisory lock of whoever migrates


def migrate(engine: sa.Engine, form: str = "") -> None:
    """Make the tables or change them; one process does it, the others wait and find it done.

    They get the newest form unless another is named. Raises SchemaMismatch when a newer version of
    the code has been here.
    """
    form = form or head()
    if revision(engine) == form:
        return
    # Alembic takes 0.4 s to import, which a search from the command line need not wait for.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect() as connection:
        _wait_for_turn(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, form)
        connection.commit()


def head() -> str:
    """The form that this version of the code works with."""
    return max(_known())


def revision(engine: sa.Engine) -> str | None:
    """The form that a database has, or None when it is empty. Raises SchemaMismatch."""
    if not sa.inspect(engine).has_table("alembic_version"):
        return None
    with engine.connect() as connection:
        found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    if found and found not in _known():
        raise SchemaMismatch(
            f"The catalogue {engine.url.render_as_string()} was changed to form {found} by a newer "
            f"dam_pipeline; this one knows forms up to {head()}. Update this installation."
        )
    return found


def _known() -> set[str]:
    return {path.stem[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")}


def _wait_for_turn(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return
    # Changing a large table may take its time.
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
    # Asked first: `IF NOT EXISTS` wants the right to make it even where it is there.
    if not sa.inspect(connection).has_schema(SCHEMA):
        connection.execute(sa.schema.CreateSchema(SCHEMA))
