"""Random histories on a real Redis and a real database: nothing is counted twice, nothing is lost without a fault.

Every like is a token: token t likes an item 4^t times, so that the digits of a total, written to base 4, say how often
each token was counted. What was accepted, and what a fault or an unknown outcome excuses, is kept beside it in sets.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine

from likes.batch import Batch
from likes.buffer.calls import Call
from likes.buffer.keys import epoch_keys
from likes.buffer.links.link import ask
from likes.buffer.scripts import Added, add
from likes.errors import LikesError
from likes.member import member_of
from likes.sql.identity import Claim
from tests.rig import RedisCopy, Rig, SqlCopy
from tests.stepping import SteppedWorker

TOKENS = 15


class History(RuleBasedStateMachine):
    """Clients, two workers that can stand still or die between any two calls, and faults of Redis and SQL."""

    rig: ClassVar[Rig]
    empty: ClassVar[SqlCopy]

    @initialize(faults=st.sampled_from([0, 0, 1, 2]), batch_items=st.sampled_from([1, 2, 1000]))
    def begin(self, faults: int, batch_items: int) -> None:
        self.rig.redis.flushall()
        self.rig.restore_sql(self.empty)
        self.rig.worker.ledger.claim = Claim()  # as a worker that has just been started
        self.rig.batch_items = self.rig.worker.buffer.batch_items = batch_items
        self.faults = faults
        self.faultless = faults == 0
        self.accepted: set[int] = set()
        self.excused: set[int] = set()
        self.unanswered: dict[int, Call[Added]] = {}
        self.workers: list[SteppedWorker | None] = [None, None]
        self.redis_copy: RedisCopy | None = None
        self.sql_copy: SqlCopy | None = None

    # Clients.

    @precondition(lambda self: len(self.accepted) < TOKENS)
    @rule(item=st.sampled_from("ab"))
    def like(self, item: str) -> None:
        token = self.next_token()
        self.rig.likes.like(item, 4**token)

    @precondition(lambda self: len(self.accepted) < TOKENS)
    @rule(item=st.sampled_from("ab"))
    def like_without_hearing_the_reply(self, item: str) -> None:
        self.rig.likes.like(item, 0)  # begins an epoch where there is none
        token, epoch = self.next_token(), self.rig.epoch()
        call = add(
            epoch_keys(self.rig.prefix, 0, epoch),
            producer=secrets.token_hex(6),
            sequence=1,
            entries=[(member_of(item.encode(), b"likes"), 4**token)],
            wants_pending=False,
        )
        (added,) = ask(self.rig.worker.buffer.link, [call])
        assert added.done
        self.unanswered[token] = call

    @precondition(lambda self: self.unanswered)
    @rule(data=st.data())
    def resend(self, data: st.DataObject) -> None:
        token = data.draw(st.sampled_from(sorted(self.unanswered)))
        call = self.unanswered.pop(token)
        (added,) = ask(self.rig.worker.buffer.link, [call])
        if not added.done:
            self.excused.add(token)  # unknown

    def next_token(self) -> int:
        token = len(self.accepted)
        self.accepted.add(token)
        return token

    # Workers.

    @rule()
    def flush(self) -> None:
        self.rig.flush()

    @rule(which=st.sampled_from([0, 1]), calls=st.integers(1, 12))
    def work(self, which: int, calls: int) -> None:
        worker = self.workers[which] = self.workers[which] or SteppedWorker(self.rig)
        for _ in range(calls):
            if worker.at is not None:
                worker.step()
        if worker.at is None:
            self.workers[which] = None
            if self.faultless or not isinstance(worker.error, LikesError):  # else the next flush goes on
                worker.finish()

    @precondition(lambda self: any(self.workers))
    @rule(which=st.sampled_from([0, 1]))
    def die(self, which: int) -> None:
        worker, self.workers[which] = self.workers[which], None
        if worker:
            worker.kill()

    # Faults.

    @rule()
    def copy_redis(self) -> None:
        self.redis_copy = self.rig.copy_redis()

    @rule()
    def copy_sql(self) -> None:
        self.sql_copy = self.rig.copy_sql()

    @precondition(lambda self: self.faults and self.redis_copy is not None)
    @rule()
    def redis_goes_back(self) -> None:
        self.faults -= 1
        self.excused |= self.held()
        self.rig.restore_redis(self.redis_copy or {})

    @precondition(lambda self: self.faults)
    @rule()
    def redis_is_emptied(self) -> None:
        self.faults -= 1
        self.excused |= self.held()
        self.rig.redis.flushall()

    @precondition(lambda self: self.faults and self.sql_copy is not None)
    @rule()
    def sql_goes_back(self) -> None:
        self.faults -= 1
        before = self.counted() | self.set_aside()
        self.rig.restore_sql(self.sql_copy or {})
        self.excused |= before - self.counted() - self.set_aside()

    # What holds.

    @invariant()
    def nothing_is_counted_twice_and_nothing_is_lost(self) -> None:
        if hasattr(self, "accepted"):
            accounted = self.counted() | self.set_aside() | self.held() | self.excused
            assert self.accepted <= accounted, f"lost: {self.accepted - accounted}"

    def teardown(self) -> None:
        if not hasattr(self, "accepted"):
            return
        for worker in filter(None, self.workers):
            worker.kill()
        self.rig.flush()
        self.nothing_is_counted_twice_and_nothing_is_lost()
        assert self.held() == set()
        if self.faultless:
            assert self.counted() == self.accepted
            assert (self.rig.kinds(), self.rig.dead_letters()) == ([], [])

    def counted(self) -> set[int]:
        return tokens_in(self.rig.totals().values())

    def set_aside(self) -> set[int]:
        return tokens_in(letter.delta or 0 for letter in self.rig.dead_letters())

    def held(self) -> set[int]:
        """What lies in Redis, pending or in flight, under any epoch."""
        deltas = tokens_in(int(self.rig.redis.get(key)) for key in self.rig.redis.keys("*:delta:*"))
        batches = [Batch.unpack(self.rig.redis.get(key)) for key in self.rig.redis.keys("*:batch:*")]
        return deltas.union(*(tokens_in(entry.delta for entry in batch.deltas) for batch in batches))


def tokens_in(sums: Iterable[int]) -> set[int]:
    """The tokens that make up each of `sums`; none of them may be in one twice."""
    tokens: set[int] = set()
    for number in sums:
        for token in range(TOKENS + 1):
            times = number // 4**token % 4
            assert times <= 1, f"token {token} was counted {times} times"
            tokens |= {token} if times else set()
    return tokens


@pytest.fixture
def rig(valkey_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, sqlite_engine) as rig:
        yield rig


def test_every_history_counts_exactly_once(rig: Rig) -> None:
    rig.worker.ledger.make_database_id()  # a database restored to before it would be another one
    machine = type("History", (History,), {"rig": rig, "empty": rig.copy_sql()})
    run_state_machine_as_test(machine, settings=settings(stateful_step_count=40))
