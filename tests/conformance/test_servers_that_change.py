"""A Redis that is restarted, restored from its snapshot, or replaced by its replica: noticed once, counted exactly."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from likes.buffer.servers import Server
from tests.rig import SLACK, Rig
from tests.servers import RedisServer
from tests.stepping import SteppedWorker
from tests.waiting import wait_until
from worker.arrivals import note_server

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
    server = own_valkey()
    rig = rig_on(server)
    rig.likes.add(EVERYWHERE)
    rig.flush()
    covered = rig.covered_to()
    rig.likes.add(EVERYWHERE)
    server.kill()
    server.start()
    rig.likes.add(EVERYWHERE)
    rig.flush()
    rig.flush()
    assert rig.totals() == times(3)
    (incident,) = rig.incidents()
    assert (incident.kind, incident.shard) == ("redis_restarted", None)
    assert "may have been lost" in incident.detail
    assert covered - SLACK < incident.exposed_from <= covered
    assert rig.covered_to() > incident.exposed_to - SLACK
    assert rig.dead_letters() == []


def test_a_restart_of_a_server_that_syncs_always_is_no_incident(
    own_valkey: Callable[..., RedisServer], rig_on: Callable[[RedisServer], Rig]
) -> None:
    server = own_valkey("--appendfsync", "always")
    rig = rig_on(server)
    rig.likes.add(EVERYWHERE)
    rig.flush()
    rig.likes.add(EVERYWHERE)
    server.kill()
    server.start()
    rig.likes.add(EVERYWHERE)
    rig.flush()
    assert rig.totals() == times(3)
    assert rig.kinds() == []


@pytest.mark.parametrize("always", ["before", "after"])
def test_a_server_that_syncs_always_on_one_side_of_a_restart_only_may_have_forgotten(
    own_valkey: Callable[..., RedisServer], rig_on: Callable[[RedisServer], Rig], always: str
) -> None:
    server = own_valkey("--appendfsync", "always" if always == "before" else "everysec")
    rig = rig_on(server)
    rig.likes.add(EVERYWHERE)
    rig.flush()
    server.kill()
    server.options = ("--appendfsync", "everysec" if always == "before" else "always")
    server.start()
    rig.flush()
    assert rig.kinds() == ["redis_restarted"]


def test_several_workers_record_a_restart_once(
    own_valkey: Callable[..., RedisServer], rig_on: Callable[[RedisServer], Rig]
) -> None:
    server = own_valkey()
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
    server = own_valkey()
    rig = rig_on(server)
    rig.likes.add(EVERYWHERE)
    rig.flush()
    server.kill()
    server.start()
    with SteppedWorker(rig) as slow:
        slow.go_until("INFO CONFIG TIME")  # it has read the cursors
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


def test_a_master_that_was_a_replica_for_a_while_is_an_incident(
    own_valkey: Callable[..., RedisServer], rig_on: Callable[[RedisServer], Rig]
) -> None:
    """There and back within an interval: the same process, under the replication id of its own promotion."""
    one, other = own_valkey("--repl-diskless-sync-delay", "0"), own_valkey("--repl-diskless-sync-delay", "0")
    rig, on_other = rig_on(one), rig_on(other)
    rig.likes.add(EVERYWHERE)
    follow(on_other, one)
    rig.flush()
    rig.flush()
    run_id, covered = rig.redis.info("server")["run_id"], rig.covered_to()
    on_other.redis.replicaof("NO", "ONE")
    rig.likes.like("lost", 100)  # the other never hears of it
    lost_at = rig.redis_now()
    follow(rig, other)
    rig.redis.replicaof("NO", "ONE")
    assert rig.redis.info("server")["run_id"] == run_id
    rig.likes.add(EVERYWHERE)
    rig.flush()
    rig.flush()
    assert rig.totals() == times(2)
    incident, found_out = rig.incidents()
    assert (incident.kind, incident.shard) == ("redis_failed_over", None)
    assert covered - SLACK < incident.exposed_from <= lost_at <= incident.exposed_to
    assert found_out.kind == "redis_forgot"  # by the client: likes were lost indeed


def note(rig: Rig, server: Server) -> None:
    note_server(rig.worker.buffer, rig.worker.ledger, [rig.cursor()], server)


def test_a_server_is_another_one_when_either_of_its_ids_is(valkey_url: str, sqlite_engine: Engine) -> None:
    with Rig(valkey_url, sqlite_engine) as rig:
        rig.flush()
        ((server, _),) = rig.worker.buffer.servers([0])
        a_replica_joined = replace(server, replid="second", replid_before="")
        note(rig, a_replica_joined)
        assert rig.kinds() == []
        assert (rig.cursor().replid, rig.cursor().run_id) == ("second", server.run_id)

        promoted = replace(server, run_id="another", replid="third", replid_before="second")
        note(rig, promoted)
        assert rig.kinds() == ["redis_failed_over"]
        note(rig, promoted)
        assert len(rig.incidents()) == 1

        note(rig, replace(promoted, run_id="one more"))
        assert rig.kinds() == ["redis_failed_over", "redis_restarted"]

        back_again = replace(promoted, run_id="one more", replid="fourth", replid_before="of another")
        note(rig, back_again)
        assert rig.kinds() == ["redis_failed_over", "redis_restarted", "redis_failed_over"]


def test_a_server_that_does_not_tell_which_it_is_leaves_what_is_known(valkey_url: str, sqlite_engine: Engine) -> None:
    with Rig(valkey_url, sqlite_engine) as rig:
        rig.flush()
        before = rig.cursor()
        note(rig, Server())
        assert (rig.cursor(), rig.kinds()) == (before, [])


def test_what_another_worker_noted_meanwhile_stays(valkey_url: str, sqlite_engine: Engine) -> None:
    """Or one that asked the server before it was restarted would note it again, and the next flush tell a restart."""
    with Rig(valkey_url, sqlite_engine) as rig:
        rig.flush()
        ((server, _),) = rig.worker.buffer.servers([0])
        read = rig.cursor()
        note(rig, replace(server, run_id="restarted"))
        note_server(rig.worker.buffer, rig.worker.ledger, [read], replace(server, run_id="before that"))
        assert (rig.cursor().run_id, rig.kinds()) == ("restarted", ["redis_restarted"])


def follow(replica: Rig, master: RedisServer) -> None:
    """Make it a replica that has all its master has now."""
    replica.redis.replicaof("127.0.0.1", master.port)
    wait_until(lambda: replica.redis.info("replication").get("master_link_status") == "up")
