"""Readers, writers, flushes and deaths interleave: every total read was true at some moment of its read.

Nobody takes a like back here, so a total is true if it lies between what was posted when the read began and what was
posted when it ended. Totals are cached, evicted and filled meanwhile, by two processes that read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from likes.buffer.links.link import Link
from likes.live.reading import Reader
from likes.live.total import LiveTotal
from likes.member import member_of
from tests.rig import Rig
from tests.stepped_reader import SteppedRead, reader_on
from tests.stepping import SteppedWorker

MEMBER = member_of(b"a", b"likes")

ACTIONS = st.sampled_from(
    [
        *["like", "another"] * 2,
        *["work 0", "work 1"] * 6,
        "die 0",
        "die 1",
        *["read 0", "read 1", "read 2"] * 4,
        "evict",
    ]
)


class History:
    """What happens, one call after the other: two workers, and three reads at a time of two processes."""

    def __init__(self, rig: Rig, link: Link) -> None:
        self.rig = rig
        self.link = link
        self.posted = 0
        self.readers: list[Reader] = [reader_on(rig.engine), reader_on(rig.engine)]
        self.reads: dict[int, tuple[SteppedRead, int]] = {}
        self.workers: dict[int, SteppedWorker] = {}

    def act(self, action: str) -> None:
        name, _, number = action.partition(" ")
        getattr(self, name)(*([int(number)] if number else []))

    def like(self) -> None:
        self.rig.likes.like("a")
        self.posted += 1

    def another(self) -> None:
        self.rig.likes.like("b")

    def evict(self) -> None:
        self.rig.redis.delete(self.rig.key("total:likes:a"))

    def work(self, number: int) -> None:
        worker = self.workers.get(number)
        if worker is None or worker.at is None:
            self.workers[number] = SteppedWorker(self.rig)
        else:
            worker.step()

    def die(self, number: int) -> None:
        if (worker := self.workers.pop(number, None)) and worker.at is not None:
            worker.kill()

    def read(self, number: int) -> None:
        read, before = self.reads.pop(number, (None, self.posted))
        if read is None:
            read = SteppedRead(self.readers[number % 2], self.link, {0: [MEMBER]})
        else:
            read.step()
        if read.is_over:
            (total,) = read.found.values()
            assert isinstance(total, LiveTotal) and total.exact, total
            assert before <= total.total <= self.posted
        else:
            self.reads[number] = read, before

    def end(self) -> None:
        for number in [*self.workers]:
            self.die(number)
        for number in [*self.reads]:
            while number in self.reads:
                self.read(number)


@pytest.fixture
def rig(valkey_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, sqlite_engine, batch_items=1) as rig:
        yield rig


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # a history begins where the last one ended
@given(actions=st.lists(ACTIONS, min_size=30, max_size=150))
def test_every_live_total_was_true_at_some_moment_of_its_read(rig: Rig, actions: list[str]) -> None:
    rig.flush()
    with ExitStack() as stack:
        history = History(rig, stack.enter_context(closing(rig.places.open_link())))
        before = rig.likes.total("a")
        history.posted = before
        try:
            for action in actions:
                history.act(action)
        finally:
            history.end()
