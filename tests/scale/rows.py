"""What a flush costs PostgreSQL where `likes_totals` has many rows already."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from hashlib import md5

import psycopg

from tests.bench.cpu import cpu_of_all
from tests.bench.flushing import seconds_to_flush
from tests.bench.stand import Stand

FLUSHES = 4
_FILL = """
INSERT INTO likes_totals (counter, item, total, updated_at)
SELECT 'likes', 'video:' || left(md5(i::text), 15), 1, now() FROM generate_series(%s::int, %s::int) i
ON CONFLICT DO NOTHING
"""
_PARTITION = """
CREATE TABLE parted (LIKE likes_totals INCLUDING ALL EXCLUDING STORAGE) PARTITION BY HASH (item);
DROP TABLE likes_totals;
ALTER TABLE parted RENAME TO likes_totals
"""
_PART = """
CREATE TABLE likes_totals_{0} PARTITION OF likes_totals
FOR VALUES WITH (MODULUS {1}, REMAINDER {0}) WITH (fillfactor = 90)
"""
PARTS = 8
FILLED_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Written:
    """rows: in the table. flushed: rows of a flush, drawn at random. costs: microseconds a row of each whole flush.

    cpu: microseconds of PostgreSQL's CPU a row, each. hot: share of updates that touched no index. table, index: bytes
    at the end. vacuum: seconds of one at the end.
    """

    what: str
    rows: int
    flushed: int
    costs: list[float]
    cpu: list[float]
    hot: float
    table: int
    index: int
    vacuum: float


def write(stand: Stand, rows: int, flushed: int, *, parted: bool = False) -> Written:
    """Fill the table, then flush as many deltas of rows that are there, again and again."""
    with stand.database() as database, psycopg.connect(database, autocommit=True) as connection:
        if parted:
            connection.execute(_PARTITION)
            for part in range(PARTS):
                connection.execute(_PART.format(part, PARTS))
        for first in range(1, rows + 1, FILLED_AT_ONCE):
            connection.execute(_FILL, (first, min(first + FILLED_AT_ONCE - 1, rows)))
        connection.execute("VACUUM ANALYZE likes_totals")
        connection.execute("SELECT pg_stat_reset()")
        costs, cpu = [], []
        with stand.flusher(database) as flusher:
            for number in range(FLUSHES):
                chosen = random.Random(number).sample(range(1, rows + 1), flushed)
                names = {"video:" + md5(b"%d" % i).hexdigest()[:15]: 1 for i in chosen}
                before = cpu_of_all(stand.postgres.pid)
                costs.append(seconds_to_flush(stand, flusher, names.items(), len(names)) / len(names) * 1e6)
                cpu.append((cpu_of_all(stand.postgres.pid) - before) / len(names) * 1e6)
        began = time.perf_counter()
        connection.execute("VACUUM likes_totals")
        vacuum = time.perf_counter() - began
        table, index = _sizes(connection)
        what = f"{rows:,} rows" + (f" in {PARTS} hash partitions" if parted else "")
        return Written(what, rows, flushed, costs, cpu, _hot(connection), table, index, vacuum)


def _hot(connection: psycopg.Connection) -> float:
    connection.execute("SELECT pg_stat_force_next_flush()")
    counted = connection.execute(
        "SELECT sum(n_tup_hot_upd), sum(n_tup_upd) FROM pg_stat_user_tables WHERE relname LIKE 'likes_totals%'"
    ).fetchone()
    return float(counted[0] / counted[1]) if counted and counted[1] else 0.0


def _sizes(connection: psycopg.Connection) -> tuple[int, int]:
    found = connection.execute(
        "SELECT sum(pg_table_size(oid))::bigint, sum(pg_indexes_size(oid))::bigint FROM pg_class"
        " WHERE relname LIKE 'likes_totals%' AND relkind = 'r'"
    ).fetchone()
    return found or (0, 0)
