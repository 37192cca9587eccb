"""A process dies at any call of a write with an idempotency key; its repeat on another one counts it once."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Engine

from likes import AsyncLikeCounter
from likes.buffer.links.event_loop import EventLoopLink
from likes.errors import EntryRefused, OutcomeUnknown
from tests.rig import Rig

SURVIVED, DIED = 0, 42
BATCH = [(f"item:{n}", n, "likes") for n in range(1, 9)]
Write = Callable[[AsyncLikeCounter, bytes], Awaitable[object]]


async def like(likes: AsyncLikeCounter, key: bytes) -> None:
    assert await likes.like_once("a", 5, key=key) % 5 == 0


async def like_many(likes: AsyncLikeCounter, key: bytes) -> None:
    assert {*map(type, await likes.add_once(BATCH, key=key))} <= {int, type(None)}


@pytest.fixture
def rig(valkey_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, sqlite_engine, shards=3) as rig:
        yield rig


async def on_a_process_of_its_own(rig: Rig, write: Write, key: bytes) -> None:
    places = rig.places
    async with AsyncLikeCounter(redis_url=places.redis, database_url=places.database, shards=rig.shards) as likes:
        await write(likes, key)


def dies(rig: Rig, write: Write, key: bytes, moment: str, last: int) -> bool:
    """Write in a process that is gone before or after its round trip number `last`; False if it made fewer."""
    child = os.fork()
    if child == 0:
        calls, send = 0, EventLoopLink.send

        async def mortal(self: EventLoopLink, wanted: Sequence[Any], deadline: Any) -> list[Any]:
            nonlocal calls
            calls += 1
            if (calls, moment) == (last, "before"):
                os._exit(DIED)
            replies = await send(self, wanted, deadline)
            if (calls, moment) == (last, "after"):
                os._exit(DIED)
            return replies

        EventLoopLink.send = mortal  # type: ignore[method-assign]
        try:
            asyncio.run(on_a_process_of_its_own(rig, write, key))
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(SURVIVED)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (SURVIVED, DIED)
    return code == DIED


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    ("write", "once", "least"), [(like, {"a": 5}, 3), (like_many, {item: n for item, n, _ in BATCH}, 5)]
)
def test_a_repeat_counts_what_is_missing_and_nothing_twice(
    rig: Rig, moment: str, write: Write, once: dict[str, int], least: int
) -> None:
    for call in count(1):
        key = f"{moment} {call}".encode()
        died = dies(rig, write, key, moment, call)
        if call % 2:  # what it counted may be in SQL before it is repeated
            rig.flush()
        for _ in range(2):
            asyncio.run(on_a_process_of_its_own(rig, write, key))
        rig.flush()
        assert rig.totals() == {item: n * call for item, n in once.items()}, f"died {moment} call {call}"
        if not died:
            break
    assert call >= least


def test_where_redis_is_replaced_before_it_answers_every_repeat_says_that_nobody_can_tell(rig: Rig) -> None:
    """Also on a process that never knew the Redis before: else it would count once more what may be in SQL already."""
    send, outcomes = EventLoopLink.send, []

    async def main(likes: AsyncLikeCounter) -> None:
        async def replaced(self: EventLoopLink, wanted: Sequence[Any], deadline: Any) -> list[Any]:
            replies = await send(self, wanted, deadline)
            if any(call.script and call.script.name == "add_once" for call in wanted):
                EventLoopLink.send = send  # type: ignore[method-assign]
                rig.flush()
                rig.redis.flushall()
                rig.likes.like("another")
                return likes_unanswered(len(replies))
            return replies

        await likes.like_once("a", key=b"warm")
        EventLoopLink.send = replaced  # type: ignore[method-assign]
        try:
            with pytest.raises(OutcomeUnknown, match="compare the live total"):
                await likes.like_once("a", key=b"k")
        finally:
            EventLoopLink.send = send  # type: ignore[method-assign]

    async def repeat(likes: AsyncLikeCounter, key: bytes) -> None:
        with pytest.raises(OutcomeUnknown, match="compare the live total"):
            await likes.like_once("a", key=key)
        outcomes.append(await likes.like_once("a", key=b"another key"))

    asyncio.run(on_a_process_of_its_own(rig, lambda likes, _: main(likes), b""))
    for _ in range(2):
        asyncio.run(on_a_process_of_its_own(rig, repeat, b"k"))
    assert outcomes == [1, 1]
    rig.flush()
    assert rig.totals() == {"a": 3, "another": 1}


def test_what_was_refused_may_be_tried_again_though_its_first_reply_was_lost(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.likes.like("a")
    delta = next(key for key in rig.redis.scan_iter() if key.endswith(b":a"))
    rig.redis.delete(delta)
    rig.redis.rpush(delta, "x")
    send, lost = EventLoopLink.send, []

    async def loses_one(self: EventLoopLink, wanted: Sequence[Any], deadline: Any) -> list[Any]:
        replies = await send(self, wanted, deadline)
        if lost or not any(call.script and call.script.name == "add_once" for call in wanted):
            return replies
        lost.append(replies)
        return likes_unanswered(len(replies))

    async def main(likes: AsyncLikeCounter, key: bytes) -> None:
        monkeypatch.setattr(EventLoopLink, "send", loses_one)
        with pytest.raises(EntryRefused):
            await likes.like_once("a", key=key)
        assert lost
        rig.redis.delete(delta)
        assert await likes.like_once("a", key=key) == 1

    asyncio.run(on_a_process_of_its_own(rig, main, b"k"))


def likes_unanswered(number: int) -> list[Any]:
    from likes.buffer.refusals import Unanswered

    return [Unanswered("the connection broke") for _ in range(number)]
