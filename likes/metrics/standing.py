"""How things stand in Redis and SQL, looked at for a scrape: in a thread, and no more often than every few seconds.

A server that is away neither fails a scrape nor holds it: the latest look is waited for, for `WAIT_SECONDS`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Lock, Thread

from likes.metrics.tally import Snapshot

FRESH_SECONDS = 5.0
WAIT_SECONDS = 1.5
KEPT_SECONDS = 30.0  # an older look says nothing of now

LAST_FLUSH = "likes_last_flush_success_timestamp_seconds"


class Standing:
    """The figures that all processes share, as `look` sees them. For any number of threads."""

    def __init__(self, look: Callable[[], Snapshot], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._look = look
        self._clock = clock
        self._lock = Lock()
        self._looking: Future[None] | None = None
        self._looked_at: float | None = None
        self._seen: Snapshot = {LAST_FLUSH: {(): [0]}}

    def look(self) -> Future[None]:
        """Done once `figures` are fresh: the look under way, or a new one if the last was a while ago."""
        with self._lock:
            if self._looking is None or (self._looking.done() and self._age() >= FRESH_SECONDS):
                self._looking = Future()
                Thread(target=self._run, args=(self._looking,), name="likes-standing", daemon=True).start()
            return self._looking

    def wait(self) -> Snapshot:
        """`figures`, once they are fresh, or after `WAIT_SECONDS`."""
        with suppress(TimeoutError):
            self.look().result(WAIT_SECONDS)
        return self.figures()

    def figures(self) -> Snapshot:
        """As last seen; if that was long ago, only when the last flush was, which alerts go by."""
        return self._seen if self._age() < KEPT_SECONDS else {LAST_FLUSH: self._seen[LAST_FLUSH]}

    def _age(self) -> float:
        return float("inf") if self._looked_at is None else self._clock() - self._looked_at

    def _run(self, looking: Future[None]) -> None:
        try:
            seen = {LAST_FLUSH: self._seen[LAST_FLUSH], **self._look()}
            self._seen, self._looked_at = seen, self._clock()
        finally:  # what is raised is logged, as of any thread
            looking.set_result(None)
