"""What rows of the ledger added to which items, read from the batches that they keep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select

from likes.batch import Batch
from likes.deltas import Deltas
from likes.sql.letters import posted_item
from likes.sql.tables import batches, dead_letters

Entry = tuple[str, str, int]  # counter, item, delta
ROWS_AT_ONCE = 50  # payloads in memory


def read_contents(connection: Connection, *conditions: ColumnElement[bool]) -> Iterator[Iterable[Entry] | None]:
    """What each row added, None where it does not keep its batch; to be read to the end before anything else is asked.

    Of batches that were counted in part more comes at the end: what takes the rest off again.
    """
    row = batches.c
    columns = (row.namespace, row.shard, row.epoch, row.seq, row.nonce, row["items"], row.payload)
    rows: Select[Any] = select(*columns).where(*conditions)
    in_part: list[list[Any]] = []
    for *batch, items, payload in connection.execute(rows.execution_options(yield_per=ROWS_AT_ONCE)):
        deltas = deltas_in(payload)
        if deltas is None:
            yield None
            continue
        if len(deltas) != items:
            in_part.append(batch)
        yield zip(deltas.counters, deltas.items, deltas.numbers, strict=True)  # quicker than a Delta for each
    for batch in in_part:
        yield _refused(connection, batch)


def deltas_in(payload: bytes | None) -> Deltas | None:
    """The deltas of a batch as the ledger keeps it; None if it does not, or only a later version can read it."""
    try:
        return None if payload is None else Batch.unpack(payload).deltas
    except ValueError:
        return None


def _refused(connection: Connection, batch: Sequence[Any]) -> list[Entry]:
    """The entries of a counted batch that the database refused, as what takes them off again."""
    letter = dead_letters.c
    key = (letter.namespace, letter.shard, letter.epoch, letter.seq, letter.nonce)
    same = (column == value for column, value in zip(key, batch, strict=True))
    entries = select(letter.counter, letter.item, letter.delta, letter.raw).where(*same, letter.delta.is_not(None))
    return [
        (counter, posted_item(item, delta, raw), -delta) for counter, item, delta, raw in connection.execute(entries)
    ]
