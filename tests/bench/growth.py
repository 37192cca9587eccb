"""Whether an item costs more when more are pending."""

from __future__ import annotations

from statistics import median

from tests.bench.figure import Figure, at_most
from tests.bench.flushing import seconds_to_flush
from tests.bench.report import progress
from tests.bench.stand import Stand
from tests.bench.traffic import deltas

FEW = 10_000
FLUSHES_OF_FEW = 5  # of a round: one takes a tenth of a second


def measure(stand: Stand) -> list[Figure]:
    """Microseconds an item, each flush into an empty table."""
    few, many = [], []
    for number in range(stand.rounds):
        few.append(median(_cost(stand, FEW, seed) for seed in range(number, number + FLUSHES_OF_FEW)))
        many.append(_cost(stand, stand.items, number))
        progress(f"growth: {few[-1]:.2f} µs an item with {FEW:,} pending, {many[-1]:.2f} with {stand.items:,}")
    figures = [Figure(_what(stand.items), "µs", many, at_most(1.3), baseline=few, note="a flush, per item")]
    if stand.largest:
        most = _cost(stand, stand.largest, seed=0)
        figures.append(Figure(_what(stand.largest), "µs", [most], at_most(1.3), baseline=[median(few)]))
    return figures


def _cost(stand: Stand, count: int, seed: int) -> float:
    with stand.database() as database, stand.flusher(database) as flusher:
        return seconds_to_flush(stand, flusher, deltas(count, seed), count) / count * 1e6


def _what(count: int) -> str:
    return f"cost per item, {count:,} pending against {FEW:,}"
