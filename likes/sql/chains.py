"""Counting chains: the cursors, the totals and the rows of the ledger move in one transaction, or none of them does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine

from likes.chain import Chain
from likes.counted import Counted
from likes.deltas import MAX_DELTA, MIN_DELTA, Deltas
from likes.errors import DatabaseRefused
from likes.sql import identity
from likes.sql.dialects import dialect_of
from likes.sql.identity import Claim
from likes.sql.moves import move_cursors
from likes.sql.rows import write_rows
from likes.sql.transaction import transact

BYTES_A_TRANSACTION = 2**19  # a packet of MySQL's takes that, however much of it has to be escaped


class _NotAll(Exception):
    """Not every chain follows its cursor."""


def portions(chains: Sequence[Chain]) -> Iterator[list[Chain]]:
    """`chains` in parts that one transaction takes."""
    portion: list[Chain] = []
    size = 0
    for chain in chains:
        if portion and size + chain.bytes > BYTES_A_TRANSACTION:
            yield portion
            portion, size = [], 0
        portion.append(chain)
        size += chain.bytes
    if portion:
        yield portion


def count_whole(engine: Engine, namespace: str, worker: str, claim: Claim, chains: Sequence[Chain]) -> bool:
    """Count every entry of these chains; False, and nothing is done, where one does not follow its cursor, or the
    database refuses one. It is tried once: raises what the database says otherwise.
    """
    deltas = Deltas.joined(batch.deltas for chain in chains for batch in chain.batches)
    sums = [*(batch.delta for chain in chains for batch in chain.batches), *(chain.delta for chain in chains)]
    numbers = [*sums, *deltas.numbers]
    if not all(chain.is_whole for chain in chains) or min(numbers) < MIN_DELTA or max(numbers) > MAX_DELTA:
        return False
    began = datetime.now(UTC)

    def count(connection: Connection) -> None:
        now = datetime.now(UTC)
        identity.require(connection, claim)
        if not move_cursors(connection, namespace, chains, now):
            raise _NotAll
        if deltas:
            dialect_of(connection).add_to_totals(connection, deltas, now)
        counted = [(batch, Counted.whole(batch)) for chain in chains for batch in chain.batches]
        write_rows(connection, namespace, worker, counted, began)

    try:
        transact(engine, count, attempts=1)
    except (_NotAll, DatabaseRefused):
        return False
    return True
