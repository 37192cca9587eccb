"""Exposure windows: whatever happens in the middle of a flush, a lost like was accepted inside the window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from likes.errors import LikesError
from tests.rig import SLACK, Rig
from tests.servers import RedisServer
from tests.stepping import SteppedWorker


@pytest.fixture
def rig(valkey_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, sqlite_engine, batch_items=2) as rig:
        yield rig


def the_window(rig: Rig, kind: str) -> tuple[datetime, datetime]:
    (incident,) = [incident for incident in rig.incidents() if incident.kind == kind]
    return incident.exposed_from, incident.exposed_to


def test_a_like_accepted_while_a_flush_waits_for_sql(rig: Rig) -> None:
    """Its batch is applied long after likes came that the flush does not take; then Redis is emptied."""
    rig.likes.like("a")
    rig.flush()
    covered = rig.covered_to()
    rig.likes.like("a", 10)
    with SteppedWorker(rig) as worker:
        worker.go_until("hand_off").step()
        assert worker.at == "transaction"
        rig.likes.like("b", 1000)
        lost_at = rig.redis_now()
        worker.step()
    assert rig.totals() == {"a": 11}
    assert rig.covered_to() == covered  # it died before it was complete
    rig.redis.flushall()
    rig.likes.like("c")
    rig.flush()
    begin, end = the_window(rig, "redis_replaced")
    assert covered - SLACK < begin <= lost_at <= end


def test_a_like_that_came_during_a_flush_that_was_complete(rig: Rig) -> None:
    rig.likes.like("a")
    with SteppedWorker(rig) as worker:
        worker.go_until("hand_off")
        rig.likes.like("b", 1000)
        lost_at = rig.redis_now()
        worker.finish()
    assert rig.totals() == {"a": 1}
    covered = rig.covered_to()
    assert covered < lost_at
    rig.redis.flushall()
    rig.flush()
    begin, end = the_window(rig, "redis_replaced")
    assert covered - SLACK < begin <= lost_at <= end


def test_a_restart_in_the_middle_of_a_flush(own_valkey: Callable[..., RedisServer], sqlite_engine: Engine) -> None:
    """After the server was asked which it is; what it comes back with is so like before that the flush goes on."""
    server = own_valkey("--appendonly", "no")
    with Rig(server.url, sqlite_engine) as rig:
        rig.likes.like("a", 5)
        rig.flush()
        covered = rig.covered_to()
        rig.likes.add({"a": 1, "b": 1})
        rig.redis.save()
        rig.likes.like("b", 1000)
        lost_at = rig.redis_now()
        with SteppedWorker(rig) as worker:
            worker.go_until("hand_off")
            server.kill()
            server.start()
            while worker.at is not None:
                worker.step()
        assert rig.totals() == {"a": 6, "b": 1} or isinstance(worker.error, LikesError)
        assert rig.covered_to() == covered
        rig.flush()
        assert rig.totals() == {"a": 6, "b": 1}
        begin, end = the_window(rig, "redis_restarted")
        assert covered - SLACK < begin <= lost_at <= end


def test_a_flush_that_is_answered_by_a_replica_covers_nothing(
    own_valkey: Callable[..., RedisServer], sqlite_engine: Engine
) -> None:
    """It may be behind: what its master has accepted and not copied is not in SQL."""
    with Rig(own_valkey().url, sqlite_engine) as rig:
        rig.likes.like("a")
        rig.flush()
        covered = rig.covered_to()
        rig.redis.replicaof("127.0.0.1", 1)
        rig.flush()
        assert rig.covered_to() == covered
        rig.redis.replicaof("NO", "ONE")
        rig.flush()
        assert rig.covered_to() > covered


def test_sql_that_goes_back_behind_a_restart_that_was_told(
    own_valkey: Callable[..., RedisServer], sqlite_engine: Engine
) -> None:
    """The flush that told it goes on; what it covers then, the next one would take for the begin of the window."""
    server = own_valkey()
    with Rig(server.url, sqlite_engine) as rig:
        rig.likes.like("a")
        rig.flush()
        copy, covered = rig.copy_sql(), rig.covered_to()
        server.kill()
        server.start()
        with SteppedWorker(rig) as worker:
            while not rig.incidents():
                worker.step()
            rig.restore_sql(copy)
            worker.finish()
        assert rig.covered_to() == covered
        rig.flush()
        begin, _ = the_window(rig, "redis_restarted")
        assert begin <= covered


def test_sql_that_goes_back_before_a_flush_is_over(rig: Rig) -> None:
    """A standby is promoted, or a backup put back, behind the last apply: what is lost of it was not covered."""
    rig.likes.like("a")
    rig.flush()
    copy, covered = rig.copy_sql(), rig.covered_to()
    rig.likes.like("a", 10)
    lost_at = rig.redis_now()
    with SteppedWorker(rig) as worker:
        worker.go_until("hand_off").step()
        worker.step()
        assert rig.totals() == {"a": 11}
        rig.restore_sql(copy)
        worker.finish()
    assert rig.covered_to() == covered
    rig.flush()
    begin, end = the_window(rig, "sql_went_back")
    assert covered - SLACK < begin <= lost_at <= end
    assert rig.covered_to() > covered


def test_an_idle_shard_is_covered_by_every_flush(rig: Rig) -> None:
    rig.likes.like("a")
    rig.flush()
    for _ in range(3):
        before = rig.redis_now()
        rig.flush()
        assert rig.covered_to() >= before


def test_a_shard_that_cannot_be_flushed_is_not_covered(valkey_url: str, sqlite_engine: Engine) -> None:
    with Rig(valkey_url, sqlite_engine, shards=2) as rig:
        rig.likes.add({f"item {n}": 1 for n in range(10)})
        rig.flush()
        covered = rig.covered_to()
        rig.likes.add({f"item {n}": 1 for n in range(10)})
        rig.redis.rename(rig.key("pending", 0), "aside")
        rig.redis.set(rig.key("pending", 0), "another type")
        with pytest.raises(LikesError):
            rig.flush()
        assert (rig.cursor(0).covered_to, rig.cursor(1).covered_to > covered) == (covered, True)
        rig.redis.rename("aside", rig.key("pending", 0))
        rig.flush()
        assert rig.covered_to() > covered


def test_a_worker_whose_clock_is_wrong(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour ahead, and back again: windows go by the clocks of the servers."""

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(hours=1)

    rig.likes.like("a")
    with monkeypatch.context() as patched:
        for module in ("chains", "ledger", "locked_shard"):
            patched.setattr(f"likes.sql.{module}.datetime", Ahead)
        rig.flush()
        assert rig.cursor().updated_at > datetime.now(UTC) + timedelta(minutes=59)
    covered = rig.covered_to()
    rig.likes.like("a", 10)
    lost_at = rig.redis_now()
    rig.redis.flushall()
    rig.flush()
    begin, end = the_window(rig, "redis_replaced")
    assert covered - SLACK < begin <= lost_at <= end <= rig.redis_now() + SLACK


def test_a_user_who_may_ask_no_server_anything_flushes_and_has_windows(
    own_valkey: Callable[..., RedisServer], sqlite_engine: Engine
) -> None:
    """What only serves incidents is gone without."""
    server = own_valkey()
    with Rig(server.url, sqlite_engine) as rig:
        rig.likes.like("a")
        rig.flush()
        rig.redis.acl_setuser("default", enabled=True, nopass=True, commands=["-info", "-time", "-config|get"])
        rig.likes.like("b")
        rig.flush()
        covered = rig.covered_to()
        rig.likes.like("b", 10)
        rig.redis.flushall()
        rig.flush()
        rig.likes.like("b")
        rig.flush()
        assert rig.totals() == {"a": 1, "b": 2}
        assert rig.kinds() == ["redis_replaced"]
        begin, end = the_window(rig, "redis_replaced")
        assert covered - SLACK < begin <= covered < end
