"""What a link promises: replies in order, and never so much under way that other clients have to wait for long."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import pytest
import redis.asyncio

from likes.batch import Place
from likes.buffer import scripts
from likes.buffer.calls import Call, command
from likes.buffer.keys import epoch_keys
from likes.buffer.links.blocking import BlockingLink
from likes.buffer.links.event_loop import EventLoopLink
from likes.buffer.links.window import BYTES_UNDER_WAY
from likes.member import member_of

Calls = Sequence[Call[Any]]


class Watch:
    """The requests of a connection that were not answered yet; `most`: how many there were at one time."""

    def __init__(self) -> None:
        self.under_way = 0
        self.most = 0

    def sent(self, requests: Sequence[bytes]) -> None:
        self.under_way += len(requests)
        self.most = max(self.most, self.under_way)

    def answered(self) -> None:
        self.under_way -= 1


def send(url: str, calls: Calls, watch: Watch) -> list[Any]:
    class Watched(redis.Connection):
        def send_packed_command(self, command: Any, check_health: bool = True) -> None:
            watch.sent(command)
            super().send_packed_command(command, check_health)

        def read_response(self, *arguments: Any, **options: Any) -> Any:
            watch.answered()
            return super().read_response(*arguments, **options)

    pool = redis.ConnectionPool.from_url(url, connection_class=Watched)
    link = BlockingLink(pool, "here")
    link.send(calls[:1])  # opens the connection, which takes requests of its own
    watch.most = watch.under_way = 0
    replies = link.send(calls)
    link.close()
    return replies


def send_async(url: str, calls: Calls, watch: Watch) -> list[Any]:
    class Watched(redis.asyncio.Connection):
        async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
            watch.sent(command)
            await super().send_packed_command(command, check_health)

        async def read_response(self, *arguments: Any, **options: Any) -> Any:
            watch.answered()
            return await super().read_response(*arguments, **options)

    async def work() -> list[Any]:
        link = EventLoopLink(redis.asyncio.ConnectionPool.from_url(url, connection_class=Watched), "here")
        await link.send(calls[:1])
        watch.most = watch.under_way = 0
        replies = await link.send(calls)
        await link.close()
        return replies

    return asyncio.run(work())


@pytest.mark.parametrize("send", [send, send_async])
@pytest.mark.parametrize(("length", "under_way"), [(20, 100), (BYTES_UNDER_WAY // 4, 3), (2 * BYTES_UNDER_WAY, 1)])
def test_what_is_under_way_is_bounded(
    valkey_url: str, send: Callable[[str, Calls, Watch], list[Any]], length: int, under_way: int
) -> None:
    texts = [str(number).encode().ljust(length, b".") for number in range(100)]
    watch = Watch()
    assert send(valkey_url, [command("ECHO", text) for text in texts], watch) == texts
    assert watch.most == under_way
    assert watch.under_way == 0


@pytest.mark.parametrize("send", [send, send_async])
def test_nothing_is_sent_behind_a_hand_off_before_it_is_answered(
    valkey_url: str, send: Callable[[str, Calls, Watch], list[Any]]
) -> None:
    hand_off = scripts.hand_off(
        epoch_keys("likes", 0, "e"),
        after=Place("e", 0, "not the one"),
        fresh_nonce="n",
        now=0,
        head=[member_of(b"a", b"likes")],
        in_flight=0,
        next_head=0,
        pending_since=None,
    )
    watch = Watch()
    assert send(valkey_url, [hand_off, hand_off, command("ECHO", "a"), hand_off], watch) == [None, None, b"a", None]
    assert watch.most == 2  # the last two


WAIT_FOR_EVER = command("BLPOP", "nothing is here", 0)


class TimeIsUpError(Exception):
    """Raised by the application itself, in the middle of a round trip."""


def test_a_call_broken_off_by_a_signal_leaves_no_reply_behind(valkey_url: str) -> None:
    def raise_it(*_: object) -> None:
        raise TimeIsUpError

    with closing(BlockingLink(redis.ConnectionPool.from_url(valkey_url), "here")) as link:
        assert link.send([command("ECHO", "a")]) == [b"a"]
        before = signal.signal(signal.SIGALRM, raise_it)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        try:
            with pytest.raises(TimeIsUpError):
                link.send([command("ECHO", "b"), WAIT_FOR_EVER])
        finally:
            signal.signal(signal.SIGALRM, before)
        assert link.send([command("ECHO", "c")]) == [b"c"]


def test_a_call_given_up_by_its_task_leaves_no_reply_behind(valkey_url: str) -> None:
    async def work() -> None:
        link = EventLoopLink(redis.asyncio.ConnectionPool.from_url(valkey_url), "here")
        assert await link.send([command("ECHO", "a")]) == [b"a"]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(link.send([command("ECHO", "b"), WAIT_FOR_EVER]), 0.1)
        assert await link.send([command("ECHO", "c")]) == [b"c"]
        await link.close()

    asyncio.run(work())
