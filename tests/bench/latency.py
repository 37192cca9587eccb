"""How long a like takes while a flush runs, against how long it takes otherwise."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench import liker
from tests.bench.figure import Figure, at_most
from tests.bench.percentile import percentile
from tests.bench.report import progress
from tests.bench.stand import Stand
from tests.bench.traffic import deltas

IDLE_SECONDS = 4


def measure(stand: Stand) -> list[Figure]:
    """The p99 of a like, in milliseconds: idle, in a flush, idle …"""
    idle, busy = [], []
    for number in range(stand.rounds):
        with stand.database() as database, stand.flusher(database) as flusher:
            with likes_going_on(stand) as likes:
                time.sleep(IDLE_SECONDS)
            idle.append(percentile(99, likes))
            stand.post(deltas(stand.items, seed=number))
            with likes_going_on(stand) as likes:
                flusher.flush()
            busy.append(percentile(99, likes))
        progress(f"like: p99 {idle[-1]:.2f} ms idle, {busy[-1]:.2f} ms in a flush")
    what = f"a like while {stand.items:,} items are flushed, against idle, p99"
    note = (
        f"LikeCounter.like in a process of its own, {liker.THREADS} threads,"
        f" {liker.LIKES_A_SECOND} a second in all at random moments"
    )
    return [Figure(what, "ms", busy, at_most(3), baseline=idle, note=note)]


@contextmanager
def likes_going_on(stand: Stand) -> Iterator[list[float]]:
    """Another process likes until the block ends; then the list holds how long each like took, in milliseconds."""
    took: list[float] = []
    with subprocess.Popen(
        [sys.executable, "-m", liker.__name__, stand.redis.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()  # it is up
        yield took
        out, _ = process.communicate()
    took += json.loads(out)
