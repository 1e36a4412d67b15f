"""The catalogue's type of text, the same on SQLite and on Postgres."""

import sqlalchemy as sa


class Text(sa.TypeDecorator[str]):
    """Text sorted by its characters' numbers, whatever the language of the server.

    Postgres takes no NUL and neither database half a surrogate pair, as names and tags of damaged
    files may have: `?` stands for the one, nothing for the other.
    """

    impl = sa.String
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[str]:
        """The database's own type."""
        return sa.String(collation="C") if dialect.name == "postgresql" else sa.String()

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """The text as both databases take it."""
        if not value:
            return value
        if not value.isascii():
            value = value.encode("utf-8", "replace").decode()
        return value.replace("\0", "")
