"""A live total is true at some moment during the read, whatever a flush does between any two calls of its reader."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import count

import pytest
from sqlalchemy import Engine

from likes.buffer.links.link import Link
from likes.live.total import LiveTotal
from likes.member import member_of
from tests.rig import Rig
from tests.stepped_reader import SteppedRead, reader_on
from tests.stepping import SteppedWorker

MEMBER = member_of(b"a", b"likes")


@pytest.fixture
def rig(valkey_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, sqlite_engine) as rig:
        yield rig


@pytest.fixture
def link(rig: Rig) -> Iterator[Link]:
    with closing(rig.places.open_link()) as link:
        yield link


def calls_of_a_flush(rig: Rig) -> int:
    """How many calls an ordinary flush makes."""
    rig.likes.like("a", 5)
    with SteppedWorker(rig) as worker:
        for calls in count():
            if worker.at is None:
                return calls
            worker.step()
    raise AssertionError("unreachable")


def go_on(worker: SteppedWorker, calls: int) -> None:
    """Let the flush make so many calls, or fewer if it ends before."""
    for _ in range(calls):
        if worker.at is not None:
            worker.step()


def read(rig: Rig, link: Link, worker: SteppedWorker, *, pause: int, calls: int) -> tuple[LiveTotal, bool]:
    """A live total; before the reader's call number `pause` the worker makes `calls`. True if it came to that."""
    reading = SteppedRead(reader_on(rig.engine), link, {0: [MEMBER]})
    for number in count():
        if reading.is_over:
            return reading.finish(), number > pause
        if number == pause:
            go_on(worker, calls)
        reading.step()
    raise AssertionError("unreachable")


@pytest.mark.parametrize("is_cached", [False, True], ids=["missing", "cached"])
def test_a_live_total_never_dips_while_a_flush_goes_on(rig: Rig, link: Link, is_cached: bool) -> None:
    """The flush has made i calls when the read begins, and makes j more between any two calls of the reader."""
    rig.likes.like("a", 3)
    rig.flush()
    expected = 3 + 5
    whole = calls_of_a_flush(rig)
    for pause in count():
        got_there = False
        for i in range(whole):
            for j in range(1, whole + 1 - i):
                rig.likes.like("a", 5)
                expected += 5
                with SteppedWorker(rig) as worker:
                    go_on(worker, i)
                    if not is_cached:
                        rig.redis.delete(rig.key("total:likes:a"))
                    live, paused = read(rig, link, worker, pause=pause, calls=j)
                    assert (live.total, live.exact) == (expected, True), (pause, i, j, live)
                    worker.finish()
                got_there |= paused
        if not got_there:
            break
    assert pause > (2 if is_cached else 4)  # who it is, and a look; then a query, and a look
