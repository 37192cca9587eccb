"""Adding exactly once, step by step: what is sent again, and what must not be."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from likes.buffer.refusals import Unanswered
from likes.posting.producer import MEMORY_SECONDS, Adder, Part, Producer
from likes.posting.steps import Pause, Send

ENTRIES = [(b"likes:a", 1)]


class Clock:
    """Takes the place of the clock that an adder goes by."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(f"{Adder.__module__}.seconds_now", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def unanswered_add(patience: float) -> Generator[Any, Any, list[Part]]:
    """The steps of an add of one entry whose first send was not answered, when they have just paused."""
    steps = Adder("likes", patience).add(Producer(), {0: ENTRIES}, wants_pending=False)
    next(steps)
    assert len(steps.send(["e"]).calls) == 1  # the epoch it asked for; now it sends
    assert isinstance(steps.send([Unanswered("no reply")]), Pause)
    return steps


def test_what_was_not_answered_is_sent_again_while_redis_remembers_its_producer(clock: Clock) -> None:
    steps = unanswered_add(patience=10 * MEMORY_SECONDS)
    clock.now += MEMORY_SECONDS / 2
    again = steps.send(None)
    assert isinstance(again, Send)
    assert len(again.calls) == 1


def test_what_redis_may_have_forgotten_is_not_sent_again(clock: Clock) -> None:
    """The machine was suspended meanwhile: a resend could count twice."""
    steps = unanswered_add(patience=10 * MEMORY_SECONDS)
    clock.now += MEMORY_SECONDS / 2 + 1
    assert steps.send(None) == Send([])
    with pytest.raises(StopIteration) as end:
        steps.send([])
    (part,) = end.value.value
    assert (part.unknown, part.added) == (True, None)
