"""What rows of the ledger had added to which items before they were pruned: kept so that every item can be audited."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update

from likes.sql.contents import Entry
from likes.sql.fingerprint import Fingerprint
from likes.sql.tables import pruned


@dataclass(slots=True)
class Pruned:
    """Rows that are gone: how many, how many of them kept no batch, and what the others had added."""

    batches: int = 0
    unknown: int = 0
    sums: Fingerprint = field(default_factory=Fingerprint)
    is_stored: bool = False

    def fold(self, deltas: Iterable[Entry] | None) -> None:
        """Add what a row had added; None where it kept no batch."""
        if deltas is None:
            self.unknown += 1
        else:
            self.sums.fold(deltas)


_ROW: Select[Any] = select(pruned.c.batches, pruned.c.unknown, pruned.c.fingerprint)


def lock(connection: Connection, namespace: str) -> Pruned:
    """That of a namespace; of two who prune at once, one has to wait here for the other."""
    row = connection.execute(_ROW.where(pruned.c.namespace == namespace).with_for_update()).one_or_none()
    return Pruned() if row is None else Pruned(row.batches, row.unknown, Fingerprint(row.fingerprint), is_stored=True)


def store(connection: Connection, namespace: str, gone: Pruned) -> None:
    """Write it down, after `lock`."""
    values: dict[str, Any] = {
        "batches": gone.batches,
        "unknown": gone.unknown,
        "fingerprint": gone.sums.pack(),
        "updated_at": datetime.now(UTC),
    }
    if gone.is_stored:
        connection.execute(update(pruned).where(pruned.c.namespace == namespace).values(**values))
    else:
        connection.execute(insert(pruned).values(namespace=namespace, **values))


def read_all(connection: Connection) -> Pruned:
    """That of all namespaces together."""
    every = Pruned()
    for row in connection.execute(_ROW):
        every.batches += row.batches
        every.unknown += row.unknown
        every.sums += Fingerprint(row.fingerprint)
    return every
