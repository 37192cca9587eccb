"""What SQL says was done with the likes of a shard, and of all shards: one side of an audit's comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Integer, Table, func, literal, select, union_all

from likes.deltas import MAX_DELTA, MIN_DELTA
from likes.sql import cursors as cursor_rows
from likes.sql.cursors import Cursor
from likes.sql.engine import reading
from likes.sql.incidents import Kind
from likes.sql.sums import exact_sum, joined
from likes.sql.tables import batches, cursors, dead_letters, incidents, retired_epochs, totals


class Rows(NamedTuple):
    """The rows of the ledger under one epoch: how many, from which to which batch, their sum."""

    number: int
    first: int
    last: int
    delta: int


class Books(NamedTuple):
    """One shard under its cursor's epoch. `dead_letters` and `written_off` (by incidents) are sums of deltas.

    has_gaps: it is on record that batches are missing, because the database was restored.
    """

    cursor: Cursor | None
    rows: Rows
    last_nonce: str
    dead_letters: int
    written_off: int
    has_gaps: bool


class Sums(NamedTuple):
    """Over all namespaces: the totals, and what was applied according to cursors, retired epochs and resolutions.

    resolved: the part of `applied` that resolutions are.
    is_saturated: one of the numbers behind `applied` reached the limits of 64 bits.
    """

    totals: int
    applied: int
    resolved: int
    is_saturated: bool


def of_shard(engine: Engine, namespace: str, shard: int) -> Books:
    """The books of one shard; consistent if its cursor is the same before and after."""
    with reading(engine) as connection:
        return _of_shard(connection, namespace, shard)


def _of_shard(connection: Connection, namespace: str, shard: int) -> Books:
    cursor = cursor_rows.read_all(connection, namespace).get(shard)
    epoch = cursor.epoch if cursor else None

    def under_epoch(table: Table) -> Any:
        return (table.c.namespace == namespace) & (table.c.shard == shard) & (table.c.epoch == epoch)

    def one_row(columns: Sequence[Any], table: Table) -> Any:
        return connection.execute(select(*columns).where(under_epoch(table))).one()

    row = batches.c
    number, first, last, *delta = one_row(
        (func.count(), func.min(row.seq), func.max(row.seq), *exact_sum(row.delta)), batches
    )
    nonce = select(row.nonce).where(under_epoch(batches), row.seq == last)
    gaps = select(incidents.c.id).where(under_epoch(incidents), incidents.c.kind == str(Kind.SQL_WENT_BACK))
    return Books(
        cursor=cursor,
        rows=Rows(number, first or 0, last or 0, joined(delta)),
        last_nonce=connection.scalar(nonce) or "",
        dead_letters=joined(one_row(exact_sum(dead_letters.c.delta), dead_letters)),
        written_off=joined(one_row(exact_sum(incidents.c.delta), incidents)),
        has_gaps=connection.execute(gaps.limit(1)).first() is not None,
    )


def sums(engine: Engine) -> Sums:
    """All sums."""
    with reading(engine) as connection:
        return read_sums(connection)


def read_sums(connection: Connection) -> Sums:
    """All sums, in one statement so that no flush comes in between."""
    parts = cursors.c.applied_delta, retired_epochs.c.applied_delta, dead_letters.c.applied_delta
    each = [select(literal(i, Integer), *exact_sum(part)) for i, part in enumerate((totals.c.total, *parts))]
    limits = [select(part).where(part.in_((MIN_DELTA, MAX_DELTA))) for part in parts]
    found = {i: joined(halves) for i, *halves in connection.execute(union_all(*each))}
    is_saturated = connection.execute(union_all(*limits).limit(1)).first() is not None
    return Sums(found[0], found[1] + found[2] + found[3], found[3], is_saturated)
