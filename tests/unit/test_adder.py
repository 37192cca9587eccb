"""Adding exactly once, step by step: what is sent, what is sent again, and what must not be."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import pytest

from likes.buffer.refusals import NotSent, Unanswered
from likes.buffer.scripts import Added
from likes.errors import LikesError, RedisFull
from likes.member import Entry, member_of
from likes.posting.adder import ENTRIES_A_CALL, UNSENT_PATIENCE_SECONDS, Adder
from likes.posting.part import Part
from likes.posting.producer import MEMORY_SECONDS, Producer
from likes.posting.steps import Pause, Send

PATIENCE = 3.0
ENTRY: Entry = (member_of(b"a", b"likes"), 1)
DONE = Added("e", True, {}, ())
NO_REPLY = Unanswered("no reply")
AWAY = NotSent("away")
FULL = RedisFull("full")


class Clock:
    """Takes the place of the clock that an adder goes by."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(f"{Adder.__module__}.seconds_now", lambda: self.now)


class Adding:
    """An add to shard 0, given the answers one by one; `wanted` is what it wants next, `parts` how it ended."""

    def __init__(
        self,
        adder: Adder,
        entries: Sequence[Entry] = (ENTRY,),
        producer: Producer | None = None,
        *,
        timeout: float = PATIENCE,
    ) -> None:
        self._steps: Generator[Any, Any, list[Part]] = adder.add(
            producer or Producer(), {0: entries}, wants_pending=False, timeout=timeout
        )
        self.wanted: Any = next(self._steps)
        self.parts: list[Part] | None = None

    def begin(self, epoch: str | LikesError = "e") -> None:
        """Answer the question for the epoch."""
        assert self.scripts() == ["begin_epoch"]
        self._answer([epoch])

    def hear(self, reply: Added | LikesError) -> None:
        """Answer the add that it sends."""
        assert self.scripts() == ["add"]
        self._answer([reply])

    def wait(self) -> None:
        """Let a pause be over."""
        assert isinstance(self.wanted, Pause)
        self._answer(None)

    def scripts(self) -> list[str]:
        """The scripts that it wants to call."""
        assert isinstance(self.wanted, Send)
        return [call.script.name for call in self.wanted.calls if call.script]

    def goes_to(self, epoch: str) -> bool:
        """True if it wants to add under this epoch."""
        return self.scripts() == ["add"] and f"{{likes:0}}:{epoch}:state".encode() in self.wanted.calls[0].words

    def says_is_known(self) -> tuple[object, ...]:
        """The sequence that was acknowledged last, how many milliseconds ago, and whether this was sent before."""
        assert self.scripts() == ["add"]
        return self.wanted.calls[0].words[-3:]

    def part(self) -> Part:
        """How it ended."""
        assert self.parts is not None
        (part,) = self.parts
        return part

    def _answer(self, answer: Any) -> None:
        try:
            self.wanted = self._steps.send(answer)
        except StopIteration as end:
            self.wanted, self.parts = None, end.value


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def adder(clock: Clock) -> Adder:
    return Adder("likes", 1)


# How long it is sent again.


VERY_PATIENT = 10 * MEMORY_SECONDS  # goes on sending for longer than Redis remembers a producer


def test_what_was_not_answered_is_sent_again_while_redis_remembers_its_producer(adder: Adder, clock: Clock) -> None:
    adding = Adding(adder, timeout=VERY_PATIENT)
    adding.begin()
    adding.hear(NO_REPLY)
    clock.now += MEMORY_SECONDS / 2
    adding.wait()
    adding.hear(DONE)
    assert (adding.part().added, adding.part().unknown) == (DONE, False)


@pytest.mark.parametrize("sends", [1, 3])
def test_what_redis_may_have_forgotten_is_not_sent_again(adder: Adder, clock: Clock, sends: int) -> None:
    """The machine was suspended, say. It is the first send that counts: Redis may have heard none of the others."""
    adding = Adding(adder, timeout=VERY_PATIENT)
    adding.begin()
    for _ in range(sends):
        adding.hear(NO_REPLY)
        clock.now += (MEMORY_SECONDS / 2 + 1) / sends
        adding.wait()
    assert adding.wanted is None, "it is sent again"
    assert (adding.part().added, adding.part().unknown) == (None, True)


@pytest.mark.parametrize(("reply", "patience"), [(NO_REPLY, PATIENCE), (AWAY, UNSENT_PATIENCE_SECONDS)])
def test_it_is_given_up_when_patience_is_over(adder: Adder, clock: Clock, reply: LikesError, patience: float) -> None:
    adding = Adding(adder)
    adding.begin()
    adding.hear(reply)
    clock.now += patience
    adding.wait()
    adding.hear(reply)
    clock.now += 0.1
    adding.wait()
    adding.hear(reply)
    assert (adding.part().error, adding.part().unknown) == (reply, reply is NO_REPLY)


def test_what_is_left_of_its_time_bounds_a_pause(adder: Adder, clock: Clock) -> None:
    adding = Adding(adder)
    adding.begin()
    adding.hear(NO_REPLY)
    clock.now += PATIENCE - 0.001
    adding.wait()
    adding.hear(NO_REPLY)
    assert adding.wanted == Pause(pytest.approx(0.001))


