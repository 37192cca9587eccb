"""What a live total is made of, and what its reader does when the answers do not fit together."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import msgpack
import pytest

from likes.batch import FORMAT, BatchId
from likes.buffer.scripts import Cached, Look
from likes.deadline import Deadline
from likes.errors import DatabaseUnavailable, LikesError, RedisRefused, RedisUnavailable
from likes.live.caching import LEASE_SECONDS, CacheRules
from likes.live.in_flight import SeenBatches
from likes.live.known import Identity, Known, Position
from likes.live.looks import EPOCHS_LEARNED
from likes.live.read import TRIES
from likes.live.reading import Reader
from likes.live.total import LiveTotal, add_up
from likes.member import Member, members_of
from likes.posting.steps import Pause, Query, Send

A, B = members_of([b"a", b"b"], b"likes")
OURS, THEIRS = Identity("1" * 32, shared=False), Identity("2" * 32, shared=False)
UNKNOWN = Look(0, "", "e")  # the epoch is e, not the one asked for
MISSING: Any = ("missing",)


class NoSql:
    """Nothing is asked of it: the tests answer in its place."""

    def identity(self) -> Future[Identity | LikesError]:
        raise NotImplementedError

    def totals(self, *_: object) -> Future[Known | LikesError]:
        raise NotImplementedError


class Answers:
    """Reads live totals of shard 0, of `a` unless told others, given answers one by one; `asked` is what it wants."""

    def __init__(
        self, identity: Identity | LikesError = OURS, *, or_database: bool = False, members: Sequence[Member] = (A,)
    ) -> None:
        self.reader = Reader("likes", 1, NoSql(), CacheRules())
        self.told: list[LiveTotal | LikesError] = []
        self.is_over = False
        self._or_database = or_database
        self._members = members
        self.begin()
        assert isinstance(self.asked, Query)
        self._answer(identity)

    def begin(self) -> None:
        """Read (once more), with what is known by now."""
        self.told.clear()
        self.is_over = False
        self._steps = self.reader.live({0: self._members}, Deadline(60), self._tell, or_database=self._or_database)
        self.asked = next(self._steps)

    def look(self, seen: Look | LikesError) -> None:
        assert isinstance(self.asked, Send)
        assert [call.script and call.script.name for call in self.asked.calls][:1] == ["look"]
        self._answer([seen, *[1] * (len(self.asked.calls) - 1)])

    def query(self, total: int = 0, seq: int = 0, epoch: str | None = "e", **options: Any) -> None:
        """What SQL knows: the total of `a`, and where the cursor stands."""
        assert isinstance(self.asked, Query)
        position = Position(epoch, seq, options.get("generation", 0))
        self._answer(Known({A: total}, {0: position}, options.get("identity", OURS)))

    def fail(self, error: LikesError) -> None:
        assert isinstance(self.asked, Query)
        self._answer(error)

    def fetch(self, *payloads: bytes | None) -> None:
        assert isinstance(self.asked, Send)
        assert [call.words[0] for call in self.asked.calls] == ["GET"] * len(payloads)
        self._answer(list(payloads))

    def pause(self) -> float:
        assert isinstance(self.asked, Pause)
        seconds = self.asked.seconds
        self._answer(None)
        return seconds

    @property
    def total(self) -> LiveTotal | LikesError:
        """What was told, at the end."""
        (total,) = self.told
        assert self.is_over
        return total

    def _tell(self, member: Member, total: LiveTotal | LikesError) -> None:
        assert member in self._members
        self.told.append(total)

    def _answer(self, answer: Any) -> None:
        try:
            self.asked = self._steps.send(answer)
        except StopIteration:
            self.is_over = True


def seen(*ids: tuple[int, str], seq: int | None = None, pending: int = 0, cached: Any = MISSING, **more: Any) -> Look:
    """What a look saw: these batches in flight, the last sealed if no `seq` says otherwise."""
    flying = tuple(BatchId(0, "e", number, nonce) for number, nonce in ids)
    sealed = seq if seq is not None else flying[-1].seq if flying else 0
    fields = {"owner": OURS.database, "seq": sealed, "in_flight": flying, "deltas": (pending,), "cached": cached}
    return Look(0, "e", "e", **{**fields, **more})


def batch(seq: int, nonce: str, **deltas: int) -> bytes:
    """A sealed batch of shard 0."""
    members = [f"likes:{item}".encode() for item in deltas]
    texts = [str(delta).encode() for delta in deltas.values()]
    return bytes(msgpack.packb([FORMAT, b"e", 0, seq, nonce.encode(), b"", 0, members, texts, []]))


@pytest.fixture
def answers() -> Answers:
    """A read that knows the epoch and the database."""
    answers = Answers()
    answers.look(UNKNOWN)
    return answers


def test_what_is_cached_answers_with_one_look(answers: Answers) -> None:
    answers.look(seen((4, "x"), (5, "y"), pending=7, cached=(Cached(3, 4, refresh=False),)))
    answers.fetch(batch(4, "x", a=10), batch(5, "y", a=100))
    assert answers.total == LiveTotal(3 + 100 + 7, 3, 100, 7)
    answers.begin()
    answers.look(seen((4, "x"), (5, "y"), pending=8, cached=(Cached(3, 4, refresh=False),)))  # both were seen
    assert answers.total == LiveTotal(3 + 100 + 8, 3, 100, 8)
    assert answers.reader.counts.hits == 2


def test_what_is_not_cached_takes_a_query_and_another_look(answers: Answers) -> None:
    answers.look(seen((2, "y"), seq=2))
    answers.fetch(batch(2, "y", a=100))
    answers.query(13, seq=1)
    assert isinstance(answers.asked, Send)
    assert b"13" in [str(word).encode() for word in answers.asked.calls[0].words]  # which is kept on the way
    answers.look(seen((2, "y"), seq=2, pending=7))
    assert answers.total == LiveTotal(13 + 100 + 7, 13, 100, 7)
    assert answers.reader.counts.misses == 1


@pytest.mark.parametrize(
    "between",
    [
        seen(seq=1),  # what SQL did not have was acknowledged
        seen((2, "y"), seq=2),  # the oldest of it was
        seen((1, "x"), generation=5),  # SQL's totals changed otherwise
    ],
)
def test_what_does_not_fit_is_read_again_and_then_told_not_exact(answers: Answers, between: Look) -> None:
    gone = {1: batch(1, "x", a=10), 2: batch(2, "y", a=100)}
    fetched = False
    for _ in range(TRIES + 1):
        assert answers.told == []
        answers.look(seen())
        answers.query(3)
        answers.look(between)
        if between.in_flight and not fetched:
            answers.fetch(gone[between.seq])
            fetched = True
    assert isinstance(answers.total, LiveTotal)
    assert (answers.total.exact, answers.total.doubt) == (False, "out-of-step")


@pytest.mark.parametrize("found", [None, batch(1, "another", a=10)])
def test_a_batch_that_is_gone_when_it_is_fetched_starts_the_read_again(answers: Answers, found: bytes | None) -> None:
    answers.look(seen((1, "x")))
    answers.fetch(found)
    answers.pause()
    answers.look(seen((1, "x")))
    answers.fetch(batch(1, "x", a=10))
    answers.query()
    answers.look(seen(seq=1, cached=(Cached(10, 1, refresh=False),)))
    assert answers.told == []  # it was acknowledged since the query
    answers.look(seen(seq=1, cached=(Cached(10, 1, refresh=False),)))
    assert answers.total == LiveTotal(10, 10, 0, 0)


def test_a_batch_that_stays_away_is_left_out_in_the_end_and_the_total_not_exact(answers: Answers) -> None:
    for _ in range(TRIES):
        answers.look(seen((1, "x"), pending=7, cached=(Cached(3, 0, refresh=False),)))
        answers.fetch(None)
        answers.pause()
    answers.look(seen((1, "x"), pending=7, cached=(Cached(3, 0, refresh=False),)))
    answers.fetch(None)
    assert answers.total == LiveTotal(10, 3, 0, 7, exact=False, doubt="out-of-step")


def test_a_batch_that_cannot_be_read_is_an_error(answers: Answers) -> None:
    answers.look(seen((1, "x")))
    answers.fetch(b"no batch")
    assert isinstance(answers.total, LikesError)


def test_more_batches_in_flight_than_are_remembered_count_all_the_same(answers: Answers) -> None:
    answers.reader._looks._batches = SeenBatches(most=1)
    answers.look(seen((1, "x"), (2, "y"), (3, "z"), pending=7, cached=(Cached(0, 0, refresh=False),)))
    answers.fetch(batch(1, "x", a=1), batch(2, "y", a=2), batch(3, "z", a=3))
    assert answers.total == LiveTotal(6 + 7, 0, 6, 7)


def test_a_total_to_be_refreshed_is_told_first(answers: Answers) -> None:
    answers.look(seen(cached=(Cached(3, 0, refresh=True),)))
    assert answers.told == [LiveTotal(3, 3, 0, 0)]
    assert isinstance(answers.asked, Query) and answers.asked.deadline.left() < 1
    answers.query(3)
    answers.look(seen())
    assert answers.total == LiveTotal(3, 3, 0, 0)
    assert (answers.reader.counts.hits, answers.reader.counts.early_refreshes) == (1, 1)


def test_who_waits_for_another_reader_asks_in_the_end(answers: Answers) -> None:
    waited: list[float] = []
    while not isinstance(answers.asked, Query):
        answers.look(seen(cached=("awaited" if sum(waited) < 0.5 else "missing",)))
        if isinstance(answers.asked, Pause):
            waited.append(answers.pause())
    assert waited == sorted(waited) and waited[0] < 0.01 and 0.5 <= sum(waited) < 0.6
    assert (answers.reader.counts.waits, answers.reader.counts.misses) == (1, 1)


def test_what_others_are_filling_is_waited_for_after_a_query_of_its_own() -> None:
    answers = Answers(members=(A, B))
    answers.look(UNKNOWN)
    answers.look(seen(deltas=(0, 0), cached=("missing", "awaited")))
    answers.query(3)
    answers.look(seen(cached=(Cached(3, 0, refresh=False),)))
    assert answers.told == [LiveTotal(3, 3, 0, 0)]
    assert isinstance(answers.asked, Send)
    assert answers.asked.calls[0].words[-1] == LEASE_SECONDS * 1000, "else it asks SQL for what another one asks for"
    answers.look(seen(cached=("awaited",)))
    answers.pause()
    answers.look(seen(cached=(Cached(5, 0, refresh=False),)))
    assert answers.told == [LiveTotal(3, 3, 0, 0), LiveTotal(5, 5, 0, 0)]


def test_redis_is_asked_again_once_where_a_connection_broke(answers: Answers) -> None:
    answers.look(RedisUnavailable("its connection was closed while it was idle"))
    answers.look(seen(cached=(Cached(3, 0, refresh=False),)))
    assert answers.total == LiveTotal(3, 3, 0, 0)


def test_an_error_of_redis_is_told(answers: Answers) -> None:
    answers.look(RedisUnavailable("away"))
    answers.look(error := RedisUnavailable("away"))
    assert answers.total is error


def test_what_redis_refuses_is_not_asked_again(answers: Answers) -> None:
    answers.look(error := RedisRefused("no permission"))
    assert answers.total is error


def test_the_database_alone_where_redis_is_away_and_that_is_wanted() -> None:
    answers = Answers(or_database=True)
    for _ in range(2):
        answers.look(RedisUnavailable("away"))
    answers.query(3)
    assert answers.total == LiveTotal(3, 3, 0, 0, exact=False, doubt="redis-away")
    answers.begin()
    for _ in range(2):
        answers.look(RedisUnavailable("away"))
    answers.fail(DatabaseUnavailable("away, too"))
    assert isinstance(answers.total, RedisUnavailable)  # else one would think that likes are accepted


def test_an_error_of_the_database_is_told(answers: Answers) -> None:
    answers.look(seen())
    answers.fail(error := DatabaseUnavailable("away"))
    assert answers.total is error


@pytest.mark.parametrize(
    "identity", [DatabaseUnavailable("away"), Identity("", shared=False), OURS._replace(shared=True)]
)
def test_nothing_is_cached_of_a_database_that_is_unknown_new_or_shared(identity: Identity | LikesError) -> None:
    answers = Answers(identity)
    own = identity if isinstance(identity, Identity) else OURS._replace(shared=True)
    answers.query(3, identity=own)  # without a look: nothing could be cached
    answers.look(UNKNOWN)
    assert isinstance(answers.asked, Send)
    assert answers.asked.calls[0].words[-1] == ""
    answers.look(seen(owner=own.database))
    assert answers.total == LiveTotal(3, 3, 0, 0)


def test_a_shard_of_another_database_is_told_not_exact(answers: Answers) -> None:
    answers.look(seen(owner=THEIRS.database))
    answers.query(3)
    answers.look(seen(owner=THEIRS.database, pending=7))
    assert answers.total == LiveTotal(10, 3, 0, 7, exact=False, doubt="other-database")


def test_a_redis_that_went_back_leaves_the_database_alone(answers: Answers) -> None:
    answers.look(seen(seq=3))
    answers.query(3, seq=5)
    answers.look(seen(seq=3, pending=7))
    assert answers.total == LiveTotal(3, 3, 0, 0, exact=False, doubt="out-of-step")


def test_a_cursor_of_another_epoch_stands_before_all_of_this_one(answers: Answers) -> None:
    answers.look(seen((1, "x")))
    answers.fetch(batch(1, "x", a=10))
    answers.query(3, seq=9, epoch="old")
    assert isinstance(answers.asked, Send)
    answers.look(seen((1, "x"), pending=7))
    assert answers.total == LiveTotal(20, 3, 10, 7, exact=False, doubt="out-of-step")


def test_a_redis_that_is_replaced_again_and_again_is_an_error() -> None:
    answers = Answers()
    for number in range(EPOCHS_LEARNED):
        answers.look(Look(0, "", f"e{number}"))
    assert "again and again" in str(answers.total)


@pytest.mark.parametrize(("cursor", "flying"), [(0, 110), (1, 100), (2, 0), (3, 0)])
def test_batches_in_flight_count_past_the_cursor(cursor: int, flying: int) -> None:
    in_flight = {1: {A: 10}, 2: {A: 100, B: 5}, 3: {B: 1000}}
    assert add_up(A, 3, cursor, in_flight, 7, None) == LiveTotal(3 + flying + 7, 3, flying, 7)


def test_the_oldest_of_too_many_batches_is_forgotten() -> None:
    batches = SeenBatches(most=2)
    flights = [BatchId(0, "e", seq, "n") for seq in (1, 2, 3)]
    for flight in flights:
        batches.put(flight, {A: flight.seq})
    assert [batches.get(flight) for flight in flights] == [None, {A: 2}, {A: 3}]


def test_a_cursor_without_an_epoch_is_asked_for_again_where_the_epoch_was_not_known_before() -> None:
    """What was counted under another number of shards may have come to the database since."""
    answers = Answers(nobody := Identity("", shared=False))
    answers.query(0, 0, epoch=None, identity=nobody)
    answers.look(UNKNOWN)
    answers.look(seen(owner=""))
    assert not answers.told
    answers.query(7, 0, epoch=None, identity=nobody)
    answers.look(seen(owner=""))
    assert isinstance(answers.total, LiveTotal) and answers.total[:4] == (7, 7, 0, 0) and answers.total.exact
