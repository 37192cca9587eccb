"""What a live total is made of, and what its reader does when the answers do not fit together."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import msgpack
import pytest

from likes.batch import FORMAT, BatchId
from likes.buffer.scripts import Live
from likes.buffer.standing import Standing
from likes.errors import LikesError, RedisUnavailable
from likes.live.reading import ATTEMPTS, Known, LiveTotal, Reader, SeenBatches, add_up
from likes.member import Member, members_of
from likes.posting.steps import Query, Send

A, B = members_of([b"a", b"b"], b"likes")
UNKNOWN = Live(Standing(0, "", current="e"), ())  # the epoch is e, not the one asked for


def nothing_in_flight(*, acked: int = 0, seq: int = 0) -> Live:
    return Live(Standing(0, "e", current="e", acked=acked, seq=seq), (0,))


Reading = Generator[Any, Any, dict[Member, LiveTotal]]


def batch(seq: int, nonce: str, **deltas: int) -> bytes:
    """A sealed batch of shard 0."""
    members = [f"likes:{item}".encode() for item in deltas]
    texts = [str(delta).encode() for delta in deltas.values()]
    return msgpack.packb([FORMAT, b"e", 0, seq, nonce.encode(), b"", 0, members, texts, []])


class Answers:
    """Reads the live total of `a` in shard 0, given answers one by one; `asked` is what it wants next."""

    def __init__(self) -> None:
        self.reader = Reader("likes", lambda members, shards: Known({}, {}))
        self._steps: Reading = self.reader.live({0: [A]})
        self.asked = next(self._steps)
        self.total: LiveTotal | None = None

    def look(self, parts: Live | LikesError) -> None:
        assert isinstance(self.asked, Send)
        assert [call.script and call.script.name for call in self.asked.calls] == ["live"]
        self._answer([parts])

    def query(self, **known: int) -> None:
        """What SQL knows: `a`, its total, and `seq`, that of the cursor."""
        assert isinstance(self.asked, Query)
        self._answer(Known({A: known["a"]} if "a" in known else {}, {0: ("e", known.get("seq", 0))}))

    def fetch(self, *payloads: bytes | None) -> None:
        assert isinstance(self.asked, Send)
        assert [call.words[0] for call in self.asked.calls] == ["GET"] * len(payloads)
        self._answer(list(payloads))

    def _answer(self, answer: Any) -> None:
        try:
            self.asked = self._steps.send(answer)
        except StopIteration as end:
            self.total = end.value[A]


@pytest.fixture
def answers() -> Answers:
    """A read that knows the epoch."""
    answers = Answers()
    answers.look(UNKNOWN)
    answers.query()
    return answers


def in_flight(*ids: tuple[int, str], acked: int = 0) -> Live:
    flying = tuple(BatchId(0, "e", seq, nonce) for seq, nonce in ids)
    return Live(Standing(0, "e", current="e", acked=acked, seq=flying[-1].seq, in_flight=flying), (7,))


def test_one_look_is_not_enough_to_know_what_was_acknowledged(answers: Answers) -> None:
    """The first look only learned the epoch: the query may be older than an acknowledgement."""
    answers.look(nothing_in_flight())
    assert answers.total is None
    answers.look(nothing_in_flight())
    answers.query(a=3)
    answers.look(nothing_in_flight())
    assert answers.total == LiveTotal(3, 3, 0, 0)


def test_what_is_in_flight_past_the_cursor_counts(answers: Answers) -> None:
    parts = in_flight((1, "x"), (2, "y"))
    answers.look(parts)
    answers.fetch(batch(1, "x", a=10), batch(2, "y", a=100))
    answers.look(parts)
    answers.query(a=13, seq=1)
    answers.look(parts)  # has seen both
    assert answers.total == LiveTotal(13 + 100 + 7, 13, 100, 7)


@pytest.mark.parametrize("found", [None, batch(1, "another", a=10)])
def test_a_batch_that_is_gone_when_it_is_fetched_starts_the_read_again(answers: Answers, found: bytes | None) -> None:
    answers.look(in_flight((1, "x")))
    answers.fetch(found)
    answers.look(in_flight((1, "x")))
    answers.query()
    answers.look(in_flight((1, "x")))
    answers.fetch(found)
    assert answers.total is None
    answers.look(in_flight((1, "x")))
    answers.query()
    answers.look(in_flight((1, "x")))
    answers.fetch(batch(1, "x", a=10))
    assert answers.total == LiveTotal(17, 0, 10, 7)


def test_of_several_batches_one_that_is_gone_starts_the_read_again(answers: Answers) -> None:
    parts = in_flight((1, "x"), (2, "y"), (3, "z"))
    answers.look(parts)
    answers.fetch(batch(1, "x", a=1), None, batch(3, "z", a=3))
    answers.look(parts)
    answers.query()
    answers.look(parts)
    answers.fetch(None)
    assert answers.total is None


def test_more_batches_in_flight_than_are_remembered_count_all_the_same(answers: Answers) -> None:
    answers.reader._seen = SeenBatches(most=1)
    parts = in_flight((1, "x"), (2, "y"), (3, "z"))
    answers.look(parts)
    answers.fetch(batch(1, "x", a=1), batch(2, "y", a=2), batch(3, "z", a=3))
    answers.look(parts)
    answers.query()
    answers.look(parts)
    answers.fetch(batch(1, "x", a=1), batch(2, "y", a=2))
    assert answers.total == LiveTotal(6 + 7, 0, 6, 7)


def test_a_batch_acknowledged_between_the_looks_starts_the_read_again(answers: Answers) -> None:
    answers.look(in_flight((1, "x"), acked=0))
    answers.fetch(batch(1, "x", a=10))
    answers.look(in_flight((1, "x"), acked=0))
    answers.query()
    answers.look(nothing_in_flight(acked=1, seq=1))
    assert answers.total is None


def test_an_error_of_redis_is_raised(answers: Answers) -> None:
    with pytest.raises(RedisUnavailable):
        answers.look(RedisUnavailable("away"))


def test_a_read_that_never_fits_together_is_given_up(answers: Answers) -> None:
    with pytest.raises(LikesError, match="could not be read"):
        for acked in range(2 * ATTEMPTS):
            answers.look(nothing_in_flight(acked=acked))
            if isinstance(answers.asked, Query):
                answers.query()


# Adding up.


def total_of_a(redis: Live, cursor: tuple[str | None, int] | None, database: dict[Member, int]) -> LiveTotal:
    flying = {1: {A: 10}, 2: {A: 100, B: 5}, 3: {B: 1000}}
    (total,) = add_up([A], redis, flying, database, cursor).values()
    return total


@pytest.mark.parametrize(
    ("cursor", "flying"),
    [(("e", 0), 110), (("e", 1), 100), (("e", 2), 0), (("e", 3), 0), ((None, 0), 110), (None, 110)],
)
def test_batches_in_flight_count_past_the_cursor_of_their_epoch(cursor: tuple[str, int] | None, flying: int) -> None:
    redis = in_flight((1, "x"), (2, "y"), (3, "z"))
    assert total_of_a(redis, cursor, {A: 3}) == LiveTotal(3 + flying + 7, 3, flying, 7)
    assert total_of_a(redis, cursor, {}) == LiveTotal(flying + 7, 0, flying, 7)


def test_a_cursor_past_redis_makes_the_total_inexact() -> None:
    redis = in_flight((1, "x"), (2, "y"), (3, "z"))
    assert total_of_a(redis, ("e", 4), {A: 3}) == LiveTotal(3, 3, 0, 0, exact=False)
    assert total_of_a(redis, ("e", 4), {}) == LiveTotal(0, 0, 0, 0, exact=False)
    assert total_of_a(redis, (None, 0), {A: 3}).exact


def test_a_total_is_not_exact_while_sql_knows_another_epoch() -> None:
    """That of Redis may have been given up, and what it holds counted before; or nobody has noticed it yet."""
    redis = Live(Standing(3, "e", current="e", seq=3), (5,))
    assert total_of_a(redis, ("old", 4), {A: 3}) == LiveTotal(118, 3, 110, 5, exact=False)


def test_the_oldest_of_too_many_batches_is_forgotten() -> None:
    seen = SeenBatches(most=2)
    flights = [BatchId(0, "e", seq, "n") for seq in (1, 2, 3)]
    for flight in flights:
        seen.put(flight, {A: flight.seq})
    assert [seen.get(flight) for flight in flights] == [None, {A: 2}, {A: 3}]
