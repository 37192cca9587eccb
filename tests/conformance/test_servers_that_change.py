"""A Redis that is restarted, restored from its snapshot, or replaced by its replica: noticed once, counted exactly."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from tests.rig import Rig
from tests.servers import RedisServer
from tests.stepping import SteppedWorker
from tests.waiting import wait_until

SHARDS = 4
EVERYWHERE = {f"video:{n}": 1 for n in range(20)}  # in every shard


@pytest.fixture
def rig_on(sqlite_engine: Engine) -> Iterator[Callable[[RedisServer], Rig]]:
    """Makes rigs on one database, whichever Redis they are on."""
    with ExitStack() as opened:
        yield lambda server: opened.enter_context(Rig(server.url, sqlite_engine, shards=SHARDS))


def times(number: int) -> dict[str, int]:
    return dict.fromkeys(EVERYWHERE, number)


def test_a_restart_is_one_incident_and_costs_nothing_with_the_append_only_file(
    own_valkey: Callable[..., RedisServer], rig_on: Callable[[RedisServer], Rig]
) -> None:
    server = own_valkey("--appendfsync", "always")
    rig = rig_on(server)
    rig.likes.add(EVERYWHERE)
    rig.flush()
    known_good = min(cursor.updated_at for cursor in rig.worker.ledger.cursors().values())
    rig.likes.add(EVERYWHERE)
    server.kill()
    server.start()
    rig.likes.add(EVERYWHERE)
    rig.flush()
    rig.flush()
    assert rig.totals() == times(3)
    (incident,) = rig.incidents()
    assert (incident.kind, incident.shard) == ("redis_restarted", None)
    assert (incident.exposed_from, incident.exposed_to <= datetime.now(UTC)) == (known_good, True)
    assert rig.dead_letters() == []


def test_several_workers_record_a_restart_once(
    own_valkey: Callable[..., RedisServer], rig_on: Callable[[RedisServer], Rig]
) -> None:
    server = own_valkey("--appendfsync", "always")
    one, other = rig_on(server), rig_on(server)
    one.likes.add(EVERYWHERE)
    one.flush()
    other.flush()
    server.kill()
    server.start()
    one.flush()
    other.flush()
    assert one.kinds() == ["redis_restarted"]


def test_two_workers_that_notice_a_restart_at_once_record_it_once(
    own_valkey: Callable[..., RedisServer], rig_on: Callable[[RedisServer], Rig]
) -> None:
    server = own_valkey("--appendfsync", "always")
    rig = rig_on(server)
    rig.likes.add(EVERYWHERE)
    rig.flush()
    server.kill()
    server.start()
    with SteppedWorker(rig) as slow:
        slow.go_until("INFO")  # it has read the cursors
        rig.flush()
        slow.finish()
    assert rig.kinds() == ["redis_restarted"]


def test_a_server_that_answers_reads_and_is_not_the_master_is_not_believed(
    own_valkey: Callable[..., RedisServer],
    rig_on: Callable[[RedisServer], Rig],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A demoted master, or a replica that is behind: only the master, asked anew, may say that Redis went back."""
    monkeypatch.setattr("worker.shard_flush.STEPS", 3)
    master, stale = own_valkey(), own_valkey()
    rig, on_stale = rig_on(master), rig_on(stale)
    rig.flush()
    rig.likes.add(EVERYWHERE)
    copy = rig.copy_redis()
    rig.flush()
    on_stale.restore_redis(copy)
    on_stale.redis.replicaof("127.0.0.1", 1)  # it refuses writes from now on
    with rig.new_worker() as deceived:
        deceived.buffer.link = on_stale.worker.buffer.link
        deceived.flush()
    assert "redis_went_back" not in rig.kinds()
    assert rig.retired() == {}
    rig.likes.add(EVERYWHERE)
    rig.flush()
    assert rig.totals() == times(2)
    assert rig.dead_letters() == []


def test_a_restart_without_persistence_is_an_emptied_redis(
    own_valkey: Callable[..., RedisServer], rig_on: Callable[[RedisServer], Rig]
) -> None:
    server = own_valkey("--appendonly", "no")
    rig = rig_on(server)
    rig.likes.add(EVERYWHERE)
    rig.flush()
    rig.likes.add(EVERYWHERE)  # lost
    server.kill()
    server.start()
    rig.likes.add(EVERYWHERE)
    rig.flush()
    assert rig.totals() == times(2)
    assert sorted(rig.kinds()) == ["redis_replaced"] * SHARDS + ["redis_restarted"]


