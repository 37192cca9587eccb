"""A live total is true at some moment during the read, whatever a flush does between any two calls of its reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from functools import partial
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Engine

from likes.buffer.links.link import Link
from likes.deadline import Deadline
from likes.live.reading import Known, LiveTotal, Reader
from likes.member import member_of
from likes.posting.steps import Query, Send
from likes.sql.totals import KnownTotals
from tests.rig import Rig
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
    steps = Reader("likes", partial(at_once, KnownTotals(rig.engine, "likes"))).live({0: [MEMBER]}, Deadline(60))
    answer = None
    for number in count():
        try:
            need = steps.send(answer)
        except StopIteration as end:
            return end.value[MEMBER], number > pause
        if number == pause:
            go_on(worker, calls)
        match need:
            case Send(wanted, deadline):
                answer = link.send(wanted, deadline)
            case Query(ask, _):
                answer = ask().result()
    raise AssertionError("unreachable")


def at_once(read: Callable[..., Known], *arguments: Any) -> Future[Known]:
    """Reads in this thread."""
    read_it: Future[Known] = Future()
    read_it.set_result(read(*arguments))
    return read_it


def test_a_live_total_never_dips_while_a_flush_goes_on(rig: Rig, link: Link) -> None:
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
                    live, paused = read(rig, link, worker, pause=pause, calls=j)
                    assert (live.total, live.exact) == (expected, True), (pause, i, j, live)
                    worker.finish()
                got_there |= paused
        if not got_there:
            break
    assert pause > 5  # two looks with a query in between, at least twice
