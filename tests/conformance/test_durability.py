"""Durable before applied: SQL gets no batch that a replica, or the disk, may not have, where that is asked for.

A master and its replica, which is stopped, or promoted while it is behind; a disk that is not synced for a while.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from likes.errors import CannotBeDurable, NotDurable
from tests.conformance.test_servers_that_change import follow
from tests.rig import SLACK, Rig
from tests.seams import tap_statements
from tests.servers import RedisServer, valkey
from tests.stepping import SteppedWorker
from tests.waiting import wait_until
from worker.flush import Flusher

SHARDS = 4
EVERYWHERE = {f"video:{n}": 1 for n in range(20)}  # in every shard
SOON = 0.2  # how long is waited for what will not come
BEFORE_IT_IS_APPLIED = "witness WAIT"


def times(number: int) -> dict[str, int]:
    return dict.fromkeys(EVERYWHERE, number)


class Pair:
    """A master, as a worker sees it (`here`), and its replica (`there`)."""

    def __init__(self, master: RedisServer, replica: RedisServer, engine: Engine, opened: ExitStack) -> None:
        self.master, self.replica = master, replica
        self._engine = engine
        self._opened = opened
        self.there = opened.enter_context(Rig(replica.url, engine, shards=SHARDS))

    def begin(self, durability: str = "replicas:1", **options: Any) -> Self:
        """With nothing in both."""
        rig = Rig(self.master.url, self._engine, shards=SHARDS, durability=durability, **options)
        self.here = self._opened.enter_context(rig)
        if self.there.redis.info("replication")["role"] != "slave":
            follow(self.there, self.master)
        self.here.redis.flushall()
        self.in_step()
        return self

    def like(self) -> None:
        """Once everywhere, and the replica has it."""
        self.here.likes.add(EVERYWHERE)
        self.in_step()

    def in_step(self) -> None:
        """The replica has all there is."""
        self.here.redis.set("step", step := uuid4().hex)
        wait_until(lambda: self.there.redis.get("step") == step.encode(), timeout=30)


@pytest.fixture(scope="module")
def two_servers() -> Iterator[tuple[RedisServer, RedisServer]]:
    """To be a master and its replica, for all tests that leave them so."""
    servers = valkey("--repl-diskless-sync-delay", "0"), valkey()
    for server in servers:
        server.start()
    yield servers
    for server in servers:
        server.remove()


@pytest.fixture
def pair(two_servers: tuple[RedisServer, RedisServer], sqlite_engine: Engine) -> Iterator[Pair]:
    """The two of them; `begin` comes first."""
    with ExitStack() as opened:
        opened.callback(two_servers[1].resume)
        yield Pair(*two_servers, sqlite_engine, opened)


def flush_soon(worker: Rig | Flusher) -> None:
    """Flush, once replicas confirm."""
    flusher = worker.worker if isinstance(worker, Rig) else worker

    def flushed() -> bool:
        try:
            flusher.flush(range(SHARDS))
        except NotDurable:
            return False
        return True

    wait_until(flushed, timeout=30)


# A replica that is behind is promoted (`tests/model/protocol_rows.py only=failover`).


@pytest.mark.parametrize("durability", ["none", "replicas:1"])
def test_a_replica_that_was_behind_is_promoted_after_a_hand_off(
    own_valkey: Callable[..., RedisServer], sqlite_engine: Engine, durability: str
) -> None:
    with ExitStack() as opened:
        pair = Pair(own_valkey("--repl-diskless-sync-delay", "0"), own_valkey(), sqlite_engine, opened)
        is_promoted_while_it_is_behind(pair.begin(durability, patience=SOON), durability)


def is_promoted_while_it_is_behind(pair: Pair, durability: str) -> None:
    pair.like()
    flush_soon(pair.here)
    covered = pair.here.covered_to()
    pair.like()
    with SteppedWorker(pair.here) as worker:
        worker.go_until("hand_off")
        pair.there.redis.replicaof("NO", "ONE")  # and so it never hears of the hand-off
        if durability == "none":
            worker.finish()
        else:
            with pytest.raises(NotDurable):
                worker.finish()
    pair.master.kill()
    pair.there.likes.add(EVERYWHERE)
    pair.there.flush()
    if durability == "none":
        assert pair.there.totals() == times(2)
        assert pair.there.set_aside() == times(2)  # what was counted already, and what was posted since
        incidents = pair.there.incidents()
        assert [each.kind for each in incidents].count("redis_went_back") == SHARDS
        assert all(covered - SLACK < each.exposed_from < each.exposed_to for each in incidents)
    else:
        assert pair.there.totals() == times(3)
        assert pair.there.kinds() == ["redis_failed_over"]
        assert pair.there.dead_letters() == []


def test_nothing_is_counted_that_the_replica_lacks(pair: Pair) -> None:
    """Looked at just before each commit, for rows of several batches."""
    pair.begin(batch_items=2)
    lacking: list[str] = []

    def before_each_commit(call: str, make: Callable[[], Any]) -> Any:
        if call == "COMMIT":
            sealed, copied = (nonces(rig.redis, pair.here) for rig in (pair.here, pair.there))
            lacking.extend(sealed - copied)
        return make()

    with pair.here.new_worker(wrap_engine=lambda engine: tap_statements(engine, before_each_commit)) as worker:
        for posted in range(1, 6):
            pair.here.likes.add(EVERYWHERE)
            flush_soon(worker)
            assert pair.here.totals() == times(posted)
    assert lacking == []
    assert len(pair.here.ledger()) > 10 * SHARDS


def nonces(client: Any, rig: Rig) -> set[bytes]:
    return {nonce for shard in range(SHARDS) for nonce in client.lrange(rig.key("nonces", shard), 0, -1)}


# A replica that does not answer.


def forget_nothing(_: Any) -> None:
    pass


def close_connections(redis: Any) -> None:
    """So that WAIT comes over one that has written nothing."""
    redis.client_kill_filter(_type="normal", skipme=True)


def close_connections_and_forget_scripts(redis: Any) -> None:
    close_connections(redis)
    redis.script_flush()


@pytest.mark.parametrize("happen", [forget_nothing, close_connections, close_connections_and_forget_scripts])
def test_what_no_replica_confirms_is_left_in_flight_until_one_does(pair: Pair, happen: Callable[[Any], object]) -> None:
    pair.begin(patience=SOON)
    pair.like()
    flush_soon(pair.here)
    pair.like()
    pair.replica.pause()
    with SteppedWorker(pair.here) as worker:
        worker.go_until(BEFORE_IT_IS_APPLIED)
        happen(pair.here.redis)
        with pytest.raises(NotDurable, match="0 of 1 replicas confirmed"):
            worker.finish()
    for _ in range(2):  # found in flight, they have to wait as well
        assert all(len(pair.here.views(shard)[pair.here.epoch(shard)].in_flight) == 1 for shard in range(SHARDS))
        assert pair.here.totals() == times(1)
        with pytest.raises(NotDurable):
            pair.here.flush()
    pair.replica.resume()
    flush_soon(pair.here)
    assert pair.here.totals() == times(2)
    assert pair.here.kinds() == []


def test_an_epoch_is_adopted_only_once_a_replica_has_it(pair: Pair) -> None:
    pair.begin(patience=SOON)
    pair.replica.pause()
    pair.here.likes.add(EVERYWHERE)
    with pytest.raises(NotDurable):
        pair.here.flush()
    assert {pair.here.cursor(shard).epoch for shard in range(SHARDS)} == {None}
    pair.replica.resume()
    flush_soon(pair.here)
    assert pair.here.totals() == times(1)


def test_a_row_that_the_server_no_longer_has_is_not_counted_from_memory(pair: Pair) -> None:
    """Failed over since the hand-off, to one that was behind: its own replicas confirm whatever is written to it."""
    pair.begin()
    pair.like()
    flush_soon(pair.here)
    pair.like()
    copy = pair.here.copy_redis()
    with SteppedWorker(pair.here) as worker:
        worker.go_until(BEFORE_IT_IS_APPLIED)
        pair.here.restore_redis(copy)
        pair.in_step()
        worker.finish()  # it looks again, and hands off once more
    assert pair.here.totals() == times(2)
    pair.like()
    flush_soon(pair.here)
    assert pair.here.totals() == times(3)
    assert pair.here.kinds() == []
    assert pair.here.dead_letters() == []


def test_a_row_that_another_worker_has_finished_meanwhile_is_let_go(pair: Pair) -> None:
    pair.begin()
    pair.like()
    with SteppedWorker(pair.here) as slow:
        slow.go_until("hand_off")
        slow.go_until(BEFORE_IT_IS_APPLIED)
        flush_soon(pair.here)
        slow.finish()
    assert pair.here.totals() == times(1)
    assert (pair.here.kinds(), pair.here.dead_letters()) == ([], [])


# A disk that is not synced: an append-only file that loses its end.


@pytest.mark.parametrize("durability", ["none", "aof"])
def test_the_end_of_the_append_only_file_is_lost_after_a_hand_off(
    own_valkey: Callable[..., RedisServer], sqlite_engine: Engine, tmp_path: Path, durability: str
) -> None:
    """`no-appendfsync-on-rewrite` has nothing synced while a snapshot is written: a power cut loses what came since."""
    server = own_valkey("--appendfsync", "always", "--no-appendfsync-on-rewrite", "yes")
    with Rig(server.url, sqlite_engine, shards=SHARDS, durability=durability, patience=SOON) as rig:
        rig.likes.add(EVERYWHERE)
        rig.flush()
        rig.likes.add(EVERYWHERE)
        with snapshot_under_way(server, rig):
            shutil.copytree(server.folder / "appendonlydir", tmp_path / "synced")
            if durability == "none":
                rig.flush()
            else:
                with pytest.raises(NotDurable, match="its disk"):
                    rig.flush()
            server.kill()
        shutil.rmtree(server.folder / "appendonlydir")
        shutil.copytree(tmp_path / "synced", server.folder / "appendonlydir")
        server.start()
        rig.likes.add(EVERYWHERE)
        rig.flush()
        if durability == "none":
            assert rig.totals() == times(2)
            assert rig.set_aside() == times(2)  # what was counted already, and what was posted since
            assert rig.kinds().count("redis_went_back") == SHARDS
        else:
            assert rig.totals() == times(3)
            assert (rig.kinds(), rig.dead_letters()) == ([], [])


def test_what_the_disk_did_not_have_is_counted_once_it_does(
    own_valkey: Callable[..., RedisServer], sqlite_engine: Engine
) -> None:
    server = own_valkey("--appendfsync", "always", "--no-appendfsync-on-rewrite", "yes")
    with Rig(server.url, sqlite_engine, shards=SHARDS, durability="aof", patience=SOON) as rig:
        rig.likes.add(EVERYWHERE)
        with snapshot_under_way(server, rig), pytest.raises(NotDurable):
            rig.flush()
        assert rig.totals() == {}
        flush_soon(rig)
        assert rig.totals() == times(1)
        assert rig.kinds() == []


@contextmanager
def snapshot_under_way(server: RedisServer, rig: Rig) -> Iterator[None]:
    rig.redis.config_set("rdb-key-save-delay", 10_000_000)
    rig.redis.bgsave()
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    child = int(wait_until(children.read_text).split()[0])
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)


# What cannot be had is refused before anything is handed off.


def refuse(rig: Rig, words: str) -> None:
    rig.likes.add(EVERYWHERE)
    before = rig.copy_redis()
    with pytest.raises(CannotBeDurable, match=words):
        rig.flush()
    assert rig.copy_redis() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--appendfsync", "everysec"], "appendfsync is everysec.*; redis-cli CONFIG SET appendfsync always$"),
        (["--appendonly", "no"], "no append-only file; redis-cli CONFIG SET appendonly yes$"),
    ],
)
def test_a_disk_that_is_not_synced_at_once_is_refused(
    own_valkey: Callable[..., RedisServer], sqlite_engine: Engine, options: list[str], words: str
) -> None:
    with Rig(own_valkey(*options).url, sqlite_engine, durability="aof") as rig:
        refuse(rig, words)


@pytest.mark.parametrize("redis_url", ["debian_redis", "redis_6_2"], indirect=True)
def test_a_server_that_cannot_wait_for_its_disk_is_refused(redis_url: str, sqlite_engine: Engine) -> None:
    with Rig(redis_url, sqlite_engine, durability="aof") as rig:
        if int(rig.redis.info("server")["redis_version"].split(".")[0]) > 7:
            pytest.skip("this Redis has WAITAOF")
        refuse(rig, "it knows no WAITAOF .*; export LIKES_DURABILITY=none$")


def test_more_replicas_than_there_are_is_refused(redis_url: str, sqlite_engine: Engine) -> None:
    with Rig(redis_url, sqlite_engine, durability="replicas:2") as rig:
        refuse(rig, "LIKES_DURABILITY is replicas:2, but no replica follows it; export LIKES_DURABILITY=none$")


def test_fewer_replicas_than_asked_for_is_refused(pair: Pair) -> None:
    pair.begin("replicas:2")
    refuse(pair.here, "only 1 of them follow it; export LIKES_DURABILITY=replicas:1$")
