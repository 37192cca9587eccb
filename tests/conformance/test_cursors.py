"""Cursors and retired epochs, on every database: each function touches the namespace, shard and epoch it is given."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError

from likes.batch import Place
from likes.errors import LikesError
from likes.sql import covering, cursors, epochs, known_redis
from likes.sql.cursors import Cursor
from likes.sql.engine import open_engine, reading, writing
from likes.sql.schema import url_of
from likes.sql.tables import retired_epochs

NOW = datetime(2026, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)
SHARDS = {"likes": [0, 1], "views": [0, 1, 2]}


@pytest.fixture
def claimed(engine: Engine) -> Engine:
    """A database with the cursors of two namespaces."""
    with writing(engine) as connection:
        for namespace, shards in SHARDS.items():
            cursors.begin(connection, namespace, shards, "here", NOW)
    return engine


def everything(engine: Engine) -> dict[tuple[str, int], Cursor]:
    with reading(engine) as connection:
        return {
            (namespace, shard): cursor
            for namespace in SHARDS
            for shard, cursor in cursors.read_all(connection, namespace).items()
        }


def changed(engine: Engine, change: Callable[[Connection], Any]) -> dict[tuple[str, int], Cursor]:
    """The cursors that a change made different."""
    before = everything(engine)
    with writing(engine) as connection:
        change(connection)
    return {key: cursor for key, cursor in everything(engine).items() if cursor != before.get(key)}


def test_a_claim_gives_a_cursor_only_to_shards_without_one(claimed: Engine) -> None:
    assert {key: cursor.shard for key, cursor in everything(claimed).items()} == {
        (namespace, shard): shard for namespace, shards in SHARDS.items() for shard in shards
    }
    fresh = changed(claimed, lambda connection: cursors.begin(connection, "likes", [1, 2], "there", NOW))
    assert fresh == {("likes", 2): Cursor(2, None, 0, "", 0, "there", "", "", NOW)}


def test_one_cursor_is_locked_and_moved(claimed: Engine) -> None:
    def move(connection: Connection) -> None:
        cursor = cursors.lock(connection, "likes", 1)
        assert cursor.shard == 1
        cursors.move(connection, "likes", cursor._replace(epoch="e", seq=3, nonce="n", applied_delta=4), NOW)

    moved = changed(claimed, move)
    assert {place: cursor._replace(generation=0) for place, cursor in moved.items()} == {
        ("likes", 1): Cursor(1, "e", 3, "n", 4, "here", "", "", NOW)
    }
    with writing(claimed) as connection:
        assert cursors.lock(connection, "likes", 1).seq == 3
        assert cursors.lock(connection, "views", 1).seq == 0
        with pytest.raises(LikesError, match="shard 2 has lost its cursor"):
            cursors.lock(connection, "likes", 2)


@contextmanager
def impatient(engine: Engine) -> Iterator[Engine]:
    """The same database, on which nothing is waited for long."""
    other = open_engine(url_of(engine), timeout=0.3)
    yield other
    other.dispose()


@pytest.mark.parametrize("shard", [0, 1])
def test_all_cursors_of_a_namespace_are_locked_together(claimed: Engine, shard: int) -> None:
    with writing(claimed) as connection, impatient(claimed) as other:
        cursors.lock_all(connection, "likes")
        with pytest.raises(DBAPIError), writing(other) as too_late:
            cursors.lock(too_late, "likes", shard)
        if claimed.dialect.name != "sqlite":  # which has one lock for everything
            with writing(other) as meanwhile:
                assert cursors.lock(meanwhile, "views", shard).shard == shard


def test_an_epoch_is_retired_once_and_where_it_stood_is_kept(claimed: Engine) -> None:
    def retire(connection: Connection) -> None:
        cursor = cursors.lock(connection, "likes", 0)._replace(epoch="mine", seq=3, nonce="n", applied_delta=4)
        cursors.move(connection, "likes", cursor, NOW)
        assert epochs.retire(connection, "likes", cursor, "another", "left behind", NOW) == cursor
        after = epochs.retire(connection, "likes", cursor, "mine", "went back", NOW)
        assert after == cursor._replace(epoch=None, seq=0, nonce="", applied_delta=0)
        assert epochs.retire(connection, "likes", after, "mine", "again", NOW) == after

    retired_before = changed(claimed, retire)
    assert retired_before == {}  # it had no epoch before
    with reading(claimed) as connection:
        rows = connection.execute(select(retired_epochs).order_by(retired_epochs.c.epoch)).all()
        assert [(row.namespace, row.shard, row.epoch, row.seq, row.nonce, row.applied_delta) for row in rows] == [
            ("likes", 0, "another", 0, "", 0),
            ("likes", 0, "mine", 3, "n", 4),
        ]
        assert [row.reason for row in rows] == ["left behind", "went back"]
        assert epochs.retired(connection, "likes", 0) == {"another", "mine"}
        assert epochs.is_retired(connection, "likes", 0, "mine")
        assert not epochs.is_retired(connection, "likes", 0, "fresh")
        assert epochs.retired(connection, "likes", 1) == epochs.retired(connection, "views", 0) == frozenset()


def test_the_books_of_one_retired_epoch_are_closed(claimed: Engine) -> None:
    given_up = [("likes", 0, "a"), ("likes", 0, "b"), ("likes", 1, "a"), ("views", 0, "a")]
    with writing(claimed) as connection:
        for namespace, shard, epoch in given_up:
            epochs.retire(connection, namespace, cursors.lock(connection, namespace, shard), epoch, "gone", NOW)
        epochs.close_books(connection, "likes", 0, "a", accepted=7, sealed=5)
    with reading(claimed) as connection:
        rows = connection.execute(select(retired_epochs)).all()
    assert {(row.namespace, row.shard, row.epoch): (row.accepted, row.sealed) for row in rows} == {
        key: (7, 5) if key == given_up[0] else (None, None) for key in given_up
    }


def test_a_namespace_is_taken_over_by_another_redis(claimed: Engine) -> None:
    def take_over(connection: Connection) -> None:
        cursors.begin(connection, "likes", [2], "there", NOW)
        assert known_redis.take_over(connection, "likes", "there") == 2
        assert known_redis.take_over(connection, "likes", "there") == 0

    taken = changed(claimed, take_over)
    assert taken.keys() == {("likes", 0), ("likes", 1), ("likes", 2)}
    assert {cursor.redis_name for cursor in taken.values()} == {"there"}


def note_server(engine: Engine, shards: Collection[int], replid: str, run_id: str, durable: int = 0) -> int:
    """How many cursors did not know this server, by what is read now."""
    with writing(engine) as connection:
        read = [cursor for shard, cursor in cursors.read_all(connection, "likes").items() if shard in shards]
        noted = known_redis.note_server(connection, "likes", read, replid=replid, run_id=run_id, durable=durable)
        return len(noted.changed)


def test_the_server_that_answers_is_noted(claimed: Engine) -> None:
    for server in (("first", "one", 0), ("second", "one", 0), ("second", "two", 0), ("second", "two", 1)):
        assert note_server(claimed, [0, 1], *server) == 2
        with reading(claimed) as connection:
            noted = cursors.read_all(connection, "likes").values()
        assert {(cursor.replid, cursor.run_id, cursor.durable) for cursor in noted} == {server}
        assert note_server(claimed, [0, 1], *server) == 0
    assert note_server(claimed, [1], "third", "three") == 1
    assert note_server(claimed, [0], "second", "two", 1) == 0


def test_a_server_noted_by_another_since_the_cursors_were_read_stays(claimed: Engine) -> None:
    with reading(claimed) as connection:
        read = cursors.read_all(connection, "likes").values()
    assert note_server(claimed, [0], "first", "one") == 1
    with writing(claimed) as connection:
        noted = known_redis.note_server(connection, "likes", read, replid="stale", run_id="stale", durable=0)
        assert [cursor.shard for cursor in noted.changed] == [1]


def test_shards_are_covered_by_the_flush_that_began_last(claimed: Engine) -> None:
    assert covered(claimed, [0, 1], to=10, at=20) == {0: (10, 20, 11), 1: (10, 20, 11)}
    assert covered(claimed, [0, 1], to=15, at=19) == {}  # of a stalled flush that ends late
    assert covered(claimed, [1], to=5, at=30) == {1: (5, 30, 6)}  # Redis's clock was set back


def test_a_redis_that_nobody_likes_in_covers_what_was_never_covered(claimed: Engine) -> None:
    assert covered(claimed, [0], to=10, at=20, is_used=False) == {0: (10, 20, 11)}
    assert covered(claimed, [0, 1], to=30, at=40, is_used=False) == {0: (10, 20, 31), 1: (30, 40, 31)}
    assert covered(claimed, [0], to=50, at=60) == {0: (50, 60, 51)}


def covered(
    engine: Engine, shards: Collection[int], to: int, at: int, *, is_used: bool = True
) -> dict[int, tuple[float, ...]]:
    """What a flush changes of these shards, in seconds: covered_to, covered_at and covered_by."""
    moments = {name: NOW + timedelta(seconds=seconds) for name, seconds in (("to", to), ("at", at), ("by", to + 1))}
    places = dict.fromkeys(shards, Place(None, 0, ""))
    cover = partial(covering.cover, namespace="likes", places=places, **moments, is_used=is_used)
    return {
        shard: tuple((moment - NOW).total_seconds() for moment in (now.covered_to, now.covered_at, now.covered_by))
        for (_, shard), now in changed(engine, cover).items()
    }


def test_a_cursor_that_was_put_back_since_a_flush_left_it_is_not_covered(claimed: Engine) -> None:
    def is_covered(place: Place, at: int, run_id: str = "one") -> bool:
        moment = NOW + timedelta(seconds=at)
        with writing(claimed) as connection:
            covering.cover(connection, "likes", {0: place}, to=moment, at=moment, by=moment, run_id=run_id)
            return cursors.read_all(connection, "likes")[0].covered_to == moment

    with writing(claimed) as connection:
        cursor = cursors.lock(connection, "likes", 0)._replace(epoch="e", seq=5, nonce="n5")
        cursors.move(connection, "likes", cursor, NOW)
    note_server(claimed, [0], "r", "one")
    assert is_covered(Place("e", 5, "n5"), 1)
    assert is_covered(Place("e", 4, "n4"), 2)  # another worker went on
    assert not is_covered(Place("e", 6, "n6"), 3)
    assert not is_covered(Place("e", 5, "another"), 4)
    assert not is_covered(Place("another", 4, "n4"), 5)
    assert not is_covered(Place("e", 5, "n5"), 6, run_id="another")
    assert is_covered(Place("e", 5, "n5"), 7, run_id="")  # it tells none
