"""Postgres for the catalogue and for Dagster: connections, limits in time, what its errors mean.

The catalogue's tables lie in a schema of their own, beside Dagster's in `public` of one database.
"""

import math
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from dam_pipeline.errors import ConfigurationError, StoreUnavailable

SCHEMA = "dam"
SCHEMA_OF_DAGSTER = "public"
DRIVER = "postgresql+psycopg2"

START_WAIT_S = 10.0
"""How long a server that is starting, or out of connections for a moment, is waited for."""

WAIT_AGAIN_AFTER_S = 30.0
"""After it was waited for in vain, how long nobody waits: what is under way ends soon then."""

LIMITS = {
    "statement_timeout": "60s",
    "lock_timeout": "30s",
    "idle_in_transaction_session_timeout": "120s",  # a worker that hangs gives its locks up
}

POOL = {"pool_size": 1, "max_overflow": 19, "pool_recycle": 3600, "pool_pre_ping": True}
"""One connection is kept a process, for Postgres allows 100 in all and many workers share them."""

CONNECTION = {
    "connect_timeout": 10,
    # A cut network is noticed within a minute: nothing else would ever end the wait.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}

NAME_CHARS = 63  # Postgres cuts the rest off

_SOON = re.compile(
    r"starting up|shutting down|recovery mode|not yet accepting|Connection refused|No such file or directory"
    r"|too many clients|remaining connection slots|server closed the connection unexpectedly"
)
_MISSPELT = re.compile(r"invalid (connection option|\w+ value)")
_REFUSED = re.compile(
    r"authentication failed|no password supplied|no pg_hba.conf entry|permission denied"
    r"|(database|role) \"[^\"]*\" does not exist|invalid (connection|URI|port|\w+ value)"
)


class _Refused(StoreUnavailable):
    """The server is there and does not let us in."""


def with_driver(url: str) -> str:
    """The address with the driver that is installed: SQLAlchemy would look for another.

    Raises ConfigurationError when it is no address of a Postgres.
    """
    return _address(url).render_as_string(hide_password=False)


def in_schema(url: str, schema: str) -> str:
    """The address, with the driver, of connections that see one schema and are limited in time.

    Postgres would look into a schema of the role's own name first, which may be the other one.
    Raises ConfigurationError.
    """
    address = _address(url)
    given = address.query.get("options", "")
    options = [
        *(f"-c {name}={value}" for name, value in LIMITS.items()),
        given if isinstance(given, str) else " ".join(given),
        f"-c search_path={schema}",
    ]
    named = address.update_query_dict({"options": " ".join(options)})
    return named.render_as_string(hide_password=False)


def postgres_engine(url: str, schema: str, who: str, **options: Any) -> sa.Engine:
    """Connections to one schema, opened when needed; the server is told which part of us they are.

    What the server reports is raised as StoreUnavailable. Raises ConfigurationError for an address
    that is none.
    """
    address = sa.make_url(in_schema(url, schema))
    connection = {name: value for name, value in CONNECTION.items() if name not in address.query}
    name = f"dam {who} {socket.gethostname()}/{os.getpid()}"[:NAME_CHARS]
    engine = sa.create_engine(
        address,
        connect_args={**connection, "application_name": name},
        executemany_mode="values_plus_batch",
        **POOL,
        **options,
    )
    sa.event.listen(engine, "do_connect", _Door().connect)
    sa.event.listen(engine, "handle_error", lambda context: _translate(address, context))
    return engine


@contextmanager
def at_the_door() -> Iterator[None]:
    """Raise ConfigurationError, not StoreUnavailable, when the server refuses what we ask here."""
    try:
        yield
    except _Refused as error:
        raise ConfigurationError(str(error)) from error


def _address(url: str) -> sa.URL:
    try:
        address = sa.make_url(re.sub(r"^postgres(ql)?(\+\w+)?://", f"{DRIVER}://", url.strip()))
    except (sa.exc.ArgumentError, ValueError):
        address = None
    if address is None or address.drivername != DRIVER or not address.database:
        # Its own words would show the password.
        raise ConfigurationError(
            "DAM_POSTGRES_URL cannot be read. Write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, "
            "with special characters of the password percent-encoded."
        )
    return address


class _Door:
    """Opens connections; a server that is starting is waited for, but not by each in turn."""

    def __init__(self) -> None:
        self._given_up_s = -math.inf

    def connect(
        self, dialect: sa.Dialect, _record: object, arguments: list[Any], named: dict[str, Any]
    ) -> Any:
        """A connection of the driver; raises its error after `START_WAIT_S` at the latest."""
        began_s = time.monotonic()
        is_hopeless = began_s - self._given_up_s < WAIT_AGAIN_AFTER_S
        until_s = began_s if is_hopeless else began_s + START_WAIT_S
        while True:
            try:
                return dialect.connect(*arguments, **named)
            except Exception as error:
                if not _SOON.search(str(error)):
                    raise
                if time.monotonic() > until_s:
                    self._given_up_s = time.monotonic()
                    raise
            time.sleep(0.2)


def _translate(address: sa.URL, context: sa.ExceptionContext) -> None:
    error, dbapi = context.original_exception, context.dialect.loaded_dbapi
    if context.is_pre_ping:
        return  # the pool opens another connection
    code = getattr(error, "pgcode", None)
    of_the_server = (dbapi.OperationalError, dbapi.InterfaceError)
    is_misspelt = _MISSPELT.search(str(error)) is not None
    is_refused = isinstance(error, of_the_server) or is_misspelt
    if is_refused or context.is_disconnect or code in ("25006", "42501"):
        raise _meaning(address, error) from error


def _meaning(address: sa.URL, error: BaseException) -> StoreUnavailable:
    words = " ".join(str(error).split()).rstrip("?.")
    if address.password:
        words = words.replace(str(address.password), "***")
    where = f"{address.host or 'this machine'}:{address.port or 5432}"
    if _REFUSED.search(words):
        return _Refused(
            f"Postgres at {where} does not let {address.username} use the database "
            f"{address.database}: {words}. Correct DAM_POSTGRES_URL, or let the server's keeper make "
            "the role and the database, owned by it."
        )
    return StoreUnavailable(
        f"Postgres at {where} (database {address.database}) cannot be used now: {words}. See that "
        "it runs and is reached from here (DAM_POSTGRES_URL); work that was cut off is taken up "
        "again by itself, or by the same command."
    )
