"""A conversation with Redis written once, for threads and for asyncio.

Steps are a generator: it yields what it needs next and is sent the answer. `run` and `run_async` are the only two
places that wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple, TypeVar

from likes.buffer.calls import Call
from likes.buffer.links.link import AsyncLink, Link

T = TypeVar("T")


class Send(NamedTuple):
    """Wants a round trip; is sent a reply or a LikesError for each call."""

    calls: Sequence[Call[Any]]


class Query(NamedTuple):
    """Wants a blocking read of SQL; is sent its result."""

    read: Callable[[], Any]


class Pause(NamedTuple):
    """Wants to wait; is sent None."""

    seconds: float


Steps = Generator[Send | Query | Pause, Any, T]


def run(steps: Steps[T], link: Link) -> T:
    """Carry out `steps` in this thread."""
    answer: Any = None
    while True:
        try:
            need = steps.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
        match need:
            case Send(calls):
                answer = link.send(calls)
            case Query(read):
                answer = read()
            case Pause(seconds):
                time.sleep(seconds)
                answer = None


async def run_async(steps: Steps[T], link: AsyncLink) -> T:
    """Carry out `steps` in this event loop; SQL is read in a thread of its own."""
    answer: Any = None
    while True:
        try:
            need = steps.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
        match need:
            case Send(calls):
                answer = await link.send(calls)
            case Query(read):
                answer = await asyncio.to_thread(read)
            case Pause(seconds):
                await asyncio.sleep(seconds)
                answer = None
