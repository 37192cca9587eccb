"""What of our tables is not there, each with the statement that makes it: somebody dropped it, or restored half."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Inspector,
    MetaData,
    Table,
    UniqueConstraint,
    false,
    inspect,
    literal,
    select,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex, CreateTable, Index

from likes.sql.dialects import dialect_of
from likes.sql.engine import writing
from likes.sql.tables import metadata


class Missing(NamedTuple):
    """`what` is missing, as it is called; whether nothing works without it; the statements that make it."""

    what: str
    needed: bool
    statements: tuple[str, ...]


def missing_parts(engine: Engine) -> list[Missing]:
    """The tables, columns, keys and indexes that are not there. Raises DatabaseUnavailable, DatabaseRefused."""
    with writing(engine) as connection:
        seen = inspect(connection)
        return [part for table in metadata.sorted_tables for part in _missing(connection, seen, table)]


def _missing(connection: Connection, seen: Inspector, table: Table) -> Iterator[Missing]:
    dialect = dialect_of(connection)
    try:
        with connection.begin_nested():
            connection.execute(select(literal(1)).select_from(table).where(false()))
    except DBAPIError as error:
        if dialect.is_missing_table(error):
            yield _whole(connection, table)
        elif not dialect.is_not_permitted(error):  # who may not read it is told so elsewhere
            raise
    else:
        yield from _parts(connection, seen, table)


def _whole(connection: Connection, table: Table) -> Missing:
    made: list[CreateTable | CreateIndex] = [CreateTable(table), *map(CreateIndex, _indexes(table))]
    return Missing(f"table {table.name}", True, tuple(_in_a_line(one.compile(connection)) for one in made))


def _parts(connection: Connection, seen: Inspector, table: Table) -> Iterator[Missing]:
    columns = {column["name"] for column in seen.get_columns(table.name)}
    for column in table.columns:
        if column.name not in columns:
            yield Missing(f"column {column.name} of {table.name}", True, (_add(connection, table, column),))
    if not seen.get_pk_constraint(table.name)["constrained_columns"]:
        key = ", ".join(column.name for column in table.primary_key.columns)
        yield Missing(f"primary key of {table.name}", True, (f"ALTER TABLE {table.name} ADD PRIMARY KEY ({key})",))
    names = {found["name"] for found in seen.get_indexes(table.name)}
    names |= {found["name"] for found in seen.get_unique_constraints(table.name)}
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint) and constraint.name not in names:
            columns_of = ", ".join(column.name for column in constraint.columns)
            statement = f"CREATE UNIQUE INDEX {constraint.name} ON {table.name} ({columns_of})"
            yield Missing(f"unique index {constraint.name}", True, (statement,))
    for index in _indexes(table):
        if index.name not in names:
            yield Missing(f"index {index.name}", False, (_in_a_line(CreateIndex(index).compile(connection)),))


def _indexes(table: Table) -> list[Index]:
    return sorted(table.indexes, key=lambda index: str(index.name))


def _add(connection: Connection, table: Table, column: Column[Any]) -> str:
    """Rows that are there have no value for it, so it may be null unless it has a default."""
    copied = table.to_metadata(MetaData()).columns[column.name]
    copied.nullable = column.nullable or column.server_default is None
    compiler = connection.dialect.ddl_compiler(connection.dialect, CreateTable(table))
    return f"ALTER TABLE {table.name} ADD COLUMN {compiler.get_column_specification(copied)}"


def _in_a_line(statement: object) -> str:
    return " ".join(str(statement).split())
