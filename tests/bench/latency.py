"""How long a like takes while a flush runs, against how long it takes otherwise.

Redis and who likes have one core, the worker and the database another: else the figure tells who else uses the cores.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench import liker
from tests.bench.cpu import keep_on
from tests.bench.figure import Figure, at_most
from tests.bench.percentile import percentile
from tests.bench.report import progress
from tests.bench.stand import Stand
from tests.bench.traffic import deltas

IDLE_SECONDS = 4


def measure(stand: Stand) -> list[Figure]:
    """The p99 of a like, in milliseconds: idle, in a flush, idle …; none where there is one core."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        progress("like: skipped, as it takes two cores")
        return []
    servers = {stand.redis.pid: cores[0], stand.postgres.pid: cores[1], os.getpid(): cores[1]}
    try:
        for pid, core in servers.items():
            keep_on({core}, pid)
        return [_figure(stand, cores[0])]
    finally:
        for pid in servers:
            keep_on(cores, pid)


def _figure(stand: Stand, core: int) -> Figure:
    idle, busy = [], []
    for number in range(stand.rounds):
        with stand.database() as database, stand.flusher(database) as flusher:
            with likes_going_on(stand, core) as likes:
                time.sleep(IDLE_SECONDS)
            idle.append(percentile(99, likes))
            stand.post(deltas(stand.items, seed=number))
            with likes_going_on(stand, core) as likes:
                flusher.flush()
            busy.append(percentile(99, likes))
        progress(f"like: p99 {idle[-1]:.2f} ms idle, {busy[-1]:.2f} ms in a flush")
    what = f"a like while {stand.items:,} items are flushed, against idle, p99"
    note = (
        f"LikeCounter.like in a process of its own, {liker.THREADS} threads,"
        f" {liker.LIKES_A_SECOND} a second in all at random moments;"
        " Redis and this process on one core, the worker and PostgreSQL on another"
    )
    return Figure(what, "ms", busy, at_most(3), baseline=idle, note=note)


@contextmanager
def likes_going_on(stand: Stand, core: int) -> Iterator[list[float]]:
    """Another process likes until the block ends; then the list holds how long each like took, in milliseconds."""
    took: list[float] = []
    with subprocess.Popen(
        [sys.executable, "-m", liker.__name__, stand.redis.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        keep_on({core}, process.pid)
        assert process.stdout
        process.stdout.readline()  # it is up
        yield took
        out, _ = process.communicate()
    took += json.loads(out)
