"""What one would write without this project: the other side of the comparisons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import psycopg
from redis import Redis

from tests.bench.traffic import batches

ROWS_A_TRANSACTION = 5000

_ONE_ROW = """
INSERT INTO likes_totals AS t (counter, item, total, updated_at) VALUES ('likes', %s, %s, now())
ON CONFLICT (counter, item) DO UPDATE SET total = t.total + excluded.total, updated_at = excluded.updated_at
"""
_MANY_ROWS = """
INSERT INTO likes_totals AS t (counter, item, total, updated_at)
SELECT 'likes', item, delta, now() FROM unnest(%s::text[], %s::bigint[]) AS added (item, delta)
ON CONFLICT (counter, item) DO UPDATE SET total = t.total + excluded.total, updated_at = excluded.updated_at
"""


def one_transaction_a_row(connection: psycopg.Connection, deltas: Mapping[str, int]) -> None:
    """A prepared upsert for each item; `connection` commits by itself, which saves a round trip."""
    for delta in deltas.items():
        connection.execute(_ONE_ROW, delta, prepare=True)


def unnest(connection: psycopg.Connection, deltas: Mapping[str, int]) -> None:
    """A prepared upsert of 5,000 sorted rows after the other, a transaction each."""
    for batch in batches(iter(deltas.items()), ROWS_A_TRANSACTION):
        items = sorted(batch)
        connection.execute(_MANY_ROWS, (items, [batch[item] for item in items]), prepare=True)


def increments(client: Redis, batches: Iterable[Mapping[str, int]]) -> None:
    """A pipeline of INCRBY for each batch: fast, and counted twice or not at all when a reply is lost."""
    for batch in batches:
        pipe = client.pipeline(transaction=False)
        for item, count in batch.items():
            pipe.incrby(f"likes:{item}", count)
        pipe.execute()
