"""A conversation with Redis written once, for threads and for asyncio.

Steps are a generator: it yields what it needs next and is sent the answer. `run` and `run_async` are the only two
places that wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

from likes.buffer.calls import Call
from likes.buffer.links.link import AsyncLink, Link
from likes.deadline import Deadline
from likes.errors import DatabaseUnavailable

T = TypeVar("T")


class Send(NamedTuple):
    """Wants a round trip; is sent a reply or a LikesError for each call."""

    calls: Sequence[Call[Any]]
    deadline: Deadline


class Query(NamedTuple):
    """Wants what another thread reads from SQL once it is `asked`; is sent the result, or a LikesError if none came in
    time.
    """

    ask: Callable[[], Future[Any]]
    deadline: Deadline


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
            case Send(calls, deadline):
                answer = link.send(calls, deadline)
            case Query(ask, deadline):
                try:
                    answer = wait_for(ask(), deadline)
                except DatabaseUnavailable as error:
                    answer = error
            case Pause(seconds):
                time.sleep(seconds)
                answer = None


async def run_async(steps: Steps[T], link: AsyncLink) -> T:
    """Carry out `steps` in this event loop."""
    answer: Any = None
    while True:
        try:
            need = steps.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
        match need:
            case Send(calls, deadline):
                answer = await link.send(calls, deadline)
            case Query(ask, deadline):
                try:
                    answer = await wait_for_async(ask(), deadline)
                except DatabaseUnavailable as error:
                    answer = error
            case Pause(seconds):
                await asyncio.sleep(seconds)
                answer = None


def wait_for(asked: Future[T], deadline: Deadline) -> T:
    """What was asked of the database; raises DatabaseUnavailable when it does not come in time."""
    try:
        return asked.result(deadline.left())
    except TimeoutError:
        asked.cancel()
        raise _no_answer() from None


async def wait_for_async(asked: Future[T], deadline: Deadline) -> T:
    """As `wait_for`, in an event loop."""
    try:
        async with asyncio.timeout(deadline.left()):
            return await asyncio.wrap_future(asked)
    except TimeoutError:
        raise _no_answer() from None


def _no_answer() -> DatabaseUnavailable:
    return DatabaseUnavailable("the database did not answer within the time-out of this call; likes are still accepted")
