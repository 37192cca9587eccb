"""Which rights a worker lacks, found out by doing each thing to no row, with the statement that grants it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from likes.errors import DatabaseUnavailable, LikesError
from likes.sql.dialects import dialect_of
from likes.sql.engine import reading, writing
from likes.sql.schema import VERSION_TABLE

# What a worker does to each table.
NEEDED: Mapping[str, Sequence[str]] = {
    VERSION_TABLE: ("SELECT",),
    "likes_totals": ("SELECT", "INSERT", "UPDATE"),
    "likes_database": ("SELECT", "INSERT", "UPDATE"),
    "likes_cursors": ("SELECT", "INSERT", "UPDATE"),
    "likes_retired_epochs": ("SELECT", "INSERT", "UPDATE"),
    "likes_batches": ("SELECT", "INSERT", "DELETE"),
    "likes_dead_letters": ("SELECT", "INSERT"),
    "likes_incidents": ("SELECT", "INSERT"),
    "likes_pruned": ("SELECT", "INSERT", "UPDATE"),
    "likes_sessions": ("SELECT", "INSERT", "DELETE"),
}
_TRIED = {
    "SELECT": "SELECT * FROM {table} WHERE 1 = 0",
    "INSERT": "INSERT INTO {table} SELECT * FROM {table} WHERE 1 = 0",
    "UPDATE": "UPDATE {table} SET {column} = {column} WHERE 1 = 0",
    "DELETE": "DELETE FROM {table} WHERE 1 = 0",
}
_COLUMNS = {
    "likes_totals": "total",
    "likes_database": "id",
    "likes_pruned": "batches",
}  # one to update; for the others it is `seq`


class MissingRight(NamedTuple):
    """A table, what may not be done to it, and the statement for its owner that mends it."""

    table: str
    right: str
    statement: str


class ReadOnly(NamedTuple):
    """Why nothing can be written, and the statement that mends it, or what else to do."""

    why: str
    fix: str


def read_only(engine: Engine) -> ReadOnly | None:
    """Why nothing can be written; None if it can. Raises DatabaseUnavailable if the database is away altogether."""
    try:
        with writing(engine) as connection:
            connection.execute(text(_TRIED["UPDATE"].format(table="likes_cursors", column="seq")))
    except DatabaseUnavailable as error:
        with reading(engine) as connection:
            return ReadOnly(str(error), dialect_of(engine).make_writable(connection))
    except LikesError:
        return None  # a right or a table is missing, which others look for
    return None


def missing_rights(engine: Engine) -> list[MissingRight]:
    """The rights that are missing. Raises DatabaseUnavailable."""
    with writing(engine) as connection:
        return list(_missing(connection))


def _missing(connection: Connection) -> Iterator[MissingRight]:
    dialect = dialect_of(connection)
    for table, rights in NEEDED.items():
        for right in rights:
            if _is_denied(connection, table, right):
                yield MissingRight(table, right, dialect.grant(connection, right, table))
                if right == "SELECT":
                    break  # the others cannot be tried without
    for table, statement in dialect.missing_sequence_rights(connection):
        yield MissingRight(table, "its sequence", statement)


def _is_denied(connection: Connection, table: str, right: str) -> bool:
    statement = _TRIED[right].format(table=table, column=_COLUMNS.get(table, "seq"))
    try:
        with connection.begin_nested():
            connection.execute(text(statement))
    except DBAPIError as error:
        dialect = dialect_of(connection)
        if dialect.is_not_permitted(error):
            return True
        if not dialect.is_missing_table(error):
            raise
    return False
