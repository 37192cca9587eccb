"""Keys deleted or overwritten: each is named, the other shards go on, nothing counts twice or is lost unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgpack
import pytest
from sqlalchemy import Engine

from likes import LikeCounter
from likes.errors import LikesError
from likes.reports.audit import audit
from tests.live_shards import (
    FIRST,
    HERE,
    OUTSIDE,
    THERE,
    LiveShards,
    act_on_it,
    delete,
    make_another_type,
    put_in_order,
)
from tests.rig import Rig
from tests.servers import RedisServer

KEYS = (*OUTSIDE, "state", "pending", "in_flight", "nonces", "producers", "batch:2", f"delta:likes:{FIRST}")


@pytest.fixture
def live(valkey_url: str, sqlite_engine: Engine) -> Iterator[LiveShards]:
    with Rig(valkey_url, sqlite_engine, shards=2) as rig:
        yield LiveShards(rig, valkey_url)


@pytest.mark.parametrize("name", KEYS)
def test_a_key_deleted(live: LiveShards, name: str) -> None:
    delete(live, name)
    act_on_it(live)
    put_in_order(live)


def test_an_owner_of_another_type_in_a_shard_that_was_never_flushed(valkey_url: str, sqlite_engine: Engine) -> None:
    with Rig(valkey_url, sqlite_engine, shards=2) as rig:
        rig.redis.rpush("{likes:0}:owner", "a list")
        rig.likes.add({FIRST: 1, THERE[0]: 2})
        with pytest.raises(LikesError, match="the key {likes:0}:owner holds another type than ours"):
            rig.flush()
        assert rig.totals() == {THERE[0]: 2}
        rig.redis.delete("{likes:0}:owner")
        rig.flush()
        assert rig.totals() == {FIRST: 1, THERE[0]: 2}


@pytest.mark.parametrize("known", [False, True])
def test_owners_that_may_not_be_read(
    own_valkey: Callable[..., RedisServer], sqlite_engine: Engine, known: bool
) -> None:
    with Rig(own_valkey().url, sqlite_engine, shards=2) as rig:
        rig.likes.add({FIRST: 1, THERE[0]: 2})
        if known:
            rig.flush()
            rig.likes.add({FIRST: 1, THERE[0]: 2})
        rig.redis.acl_setuser("default", enabled=True, nopass=True, commands=["-get"])
        with pytest.raises(LikesError, match="get"):
            rig.flush()
        rig.redis.acl_setuser("default", enabled=True, nopass=True, commands=["+get"])
        rig.flush()
        assert rig.totals() == {FIRST: 1 + known, THERE[0]: 2 + 2 * known}


NAMED_BY = {
    "owner": {"status", "audit", "flush", "work"},
    "nonces": {"status", "audit", "flush", "work"},
    "epoch": {"status", "audit", "get", "post", "flush", "work"},
    "epochs": {"status", "audit", "flush", "work"},
    "lease": {"status", "audit"},
    "state": {"status", "audit", "get", "post", "flush", "work"},
    "pending": {"status", "audit", "flush", "work"},  # a like of what is pending needs no entry
    "in_flight": {"status", "audit", "get", "flush", "work"},
    "batch:2": {"status", "audit", "get", "flush", "work"},
    "producers": {"status", "audit", "post", "work"},
}


@pytest.mark.parametrize("name", NAMED_BY)
def test_a_key_of_another_type(live: LiveShards, name: str) -> None:
    make_another_type(live, name)
    key = live.key(name) if name != "epoch" else "{likes:0}:epoch"
    told = act_on_it(live)
    assert {who for who, words in told.items() if f"the key {key} holds another type than ours" in words} == NAMED_BY[
        name
    ]
    live.rig.redis.delete(key)  # as the message says
    put_in_order(live)


@pytest.mark.parametrize("batch", [b"no batch", b"\x07", msgpack.packb([1, 2]), msgpack.packb([1, *[None] * 9])])
def test_a_batch_that_is_none(live: LiveShards, batch: bytes) -> None:
    live.rig.redis.set(key := live.key("batch:2"), batch)
    told = act_on_it(live)
    assert {who for who, words in told.items() if f"the key {key} holds no batch" in words} == NAMED_BY["batch:2"]
    live.rig.redis.delete(key)
    put_in_order(live)
    assert live.lost() == {"batch_missing": 20 * len(HERE)}


FIELDS = {
    "seq": {"status", "audit", "get", "flush", "work"},
    "nonce": {"status", "audit", "flush", "work"},
    "acked": {"status", "audit"},
    "accepted": {"status", "audit"},
    "sealed": {"status", "audit"},
    "written_off": {"status", "audit"},
    "pending_since": {"status", "audit"},
}


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_of_the_state_that_is_none(live: LiveShards, field: str) -> None:
    before = live.rig.redis.hget(key := live.key("state"), field)
    live.rig.redis.hset(key, field, b"\xff 1.5e3")
    told = act_on_it(live)
    assert {who for who, words in told.items() if key in words} == FIELDS[field]
    here = audit(live.rig.worker.buffer, live.rig.worker.ledger, 2).shards[0]
    if field in ("seq", "nonce"):
        live.rig.redis.hset(key, field, before)
    elif field == "accepted":
        assert "set it to sealed + pending" in told["audit"]
        live.rig.redis.hset(key, field, here.sealed + here.pending)
    elif field == "sealed":
        assert "set it to applied + in flight + dead letters + written off" in told["audit"]
        live.rig.redis.hset(key, field, here.applied + here.in_flight + here.dead_letters + here.written_off)
    elif field == "written_off":
        assert "set it to what incidents of the kind deltas_missing have written off" in told["audit"]
        live.rig.redis.hset(key, field, 0)
    else:
        assert f"HDEL {key} {field}" in told["audit"]
        live.rig.redis.hdel(key, field)
    put_in_order(live)
    assert live.lost() == {}


def test_an_entry_in_flight_that_is_no_batch(live: LiveShards) -> None:
    for entry in (b"no batch", b"\xff", b"3:", b"3:\xff", b"0:abc"):
        live.rig.redis.rpush(key := live.key("in_flight"), entry)
        told = act_on_it(live)
        assert {who for who, words in told.items() if f"LREM {key} 1 " in words} == NAMED_BY["in_flight"]
        live.rig.redis.lrem(key, 1, entry)
    put_in_order(live)
    assert live.lost() == {}


@pytest.mark.parametrize("pointer", [b"\xff", b"an epoch: {no}", b"*", b"x" * 33])
def test_a_pointer_to_no_epoch(live: LiveShards, pointer: bytes) -> None:
    before = live.rig.redis.getset("{likes:0}:epoch", pointer)
    told = act_on_it(live)
    assert {who for who, words in told.items() if "the key {likes:0}:epoch holds " in words} == NAMED_BY["epoch"]
    live.rig.redis.set("{likes:0}:epoch", before)
    put_in_order(live)
    assert live.lost() == {}


def test_an_epoch_left_behind_that_is_none(live: LiveShards) -> None:
    live.rig.redis.sadd("{likes:0}:epochs", b"\xff\x00")
    told = act_on_it(live)
    out = r'SREM {likes:0}:epochs "\xff\x00"'
    assert {who for who, words in told.items() if out in words} == {"status", "flush", "work"}
    live.rig.redis.execute_command("SREM", "{likes:0}:epochs", b"\xff\x00")
    put_in_order(live)


@pytest.mark.parametrize("record", [b"", b"text", b"\xff", msgpack.packb([1, 2, 3]), msgpack.packb(1)])
def test_a_producer_that_is_none(live: LiveShards, record: bytes) -> None:
    for producer in live.rig.redis.hkeys(key := live.key("producers")):
        live.rig.redis.hset(key, producer, record)
    told = act_on_it(live)
    assert f"the key {key} holds a producer that is none of ours" in told["post"]
    live.rig.redis.delete(key)
    put_in_order(live)


def test_entries_of_pending_that_are_no_member(live: LiveShards) -> None:
    for entry in (b"no member", b"\xff\x00", b"", b":", b"likes:" + b"x" * 70_000):
        live.rig.redis.rpush(live.key("pending"), entry)
    act_on_it(live)
    put_in_order(live)
    assert live.lost() == {}
    assert live.rig.totals() == live.accepted


def test_an_error_on_a_lease_counts_as_free(live: LiveShards) -> None:
    make_another_type(live, "lease")
    refuse = live.rig.redis.acl_setuser
    refuse("default", enabled=True, nopass=True, commands=["-pttl", "-del"], keys=["*"])
    try:
        assert live.leases.take([0, 1]) == [0, 1]
    finally:
        refuse("default", enabled=True, nopass=True, categories=["+@all"], keys=["*"])
    assert live.work() == ""
    assert live.rig.totals() == live.accepted


def test_a_lease_that_would_never_run_out_is_none(live: LiveShards) -> None:
    live.rig.redis.set("{likes:0}:lease", "somebody")
    assert live.work() == live.status() == ""
    assert live.rig.totals() == live.accepted


def test_a_key_that_the_application_may_not_read_is_named_all_the_same(live: LiveShards) -> None:
    make_another_type(live, "epochs")
    live.rig.redis.delete("{likes:0}:epoch")
    rights = "-@all +evalsha +script|load +get +set +del +sadd +srem +hget +llen"
    live.rig.redis.execute_command("ACL", "SETUSER", "app", "on", "nopass", "~*", *rights.split())
    url = live.redis_url.replace("//", "//app:any@")
    try:
        with LikeCounter(redis_url=url, shards=2) as likes, pytest.raises(LikesError) as refused:
            likes.like(FIRST)
    finally:
        live.rig.redis.acl_deluser("app")
    assert "the key {likes:0}:epochs holds another type than ours; delete it" in str(refused.value)
