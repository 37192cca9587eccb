"""Cached totals stay right: through flushes, deaths, dead letters, restores, other databases and other namespaces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import Engine, update

from likes.buffer.buffer import Buffer
from likes.buffer.links.link import Link
from likes.live.reading import Reader
from likes.live.total import LiveTotal
from likes.member import member_of
from likes.sql.decision import Decision
from likes.sql.engine import open_engine, writing
from likes.sql.resolving import Resolving
from likes.sql.schema import migrate
from likes.sql.tables import totals
from tests.rig import Rig
from tests.stepped_reader import AtOnce, SteppedRead, reader_on
from tests.stepping import SteppedWorker
from worker.generations import agree_now


@pytest.fixture
def rig(redis_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    with Rig(redis_url, sqlite_engine) as rig:
        yield rig


class Reading:
    """A process that reads; `queries` it has made of SQL."""

    def __init__(self, engine: Engine, link: Link) -> None:
        self.sql = AtOnce(engine)
        self.reader: Reader = reader_on(engine)
        self.reader._sql = self.sql
        self._link = link

    def begin(self, item: str = "a") -> SteppedRead:
        return SteppedRead(self.reader, self._link, {0: [member_of(item.encode(), b"likes")]})

    def __call__(self, item: str = "a") -> LiveTotal:
        return self.begin(item).finish()

    def queries(self, item: str = "a") -> int:
        """How many queries one read makes."""
        before = self.sql.queries
        self(item)
        return self.sql.queries - before


@pytest.fixture
def read(rig: Rig) -> Iterator[Reading]:
    with closing(rig.places.open_link()) as link:
        yield Reading(rig.engine, link)


def value(rig: Rig, item: str = "a") -> bytes | None:
    """What is cached of an item."""
    cached: bytes | None = rig.redis.get(rig.key(f"total:likes:{item}"))
    return cached


def post_and_flush(rig: Rig, count: int, item: str = "a") -> None:
    rig.likes.like(item, count)
    rig.flush()


def test_a_total_is_asked_of_sql_once_and_then_found(rig: Rig, read: Reading) -> None:
    post_and_flush(rig, 5)
    assert (read.queries(), read.queries()) == (1, 0)
    rig.likes.like("a", 2)
    assert read() == LiveTotal(7, 5, 0, 2)
    assert read.queries() == 0


def test_what_sql_does_not_know_is_cached_as_nothing(rig: Rig, read: Reading) -> None:
    post_and_flush(rig, 5, "another")
    assert (read.queries(), read.queries()) == (1, 0)
    assert read() == LiveTotal(0, 0, 0, 0)
    post_and_flush(rig, 3)
    assert read() == LiveTotal(3, 3, 0, 0) and read.queries() == 0


def test_a_flush_writes_through_and_keeps_the_time_to_live(rig: Rig, read: Reading) -> None:
    post_and_flush(rig, 5)
    read()
    key = rig.key("total:likes:a")
    assert rig.redis.pexpire(key, 50_000)
    post_and_flush(rig, -2)
    assert 40_000 < rig.redis.pttl(key) <= 50_000
    assert read() == LiveTotal(3, 3, 0, 0)
    assert read.queries() == 0


def test_in_the_other_mode_a_flush_drops_what_it_changed(rig: Rig, read: Reading) -> None:
    post_and_flush(rig, 5)
    post_and_flush(rig, 5, "b")
    assert (read().total, read("b").total) == (5, 5)
    buffer = rig.worker.buffer
    dropping = Buffer(buffer.link, rig.places.open_link, "likes", 1000, writes_through=False)
    rig.worker.buffer = rig.worker._pair._buffer = rig.worker.recovery.buffer = dropping
    post_and_flush(rig, 1)
    assert value(rig, "a") is None and value(rig, "b")
    assert read() == LiveTotal(6, 6, 0, 0)
    assert read.queries("b") == 0


def test_a_fill_between_apply_and_acknowledge_has_the_batch_already(rig: Rig, read: Reading) -> None:
    post_and_flush(rig, 5)
    rig.likes.like("a", 2)
    with SteppedWorker(rig) as worker:
        worker.go_until("acknowledge")
        assert read() == LiveTotal(7, 7, 0, 0)
        worker.finish()
    assert read() == LiveTotal(7, 7, 0, 0) and read.queries() == 0


def test_totals_first_cached_during_a_flush_are_not_left_behind_by_it(rig: Rig, read: Reading) -> None:
    """The worker looked when nothing was cached, and so sends no totals to write to."""
    post_and_flush(rig, 5)
    rig.likes.like("a", 2)
    with SteppedWorker(rig) as worker:
        worker.go_until("hand_off")
        assert read() == LiveTotal(7, 5, 0, 2)
        worker.finish()
    assert read() == LiveTotal(7, 7, 0, 0)
    post_and_flush(rig, 1)
    assert read() == LiveTotal(8, 8, 0, 0) and read.queries() == 0


def test_a_query_overtaken_by_a_whole_flush_is_not_believed(rig: Rig, read: Reading) -> None:
    post_and_flush(rig, 5)
    rig.likes.like("a", 2)
    reading = read.begin()
    while not read.sql.queries:
        reading.step()
    rig.flush()
    assert reading.finish() == LiveTotal(7, 7, 0, 0)
    assert read.sql.queries == 2
    assert read() == LiveTotal(7, 7, 0, 0)


def test_of_two_readers_one_asks_and_the_other_waits_for_it(rig: Rig, read: Reading) -> None:
    post_and_flush(rig, 5)
    read("warmed up")
    with closing(rig.places.open_link()) as link:
        other = Reading(rig.engine, link)
        other("warmed up")
        asked = other.sql.queries
        first, second = read.begin(), other.begin()
        first.step()  # has the lease
        for _ in range(5):
            second.step()
        assert not second.is_over
        assert first.finish().total == 5
        assert second.finish().total == 5
        assert other.sql.queries == asked


def test_who_waits_in_vain_asks_itself(rig: Rig, read: Reading) -> None:
    post_and_flush(rig, 5)
    read("warmed up")
    rig.redis.set(rig.key("fill:likes:a"), "", px=60_000)  # its reader was killed
    assert read() == LiveTotal(5, 5, 0, 0)
    assert read.queries() == 0, "and kept what it read"


def test_a_total_past_the_numbers_of_lua_is_dropped_instead_of_rounded(rig: Rig, read: Reading) -> None:
    rig.likes.add({"a": 2**31 - 1})
    rig.redis.set(rig.key("delta:likes:a"), 2**60 + 1)
    rig.flush()
    assert read().total == 2**60 + 1
    post_and_flush(rig, 1)
    assert read().total == 2**60 + 2


def test_a_batch_with_a_dead_letter_drops_what_it_touched(rig: Rig, read: Reading) -> None:
    post_and_flush(rig, 5)
    read()
    rig.likes.like("a", 2)
    rig.likes.like("bad")
    rig.redis.set(rig.key("delta:likes:bad"), "no number")
    rig.flush()
    assert len(rig.dead_letters()) == 1
    assert read() == LiveTotal(7, 7, 0, 0)


def test_a_batch_acknowledged_without_its_content_leaves_no_total_in_use(rig: Rig, read: Reading) -> None:
    post_and_flush(rig, 5)
    read()
    rig.likes.like("a", 2)
    with SteppedWorker(rig) as worker:
        worker.go_until("acknowledge").kill()
    rig.redis.delete(rig.key("batch:2"))
    rig.flush()
    assert read() == LiveTotal(7, 7, 0, 0)


def set_total(rig: Rig, total: int) -> None:
    with writing(rig.engine) as connection:
        connection.execute(update(totals).values(total=total))


def test_an_applied_dead_letter_shows_at_once(rig: Rig, read: Reading) -> None:
    post_and_flush(rig, 5)
    set_total(rig, 2**63 - 1)
    post_and_flush(rig, 2)  # too much for the total
    set_total(rig, 5)
    assert read() == LiveTotal(5, 5, 0, 0) and read.queries() == 0
    (letter,) = rig.dead_letters()
    (outcome,) = Resolving(rig.engine, "likes", Decision.now("mary")).apply([letter.id], choose=True)
    assert outcome.ok
    agree_now(rig.worker.buffer, rig.worker.ledger)
    assert read() == LiveTotal(7, 7, 0, 0) and read.queries() == 0


def test_after_sql_went_back_totals_are_those_of_sql(rig: Rig, read: Reading) -> None:
    post_and_flush(rig, 5)
    copy = rig.copy_sql()
    post_and_flush(rig, 2)
    assert read().total == 7
    rig.restore_sql(copy)
    post_and_flush(rig, 1)
    assert rig.totals() == {"a": 6}
    assert read() == LiveTotal(6, 6, 0, 0)


def test_a_generation_that_sql_no_longer_knows_is_left_behind(rig: Rig, read: Reading) -> None:
    post_and_flush(rig, 5)
    read()
    rig.redis.hset(rig.key("state"), "generation", 2**44)  # of a dead letter applied after the backup
    rig.flush()
    assert rig.cursor().generation > 2**44
    assert read() == LiveTotal(5, 5, 0, 0)
    assert read.queries() == 0


def test_with_a_second_namespace_nothing_is_cached(rig: Rig, read: Reading) -> None:
    post_and_flush(rig, 5)
    assert read.queries() + read.queries() == 1
    with Rig(url_of_redis(rig), rig.engine, prefix="other") as other:
        post_and_flush(other, 10)
        post_and_flush(rig, 1)
        assert read() == LiveTotal(16, 16, 0, 0)
        post_and_flush(other, 10)
        assert read() == LiveTotal(26, 26, 0, 0)
        assert read.queries() == 1


def url_of_redis(rig: Rig) -> str:
    url = rig.places.redis
    assert url
    return url


def test_another_database_fills_nothing_and_is_not_exact(
    rig: Rig, read: Reading, tmp_path_factory: pytest.TempPathFactory
) -> None:
    post_and_flush(rig, 5)
    assert read().total == 5

    laptop = open_engine(f"sqlite:///{tmp_path_factory.mktemp('laptop') / 'likes.db'}", timeout=10)
    migrate(laptop)
    with closing(rig.places.open_link()) as link:
        mine = Reading(laptop, link)
        before = value(rig)
        assert (mine().total, mine().doubt) == (0, "other-database")
        assert value(rig) == before
    laptop.dispose()
    assert read() == LiveTotal(5, 5, 0, 0)


def test_without_an_owner_nothing_is_cached(rig: Rig, read: Reading) -> None:
    rig.likes.like("a", 3)
    assert read() == LiveTotal(3, 0, 0, 3)
    assert value(rig) is None


def test_after_redis_was_replaced_nothing_of_before_is_used(rig: Rig, read: Reading) -> None:
    post_and_flush(rig, 5)
    read()
    rig.redis.flushall()
    rig.likes.like("a", 1)
    assert (read().total, read().doubt) == (6, "out-of-step")
    rig.flush()
    assert read() == LiveTotal(6, 6, 0, 0)
