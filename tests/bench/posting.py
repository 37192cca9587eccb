"""Posting with `LikeCounter.add`, which counts exactly once, against a pipeline of INCRBY, which does not."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from tests.bench import baselines
from tests.bench.figure import Figure, at_least
from tests.bench.report import progress
from tests.bench.stand import Stand, seconds_of
from tests.bench.traffic import ITEMS_A_BATCH, Batches, crowd

BATCHES = 200


def measure(stand: Stand) -> list[Figure]:
    """Items a second, each side beginning with an empty Redis."""
    ours, theirs = [], []
    traffic = crowd(stand.items, seed=0)
    for _ in range(2 * stand.rounds):
        liked = list(islice(traffic, BATCHES))
        ours.append(_rate(stand, _add, liked))
        theirs.append(_rate(stand, _increment, liked))
        progress(f"post: add {ours[-1]:,.0f} items/s, pipeline {theirs[-1]:,.0f} items/s")
    return [
        Figure(
            "posting with add, against a pipeline of INCRBY",
            "items/s",
            ours,
            at_least(1.8),
            baseline=theirs,
            note=f"one process, {BATCHES} batches of {ITEMS_A_BATCH:,} different items a round, drawn by Zipf's law"
            f" (exponent 1) from {stand.items:,}; redis-py's pipeline(transaction=False) with the same batches",
        )
    ]


def _rate(stand: Stand, post: Callable[[Stand, Batches], float], liked: Batches) -> float:
    stand.empty_redis()
    return sum(map(len, liked)) / post(stand, liked)


def _add(stand: Stand, liked: Batches) -> float:
    with stand.counter() as likes:
        likes.add({"warm-up": 1})

        def add_all() -> None:
            for batch in liked:
                likes.add(batch)

        return seconds_of(add_all)


def _increment(stand: Stand, liked: Batches) -> float:
    with stand.client() as client:
        client.incr("warm-up")
        return seconds_of(lambda: baselines.increments(client, liked))
