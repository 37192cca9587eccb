"""Flushing to PostgreSQL, the whole cycle, against writing the same rows by hand."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import islice

import psycopg

from tests.bench import baselines
from tests.bench.figure import Figure, at_least
from tests.bench.report import progress
from tests.bench.stand import Stand, seconds_of
from tests.bench.traffic import deltas
from worker.flush import Flusher

SINGLE_ROWS = 7000  # of a round: all of them would take ten minutes


def measure(stand: Stand) -> list[Figure]:
    """Rows a second."""
    rates: dict[str, list[float]] = defaultdict(list)
    for number in range(stand.rounds):
        for way, rate in _round(stand, number).items():
            rates[way].append(rate)
        progress("flush: " + ", ".join(f"{way} {rate[-1]:,.0f} rows/s" for way, rate in rates.items()))
    of_single = f"{SINGLE_ROWS:,} rows a round one by one, against all {stand.items:,}; new rows on both sides"
    of_unnest = (
        "hand-off, apply and acknowledge by two threads, against psycopg alone on one connection;"
        " sorted on both sides; a transaction has 1,000 rows there, up to 8,000 here"
    )
    return [
        _figure("flush, against one transaction a row", 60, rates["flush"], rates["single"], of_single),
        _figure("flush, rows new, against bare unnest", 1.2, rates["flush"], rates["unnest"], of_unnest),
        _figure("flush, rows there, against bare unnest", 1.2, rates["flush again"], rates["unnest again"]),
    ]


def _figure(what: str, times: float, ours: list[float], theirs: list[float], note: str = "") -> Figure:
    return Figure(what, "rows/s", ours, at_least(times), baseline=theirs, note=note)


def _round(stand: Stand, seed: int) -> dict[str, float]:
    """Way -> rows a second, into an empty table and then `again` into the table with these rows."""
    posted = dict(deltas(stand.items, seed))
    rates = {}
    with stand.database() as ours, stand.flusher(ours) as flusher, stand.database() as theirs:
        for again in ("", " again"):
            rates["flush" + again] = len(posted) / seconds_to_flush(stand, flusher, posted.items(), len(posted))
            rates["unnest" + again] = _by_hand(stand, theirs, baselines.unnest, posted)
    with stand.database() as theirs:
        sample = dict(islice(posted.items(), SINGLE_ROWS))
        rates["single"] = _by_hand(stand, theirs, baselines.one_transaction_a_row, sample)
    return rates


def seconds_to_flush(stand: Stand, flusher: Flusher, posted: Iterable[tuple[str, int]], count: int) -> float:
    """How long the flush of `count` items takes, once they are pending."""
    stand.post(posted)
    began = time.perf_counter()
    flushed = flusher.flush()
    seconds = time.perf_counter() - began
    assert flushed.items == count, flushed
    return seconds


Way = Callable[[psycopg.Connection, Mapping[str, int]], None]


def _by_hand(stand: Stand, database: str, write: Way, posted: Mapping[str, int]) -> float:
    with psycopg.connect(database, autocommit=True) as connection:
        stand.checkpoint()
        return len(posted) / seconds_of(lambda: write(connection, posted))