def test_a_restart_from_an_older_snapshot_is_a_redis_gone_back(
    own_valkey: Callable[..., RedisServer], rig_on: Callable[[RedisServer], Rig]
) -> None:
    server = own_valkey("--appendonly", "no")
    rig = rig_on(server)
    rig.likes.add(EVERYWHERE)
    rig.redis.save()
    shutil.copy(server.folder / "dump.rdb", server.folder / "older")
    rig.flush()
    server.kill()
    shutil.copy(server.folder / "older", server.folder / "dump.rdb")
    server.start()
    rig.flush()
    assert rig.totals() == times(1)
    assert rig.set_aside() == times(1)
    assert sorted(set(rig.kinds())) == ["redis_restarted", "redis_went_back", "set_aside"]
    rig.likes.add(EVERYWHERE)
    rig.flush()
    assert rig.totals() == times(2)


def test_a_promoted_replica_that_has_everything_is_one_incident(
    own_valkey: Callable[..., RedisServer], rig_on: Callable[[RedisServer], Rig]
) -> None:
    master, replica = own_valkey("--repl-diskless-sync-delay", "0"), own_valkey()
    rig, on_replica = rig_on(master), rig_on(replica)
    rig.likes.add(EVERYWHERE)
    follow(on_replica, master)
    rig.flush()
    rig.likes.add(EVERYWHERE)
    assert rig.redis.wait(1, 5000) == 1
    master.kill()
    on_replica.redis.replicaof("NO", "ONE")
    on_replica.likes.add(EVERYWHERE)
    on_replica.flush()
    on_replica.flush()
    assert on_replica.totals() == times(3)
    assert on_replica.kinds() == ["redis_failed_over"]
    assert on_replica.dead_letters() == []


def test_a_promoted_replica_that_was_behind_is_a_redis_gone_back(
    own_valkey: Callable[..., RedisServer], rig_on: Callable[[RedisServer], Rig]
) -> None:
    master, replica = own_valkey("--repl-diskless-sync-delay", "0"), own_valkey()
    rig, on_replica = rig_on(master), rig_on(replica)
    follow(on_replica, master)
    rig.likes.add(EVERYWHERE)
    rig.flush()
    rig.likes.add(EVERYWHERE)
    assert rig.redis.wait(1, 5000) == 1
    on_replica.redis.replicaof("NO", "ONE")
    rig.flush()  # the replica does not hear of it
    master.kill()
    on_replica.likes.add(EVERYWHERE)
    on_replica.flush()
    assert on_replica.totals() == times(2)
    assert on_replica.set_aside() == times(2)  # what was flushed already, and what was posted since
    assert on_replica.kinds()[0] == "redis_failed_over"
    assert on_replica.kinds().count("redis_went_back") == SHARDS
    on_replica.likes.add(EVERYWHERE)
    on_replica.flush()
    assert on_replica.totals() == times(3)


def test_a_first_replica_that_joins_is_no_incident(
    own_valkey: Callable[..., RedisServer], rig_on: Callable[[RedisServer], Rig]
) -> None:
    """Its master takes a new replication id then, as it does after an hour without any; nothing was restarted."""
    master, replica = own_valkey("--repl-diskless-sync-delay", "0"), own_valkey()
    rig, on_replica = rig_on(master), rig_on(replica)
    rig.likes.add(EVERYWHERE)
    rig.flush()
    follow(on_replica, master)
    rig.likes.add(EVERYWHERE)
    rig.flush()
    assert rig.totals() == times(2)
    assert rig.kinds() == []


def test_a_server_is_another_one_when_either_of_its_ids_is(valkey_url: str, sqlite_engine: Engine) -> None:
    with Rig(valkey_url, sqlite_engine) as rig:
        rig.flush()
        recovery, ((server, _),) = rig.worker.recovery, rig.worker.buffer.servers([0])
        a_replica_joined = replace(server, replid="second")
        recovery.note_server([rig.cursor()], a_replica_joined)
        assert rig.kinds() == []
        assert (rig.cursor().replid, rig.cursor().run_id) == ("second", server.run_id)

        promoted = replace(server, run_id="another", replid="third", replid_before="second")
        recovery.note_server([rig.cursor()], promoted)
        assert rig.kinds() == ["redis_failed_over"]
        recovery.note_server([rig.cursor()], promoted)
        assert len(rig.incidents()) == 1

        recovery.note_server([rig.cursor()], replace(promoted, run_id="one more"))
        assert rig.kinds() == ["redis_failed_over", "redis_restarted"]


def follow(replica: Rig, master: RedisServer) -> None:
    """Make it a replica that has all its master has now."""
    replica.redis.replicaof("127.0.0.1", master.port)
    wait_until(lambda: replica.redis.info("replication").get("master_link_status") == "up")
