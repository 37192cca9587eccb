"""A window never excludes a lost like, whatever one of two clocks does, and begins no earlier than the last flush."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from likes.sql.cursors import Cursor
from likes.sql.exposure import Window, window_of

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
OFFSETS = st.floats(-7200, 7200)
PAUSES = st.floats(0, 5)
MICROSECOND = 1e-6  # to which moments are rounded


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def cursor(covered_to: datetime | None, covered_at: datetime | None) -> Cursor:
    return Cursor(0, "e", 1, "n", 0, "redis", "", "", EPOCH, covered_to=covered_to, covered_at=covered_at)


class Clock:
    """Reads the true time with an offset, and with another one once it was `set_at`."""

    def __init__(self, offset: float, set_at: float, offset_then: float) -> None:
        self.offset, self.set_at, self.offset_then = offset, set_at, offset_then

    def read(self, true: float) -> datetime:
        return at(true + (self.offset if true < self.set_at else self.offset_then))


@given(pauses=st.tuples(PAUSES, st.floats(0, 600), st.floats(0, 600), PAUSES, PAUSES), data=st.data())
def test_a_lost_like_is_inside(pauses: tuple[float, ...], data: st.DataObject) -> None:
    """A flush reads SQL's clock, Redis's, and only then Redis; later a like is accepted and lost; that is noticed."""
    began = 10_000.0
    asked = began + pauses[0]
    accepted = asked + pauses[1]
    lost = accepted + pauses[2]
    noticed = lost + pauses[3]
    recorded = noticed + pauses[4]
    set_at = data.draw(st.floats(began, recorded))
    redis_is_set = data.draw(st.booleans())  # or SQL's clock is
    offset = data.draw(OFFSETS)
    offset_then = data.draw(OFFSETS) if redis_is_set else offset
    redis = Clock(offset, set_at, offset_then)
    sql_offset = data.draw(OFFSETS)
    sql = Clock(sql_offset, set_at, sql_offset if redis_is_set else data.draw(OFFSETS))

    known = cursor(covered_to=redis.read(asked), covered_at=sql.read(began))
    begin, end = window_of([known], redis_now=redis.read(noticed), sql_now=sql.read(recorded))
    assert begin is not None
    assert begin <= redis.read(accepted) + timedelta(microseconds=1)
    assert redis.read(accepted) <= end + timedelta(microseconds=1)
    if redis_is_set and offset == offset_then:
        assert begin >= redis.read(began) - timedelta(seconds=recorded - noticed + MICROSECOND)


@given(covered=st.lists(st.none() | st.floats(0, 1000), min_size=1), now=st.floats(1000, 2000))
def test_the_window_of_several_shards_holds_that_of_each(covered: list[float | None], now: float) -> None:
    moments = [None if seconds is None else at(seconds) for seconds in covered]
    cursors = [cursor(moment, moment) for moment in moments]
    whole = window_of(cursors, redis_now=at(now), sql_now=at(now))
    each = [window_of([one], redis_now=at(now), sql_now=at(now)) for one in cursors]
    if None in covered:
        assert whole.begin is None  # from the first like on
    else:
        assert whole.begin == min(window.begin for window in each if window.begin)
    assert whole.end == max(window.end for window in each)


def test_where_redis_does_not_tell_the_time_sqls_clock_is_taken() -> None:
    assert window_of([cursor(at(5), at(5))], redis_now=None, sql_now=at(9)) == Window(at(5), at(9))


def test_the_end_is_the_later_clock() -> None:
    behind, ahead = at(9), at(3609)
    assert window_of([cursor(at(5), at(5))], redis_now=behind, sql_now=behind).end == behind
    assert window_of([cursor(at(5), at(3605))], redis_now=behind, sql_now=ahead) == Window(at(5), ahead)


def test_a_window_that_would_be_inverted_is_as_long_as_sqls_clock_says() -> None:
    """Redis's clock was an hour ahead when the shard was covered: 300 s ago, as SQL has it."""
    begin, end = window_of([cursor(at(3600), at(0))], redis_now=at(300), sql_now=at(300))
    assert (begin, end) == (at(0), at(3900))
