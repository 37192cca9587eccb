"""Status: what two servers say, read together and without changing anything."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, update

from likes.buffer.heartbeat import Heartbeat
from likes.buffer.leases import Leases
from likes.errors import SchemaOutdated
from likes.items import shard_of
from likes.reports.status import Status, read_status
from likes.sql.engine import writing
from likes.sql.tables import dead_letters, metadata
from tests.rig import Rig
from tests.stepping import SteppedWorker
from tests.waiting import wait_until
from worker.housekeeping import Housekeeping
from worker.pulse import Pulse
from worker.rounds import Rounds


@pytest.fixture
def rig(valkey_url: str, engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, engine, shards=2) as rig:
        yield rig


def status(rig: Rig) -> Status:
    return read_status(rig.worker.buffer, rig.worker.ledger, rig.shards)


def shard(item: str) -> int:
    return shard_of(item.encode(), 2)


def test_before_anything_happened(rig: Rig) -> None:
    now = status(rig)
    assert (now.pending_items, now.in_flight_batches, now.incidents, now.dead_letters) == (0, 0, 0, 0)
    assert now.oldest_pending_seconds is now.last_flush_at is None
    assert [(each.shard, each.epoch, each.cursor_seq, each.lease) for each in now.shards] == [
        (0, None, None, None),
        (1, None, None, None),
    ]
    assert rig.redis.keys() == [], "status changed something"
    assert rig.worker.ledger.cursors() == {}, "status changed something"


def test_likes_that_no_worker_has_seen_yet(rig: Rig) -> None:
    rig.likes.add({f"item {n}": n for n in range(1, 11)})
    now = status(rig)
    assert now.pending_items == 10
    assert now.last_flush_at is None
    wait_until(lambda: (status(rig).oldest_pending_seconds or 0) > 0)
    assert {each.epoch for each in now.shards} == {rig.epoch(0), rig.epoch(1)}


def test_after_a_flush(rig: Rig) -> None:
    before = datetime.now(UTC)
    rig.likes.add({f"item {n}": n for n in range(1, 11)})
    rig.flush()
    now = status(rig)
    assert (now.pending_items, now.oldest_pending_seconds) == (0, None)
    assert now.last_flush_at is not None
    assert before <= now.last_flush_at <= datetime.now(UTC)
    assert [(each.seq, each.cursor_seq, each.cursor_epoch == each.epoch) for each in now.shards] == [(1, 1, True)] * 2
    rig.reshard(1)
    assert status(rig).last_flush_at is not None


def test_the_age_is_that_of_the_oldest_shard_and_begins_anew_after_a_flush(rig: Rig) -> None:
    rig.likes.like("a")
    wait_until(lambda: (status(rig).oldest_pending_seconds or 0) > 0.2)
    rig.likes.like("a")
    assert (status(rig).oldest_pending_seconds or 0) > 0.2
    rig.flush()
    rig.likes.like("a")
    assert (status(rig).oldest_pending_seconds or 0) < 0.2


def test_a_batch_in_flight(rig: Rig) -> None:
    rig.likes.like("a")
    with SteppedWorker(rig) as worker:
        worker.go_until("hand_off").step()
    now = status(rig)
    assert (now.pending_items, now.in_flight_batches) == (0, 1)
    assert now.shards[shard("a")].in_flight_batches == 1


def test_what_waits_behind_a_batch_in_flight_is_as_old_as_it_was(rig: Rig) -> None:
    rig.batch_items = 1
    rig.likes.add({"a": 1, "c": 1})
    assert shard("a") == shard("c")
    wait_until(lambda: (status(rig).oldest_pending_seconds or 0) > 0.2)
    with SteppedWorker(rig) as worker:
        worker.go_until("hand_off").step()
    now = status(rig)
    assert (now.pending_items, now.in_flight_batches) == (1, 1)
    assert (now.oldest_pending_seconds or 0) > 0.2


def test_a_worker_keeps_its_leases_while_it_counts(rig: Rig) -> None:
    now = 0.0
    leases = Leases(rig.worker.buffer, 30, clock=lambda: now)
    pulse = Pulse(Heartbeat(rig.worker.buffer, "test", leases.token))
    Rounds(
        rig.worker, leases, Housekeeping(rig.worker.buffer, rig.worker.ledger, rig.sweep(), retention_days=30), pulse
    )
    leases.take([0])
    rig.redis.pexpire("{likes:0}:lease", 1000)
    rig.likes.add(dict.fromkeys(["a", "b", "c", "d"], 1))
    now = 9.0
    rig.flush()
    assert rig.redis.pttl("{likes:0}:lease") <= 1000
    rig.likes.add(dict.fromkeys(["a", "b", "c", "d"], 1))
    now = 11.0
    rig.flush()
    assert rig.redis.pttl("{likes:0}:lease") > 1000


def test_a_process_that_never_flushed_sees_batches_in_flight(rig: Rig) -> None:
    rig.likes.like("a")
    with SteppedWorker(rig) as worker:
        worker.go_until("hand_off").step()
    with rig.new_worker() as another:
        now = read_status(another.buffer, another.ledger, rig.shards)
    assert (now.in_flight_batches, list(now.problems)) == (1, [])


def test_leases_show_who_flushes(rig: Rig) -> None:
    leases = Leases(rig.worker.buffer, 30)
    leases.take([1])
    free, taken = status(rig).shards
    assert free.lease is free.lease_seconds is None
    assert taken.lease == leases.token
    assert taken.lease_seconds is not None
    assert 25 < taken.lease_seconds <= 30


def test_incidents_the_newest_first(rig: Rig) -> None:
    for _ in range(2):
        rig.likes.like("a")
        rig.flush()
        rig.redis.flushall()
    rig.likes.like("a")
    rig.flush()
    now = status(rig)
    assert now.incidents == len(now.newest_incidents) >= 2
    ids = [incident.id for incident in now.newest_incidents]
    assert ids == sorted(ids, reverse=True)
    newest = now.newest_incidents[0]
    assert newest.exposed_from is not None
    assert newest.exposed_from < newest.at <= newest.exposed_to
    assert newest.kind == rig.kinds()[-1]
    assert newest.detail


def test_dead_letters_count_until_they_are_resolved(rig: Rig) -> None:
    rig.likes.like("odd")
    rig.redis.set(rig.key("delta:likes:odd", shard("odd")), "no number")
    rig.flush()
    assert status(rig).dead_letters == 1
    with writing(rig.engine) as connection:
        connection.execute(update(dead_letters).values(resolved_at=datetime.now(UTC)))
    assert status(rig).dead_letters == 0


def test_shards_that_were_more_once_show_too(rig: Rig, valkey_url: str, engine: Engine) -> None:
    rig.likes.add({f"item {n}": n for n in range(1, 11)})
    rig.flush()
    with Rig(valkey_url, engine, shards=1) as fewer:
        assert [each.shard for each in status(fewer).shards] == [0, 1]


def test_without_tables_it_says_what_to_do(rig: Rig) -> None:
    with writing(rig.engine) as connection:
        metadata.drop_all(connection)
    with pytest.raises(SchemaOutdated, match="likes migrate"):
        status(rig)
