"""The largest totals, without storming the database: totals have no index, so each question reads the whole table.

One question at a time in a process; those who ask meanwhile share its answer, which is kept for a few seconds: totals
change at flushes only.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

from likes.async_counter import AsyncLikeCounter
from likes.items import check_counter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likes.sql.totals import Total

KEPT_SECONDS = 5.0
MOST_KEPT = 64  # counters


class Read(NamedTuple):
    """What was read when, up to which rank."""

    at: float
    limit: int
    totals: Sequence[Total]


class Ranking:
    """Reads the largest totals with `likes`, in `timeout` seconds."""

    def __init__(self, likes: AsyncLikeCounter, timeout: float) -> None:
        self._likes = likes
        self._timeout = timeout
        self._one = asyncio.Lock()
        self._kept: dict[str, Read] = {}

    async def top(self, counter: str, limit: int) -> Sequence[Total]:
        """The `limit` largest totals of a counter, largest first; raises as `AsyncLikeCounter.top`."""
        check_counter(counter)
        if (kept := self._still(counter, limit)) is None:
            async with self._one:
                kept = self._still(counter, limit)
                if kept is None:
                    kept = await self._likes.top(limit, counter=counter, timeout=self._timeout)
                    self._keep(counter, Read(time.monotonic(), limit, kept))
        return kept[:limit]

    def _still(self, counter: str, limit: int) -> Sequence[Total] | None:
        read = self._kept.get(counter)
        fits = read is not None and read.limit >= limit and time.monotonic() - read.at < KEPT_SECONDS
        return read.totals if read and fits else None

    def _keep(self, counter: str, read: Read) -> None:
        self._kept.pop(counter, None)
        self._kept[counter] = read
        if len(self._kept) > MOST_KEPT:
            del self._kept[next(iter(self._kept))]
