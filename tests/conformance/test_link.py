"""What a link promises: replies in order, each its call's, and never so much under way that others wait for long."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from threading import Thread
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
from likes.buffer.refusals import NotSent
from likes.connect import Places
from likes.errors import RedisRefused
from likes.member import member_of
from tests.servers import free_port
from tests.waiting import wait_until

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
        owner="o",
    )
    watch = Watch()
    assert send(valkey_url, [hand_off, hand_off, command("ECHO", "a"), hand_off], watch) == [None, None, b"a", None]
    assert watch.most == 2  # the last two


# What is not answered as asked.


def ask_with_threads(url: str, calls: Calls) -> list[Any]:
    with closing(Places(url, None, None, 5, 5).open_link()) as link:
        return link.send(calls)


def ask_with_asyncio(url: str, calls: Calls) -> list[Any]:
    async def work() -> list[Any]:
        link = Places(url, None, None, 5, 5).open_async_link()
        try:
            return await link.send(calls)
        finally:
            await link.close()

    return asyncio.run(work())


@pytest.mark.parametrize("ask", [ask_with_threads, ask_with_asyncio])
def test_an_error_is_the_answer_to_its_call_alone(valkey_url: str, ask: Callable[[str, Calls], list[Any]]) -> None:
    refused, answered = ask(valkey_url, [command("NONSENSE"), command("ECHO", "mine")])
    assert isinstance(refused, RedisRefused)
    assert answered == b"mine"


@pytest.mark.parametrize("ask", [ask_with_threads, ask_with_asyncio])
def test_without_a_server_nothing_was_sent(ask: Callable[[str, Calls], list[Any]]) -> None:
    replies = ask(f"redis://127.0.0.1:{free_port()}", [command("PING"), command("PING")])
    assert [type(reply) for reply in replies] == [NotSent, NotSent]


# A round trip that is broken off leaves no reply behind, which the next call would take for its own.

ANSWERED_LATE = command("BLPOP", "nothing", 2)  # after the next call was sent


@pytest.fixture
def is_waited_for(valkey_url: str) -> Iterator[Callable[[], None]]:
    """Returns once a connection waits for the late answer."""
    with redis.Redis.from_url(valkey_url) as admin:
        yield lambda: wait_until(lambda: any(client["cmd"] == "blpop" for client in admin.client_list()))


class SoftTimeLimit(Exception):
    """What an application's own signal handler raises."""


@contextmanager
def interrupted_after(condition: Callable[[], None]) -> Iterator[None]:
    """A signal handler raises SoftTimeLimit within the block, once `condition` has returned."""

    def limit(*_: object) -> None:
        raise SoftTimeLimit

    def interrupt() -> None:
        condition()
        os.kill(os.getpid(), signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, limit)
    interrupting = Thread(target=interrupt)
    interrupting.start()
    try:
        yield
    finally:
        interrupting.join()
        signal.signal(signal.SIGALRM, before)


def test_a_round_trip_broken_off_by_a_signal_leaves_no_reply_behind(
    valkey_url: str, is_waited_for: Callable[[], None]
) -> None:
    with closing(Places(valkey_url, None, None, 5, 5).open_link()) as link:
        with pytest.raises(SoftTimeLimit), interrupted_after(is_waited_for):
            link.send([ANSWERED_LATE])
        assert link.send([command("ECHO", "mine")]) == [b"mine"]


def test_a_round_trip_broken_off_by_a_cancelled_task_leaves_no_reply_behind(
    valkey_url: str, is_waited_for: Callable[[], None]
) -> None:
    async def main() -> None:
        link = Places(valkey_url, None, None, 5, 5).open_async_link()
        task = asyncio.create_task(link.send([ANSWERED_LATE]))
        await asyncio.to_thread(is_waited_for)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await link.send([command("ECHO", "mine")]) == [b"mine"]
        await link.close()

    asyncio.run(main())
