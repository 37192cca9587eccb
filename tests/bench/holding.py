"""How long one script holds Redis, during which it does nothing else: by the server's own slow log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from likes.buffer import scripts
from likes.buffer.calls import Script
from tests.bench.figure import Figure, at_most
from tests.bench.percentile import percentile
from tests.bench.report import progress
from tests.bench.stand import Stand
from tests.bench.traffic import crowd, deltas

SCRIPTS = {script.sha: script.name for script in vars(scripts).values() if isinstance(script, Script)}
PAUSE_SECONDS = 0.02  # between batches of posts


def measure(stand: Stand) -> list[Figure]:
    """The p99 of the slowest script, in milliseconds, while a flush runs and likes are posted."""
    held = _held(stand)
    p99 = {name: percentile(99, times) for name, times in held.items()}
    slowest = max(p99, key=p99.__getitem__)
    progress("hold: " + ", ".join(f"{name} {p99[name]:.2f} ms" for name in sorted(p99)))
    note = (
        f"{slowest}, of {len(held[slowest]):,} calls the longest {max(held[slowest]):.2f} ms;"
        f" {stand.items:,} items flushed while batches of 1,000 are posted"
    )
    return [Figure("a script holds Redis, p99 of the slowest one", "ms", [p99[slowest]], at_most(2), note=note)]


def _held(stand: Stand) -> dict[str, list[float]]:
    """Script -> how long each of its calls took, in milliseconds."""
    with stand.database() as database, stand.flusher(database) as flusher:
        stand.post(deltas(stand.items, seed=0))
        with stand.client() as client:
            client.config_set("slowlog-max-len", 10_000_000)
            client.config_set("slowlog-log-slower-than", 0)
            client.slowlog_reset()
            with _posting(stand):
                flusher.flush()
            client.config_set("slowlog-log-slower-than", -1)
            entries = client.slowlog_get(-1)
            client.slowlog_reset()
    return _by_script(entries)


def _by_script(entries: list[dict[str, Any]]) -> dict[str, list[float]]:
    held: dict[str, list[float]] = {}
    for entry in entries:
        command, *words = entry["command"].split(maxsplit=2)
        if command == b"EVALSHA":
            held.setdefault(SCRIPTS[words[0].decode()], []).append(entry["duration"] / 1000)
    return held


@contextmanager
def _posting(stand: Stand) -> Iterator[None]:
    """Posts go on, at a pace that leaves room for others, until the block ends."""
    done = Event()

    def post() -> None:
        with stand.counter() as likes:
            for batch in crowd(stand.items, seed=1):
                likes.add(batch)
                if done.wait(PAUSE_SECONDS):
                    return

    thread = Thread(target=post)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
