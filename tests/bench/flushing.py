"""Flushing to PostgreSQL, the whole cycle, against writing the same rows by hand: rows a second, and CPU a row."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import NamedTuple

import psycopg

from tests.bench import baselines
from tests.bench.cpu import TICK, cpu_of, cpu_of_all
from tests.bench.figure import Figure, Limit, at_least, at_most
from tests.bench.report import progress
from tests.bench.stand import Stand, seconds_of
from tests.bench.traffic import deltas
from worker.flush import Flusher

SINGLE_ROWS = 7000  # of a round: all of them would take ten minutes


class Cost(NamedTuple):
    """rate: rows a second. cpu: microseconds a row, of all processes; of PostgreSQL alone where nobody else is due."""

    rate: float
    cpu: float


def measure(stand: Stand) -> list[Figure]:
    """A round after the other, each side beginning with an empty table."""
    costs: dict[str, list[Cost]] = defaultdict(list)
    for number in range(stand.rounds):
        for way, cost in _round(stand, number).items():
            costs[way].append(cost)
        progress("flush: " + ", ".join(f"{way} {each[-1].rate:,.0f} rows/s" for way, each in costs.items()))
    of_single = f"{SINGLE_ROWS:,} rows a round one by one, against all {stand.items:,}; new rows on both sides"
    of_unnest = (
        "hand-off, apply and acknowledge by two threads, against psycopg alone on one connection; sorted on both"
        f" sides; a transaction has {baselines.ROWS_A_TRANSACTION:,} rows there, up to 8,000 here"
    )
    of_cpu = "Redis, the worker and PostgreSQL together, against PostgreSQL alone"
    return [
        _rates("flush, rows there, against bare unnest", 1.1, costs["flush again"], costs["unnest again"], of_unnest),
        _rates("flush, rows new, against bare unnest", 1.0, costs["flush"], costs["unnest"]),
        _cpu("flush, rows there: CPU of all", 1.5, costs["flush again"], costs["unnest again"], of_cpu),
        _cpu("flush, rows new: CPU of all", 1.7, costs["flush"], costs["unnest"]),
        _rates("flush, against one transaction a row", 25, costs["flush"], costs["single"], of_single),
    ]


def _rates(what: str, times: float, ours: list[Cost], theirs: list[Cost], note: str = "") -> Figure:
    rates = [[cost.rate for cost in side] for side in (ours, theirs)]
    return Figure(what, "rows/s", rates[0], at_least(times), baseline=rates[1], note=note)


def _cpu(what: str, times: float, ours: list[Cost], theirs: list[Cost], note: str = "") -> Figure:
    limit: Limit = at_most(times)
    costs = [[cost.cpu for cost in side] for side in (ours, theirs)]
    return Figure(what, "µs", costs[0], limit, baseline=costs[1], note=note)


def _round(stand: Stand, seed: int) -> dict[str, Cost]:
    """Way -> its cost, into an empty table and then `again` into the table with these rows."""
    posted = dict(deltas(stand.items, seed))
    costs = {}
    with stand.database() as ours, stand.flusher(ours) as flusher, stand.database() as theirs:
        for again in ("", " again"):
            costs["flush" + again] = _flushed(stand, flusher, posted)
            costs["unnest" + again] = _by_hand(stand, theirs, baselines.unnest, posted)
    with stand.database() as theirs:
        sample = dict(islice(posted.items(), SINGLE_ROWS))
        costs["single"] = _by_hand(stand, theirs, baselines.one_transaction_a_row, sample)
    return costs


def _flushed(stand: Stand, flusher: Flusher, posted: Mapping[str, int]) -> Cost:
    stand.post(posted.items())
    before = time.process_time() + cpu_of([stand.redis.pid]) + cpu_of_all(stand.postgres.pid)
    seconds = _seconds_of_flush(flusher, len(posted))
    used = time.process_time() + cpu_of([stand.redis.pid]) + cpu_of_all(stand.postgres.pid) - before
    return _cost(len(posted), seconds, used)


def _cost(rows: int, seconds: float, cpu: float) -> Cost:
    return Cost(rows / seconds, max(cpu, TICK) / rows * 1e6)


def seconds_to_flush(stand: Stand, flusher: Flusher, posted: Iterable[tuple[str, int]], count: int) -> float:
    """How long the flush of `count` items takes, once they are pending."""
    stand.post(posted)
    return _seconds_of_flush(flusher, count)


def _seconds_of_flush(flusher: Flusher, count: int) -> float:
    began = time.perf_counter()
    flushed = flusher.flush()
    seconds = time.perf_counter() - began
    assert flushed.items == count, flushed
    return seconds


Way = Callable[[psycopg.Connection, Mapping[str, int]], None]


def _by_hand(stand: Stand, database: str, write: Way, posted: Mapping[str, int]) -> Cost:
    with psycopg.connect(database, autocommit=True) as connection:
        stand.checkpoint()
        before = cpu_of_all(stand.postgres.pid)
        seconds = seconds_of(lambda: write(connection, posted))
        used = cpu_of_all(stand.postgres.pid) - before
    return _cost(len(posted), seconds, used)
