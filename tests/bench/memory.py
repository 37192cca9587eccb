"""How much memory a worker takes, a process of its own."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.figure import Figure, at_most
from tests.bench.report import progress
from tests.bench.stand import Stand
from tests.bench.traffic import deltas
from tests.running_worker import Running
from tests.shell import Shell
from tests.waiting import wait_until

FEW = 100_000
PATIENCE_SECONDS = 600


def measure(stand: Stand) -> list[Figure]:
    """Peak MiB of `likes worker` by its end."""
    few, *more = (_peak(stand, count) for count in (FEW, stand.items, stand.largest) if count)
    figures = []
    for count, peak in zip((stand.items, stand.largest), more, strict=False):
        figures += [
            Figure(f"worker memory, {count:,} pending", "MiB", [peak], at_most(150)),
            Figure(
                f"worker memory, {count:,} pending against {FEW:,}",
                "MiB",
                [peak],
                at_most(1.1),
                baseline=[few],
                note="the most that `likes worker` had resident from its start to the end of the flush (VmHWM)",
            ),
        ]
    return figures


def _peak(stand: Stand, count: int) -> float:
    stand.empty_redis()
    stand.post(deltas(count, seed=count))
    with TemporaryDirectory() as folder, stand.database() as database:
        shell = Shell(Path(folder), redis_url=stand.redis.url, database_url=database)
        with Running(shell, "worker") as worker:  # from scratch: a fork has more loaded
            wait_until(lambda: worker.said("flushed") or worker.process.poll() is not None, timeout=PATIENCE_SECONDS)
            assert worker.said("flushed")[0]["items"] == count, worker.lines
            status = Path(f"/proc/{worker.process.pid}/status").read_text()
    peak = int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024
    progress(f"memory: {peak:.1f} MiB with {count:,} pending")
    return peak
