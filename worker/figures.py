"""What a worker counts of its flushes, for Prometheus."""

from __future__ import annotations

from likes.counted import Counted
from likes.errors import DatabaseUnavailable, RedisUnavailable
from likes.metrics.families import OF_A_WORKER
from likes.metrics.tally import Tally

REASONS = ("redis", "database", "other")


class Figures:
    """Told of each flush, and of what keeps the worker from flushing. For the thread of the loop."""

    def __init__(self) -> None:
        self.tally = Tally(OF_A_WORKER)
        for name, values in {"likes_flush_failures_total": REASONS, "likes_notices_total": ("told", "failed")}.items():
            for value in values:
                self.tally.add(name, value, by=0)  # a rise from nothing at all is none to Prometheus

    def flush_took(self, seconds: float, counted: Counted) -> None:
        """A flush is over, done or not, and moved so much."""
        self.tally.timing("likes_flush_duration_seconds").observe(seconds)
        self.tally.add("likes_flushed_items_total", by=counted.items)
        self.tally.add("likes_flushed_batches_total", by=counted.batches)

    def failed(self, error: Exception) -> None:
        """A flush failed."""
        reasons = {RedisUnavailable: "redis", DatabaseUnavailable: "database"}
        reason = next((reason for away, reason in reasons.items() if isinstance(error, away)), "other")
        self.tally.add("likes_flush_failures_total", reason)

    def told(self, result: str) -> None:
        """Somebody was told of incidents or dead letters, or could not be: "told" or "failed". From any one thread."""
        self.tally.add("likes_notices_total", result)