def test_every_answer_gives_an_add_of_several_calls_its_time_again(adder: Adder, clock: Clock) -> None:
    adding = Adding(adder, MANY)
    adding.begin()
    for reply in (NO_REPLY, DONE, NO_REPLY, DONE):
        clock.now += PATIENCE * 0.9
        if isinstance(adding.wanted, Pause):
            adding.wait()
        adding.hear(reply)
    assert adding.parts is not None
    assert [part.added for part in adding.parts] == [DONE, DONE]


def test_what_may_be_counted_is_not_settled_by_a_refusal(adder: Adder) -> None:
    """The first send may have been counted, so only an answer to it will do."""
    adding = Adding(adder)
    adding.begin()
    adding.hear(NO_REPLY)
    adding.wait()
    adding.hear(FULL)
    adding.wait()
    adding.hear(DONE)
    assert (adding.part().added, adding.part().unknown) == (DONE, False)


def test_what_was_refused_is_not_sent_again(adder: Adder) -> None:
    adding = Adding(adder)
    adding.begin()
    adding.hear(FULL)
    assert (adding.part().error, adding.part().unknown) == (FULL, False)


# Where it is sent.


def test_a_resend_goes_to_the_epoch_it_was_first_sent_to(adder: Adder) -> None:
    """Whichever epoch other calls have learned of meanwhile: there it would be counted a second time."""
    adding = Adding(adder)
    adding.begin("old")
    adding.hear(NO_REPLY)
    other = Adding(adder)
    assert other.goes_to("old")
    other.hear(Added("new", False, {}, ()))
    assert other.goes_to("new")
    other.hear(DONE)
    adding.wait()
    assert adding.goes_to("old")
    adding.hear(Added("new", False, {}, ()))
    assert adding.part().unknown


def test_an_epoch_is_asked_for_again_when_beginning_one_failed(adder: Adder) -> None:
    adding = Adding(adder)
    adding.begin(NO_REPLY)  # to begin one is no like: nothing is unknown
    adding.wait()
    adding.begin()
    adding.hear(DONE)
    assert adding.part().added == DONE


# What Redis must still know.


def test_each_call_names_the_last_one_that_was_acknowledged(adder: Adder, clock: Clock) -> None:
    producer = Producer()
    first = Adding(adder, producer=producer)
    first.begin()
    assert first.says_is_known() == ("", "", "")
    first.hear(NO_REPLY)
    clock.now += 2
    first.wait()
    assert first.says_is_known() == ("", "", "1")
    clock.now += 1
    first.hear(DONE)
    second = Adding(adder, producer=producer)
    assert second.says_is_known() == (1, 3000, "")  # its first send may have been the one that counted
    second.hear(FULL)
    third = Adding(adder, producer=producer)
    assert third.says_is_known() == (1, 3000, "")


def test_what_redis_may_have_forgotten_is_not_named(adder: Adder, clock: Clock) -> None:
    producer = Producer()
    first = Adding(adder, producer=producer)
    first.begin()
    first.hear(DONE)
    clock.now += MEMORY_SECONDS / 2
    assert Adding(adder, producer=producer).says_is_known()[:2] == (1, round(MEMORY_SECONDS * 500))
    clock.now += 0.1
    assert Adding(adder, producer=producer).says_is_known() == ("", "", "")


def test_what_another_epoch_acknowledged_is_not_named(adder: Adder) -> None:
    producer = Producer()
    first = Adding(adder, producer=producer)
    first.begin()
    first.hear(DONE)
    second = Adding(adder, producer=producer)
    second.hear(Added("next", False, {}, ()))
    assert second.says_is_known() == ("", "", "")


# Many entries.

MANY = [(f"likes:{n}".encode(), 1) for n in range(2 * ENTRIES_A_CALL)]


def test_what_comes_after_a_part_that_was_sent_again_is_sent(adder: Adder) -> None:
    adding = Adding(adder, MANY)
    adding.begin()
    adding.hear(NO_REPLY)
    adding.wait()
    adding.hear(DONE)
    adding.hear(DONE)
    assert adding.parts is not None
    assert [part.added for part in adding.parts] == [DONE, DONE]


def test_what_comes_after_a_part_that_was_refused_is_sent(adder: Adder) -> None:
    adding = Adding(adder, MANY)
    adding.begin()
    adding.hear(FULL)
    adding.hear(DONE)
    assert adding.parts is not None
    assert [(part.added, part.error) for part in adding.parts] == [(None, FULL), (DONE, None)]


def test_what_comes_after_a_part_that_redis_was_away_for_is_not_tried(adder: Adder, clock: Clock) -> None:
    adding = Adding(adder, MANY)
    adding.begin()
    adding.hear(AWAY)
    clock.now += PATIENCE
    adding.wait()
    adding.hear(AWAY)
    assert adding.parts is not None
    assert [(part.added, part.error, part.unknown) for part in adding.parts] == [(None, AWAY, False)] * 2
