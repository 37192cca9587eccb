"""What each Lua script promises, on every kind of standalone server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from hashlib import sha1
from typing import Any

import pytest
import redis

from likes.batch import Batch, BatchId, Place
from likes.buffer import scripts
from likes.buffer.calls import Call, Script, command
from likes.buffer.keys import EpochKeys, epoch_keys
from likes.buffer.links.link import Link, ask
from likes.buffer.scripts import Added, HandedOff
from likes.buffer.standing import Standing
from likes.connect import Places
from likes.errors import RedisFull, RedisRefused, RedisUnavailable
from likes.member import Member, members_of
from tests.proxy import Proxy
from tests.servers import RedisServer, free_port
from tests.waiting import wait_until

NOW = 1_770_000_000_000
NONCES = [f"{n:032x}" for n in range(10)]
OURS, THEIRS = "1" * 32, "2" * 32  # two databases


def members(*items: str) -> list[Member]:
    return members_of([item.encode() for item in items], b"likes")


class Shard:
    """One shard under one epoch, `e`, with every script at hand."""

    def __init__(self, url: str) -> None:
        self.link: Link = Places(url, None, None, redis_timeout=5, database_timeout=5).open_link()
        self.redis: Any = redis.Redis.from_url(url, decode_responses=True)
        self.keys: EpochKeys = epoch_keys("likes", 3, "e")

    def close(self) -> None:
        self.link.close()
        self.redis.close()

    def call(self, call: Call[Any]) -> Any:
        return ask(self.link, [call])[0]

    def begin(self, fresh: str = "e", old: str = "", owner: str = OURS) -> str:
        return str(self.call(scripts.begin_epoch(self.keys, old=old, fresh=fresh, owner=owner)))

    def claim(self, database: str = OURS, seen: str = "") -> str:
        return str(self.call(scripts.claim(self.keys, seen=seen, database=database)))

    def add(
        self, entries: dict[str, int], *, sequence: int, producer: str = "p", epoch: str = "e", **options: Any
    ) -> Added:
        keys = epoch_keys("likes", 3, epoch)
        each = [*zip(members(*entries), entries.values(), strict=True)]
        added: Added = self.call(
            scripts.add(keys, producer=producer, sequence=sequence, entries=each, wants_pending=True, **options)
        )
        return added

    def hand_off(self, *items: str, seq: int = 0, nonce: str = "", **options: Any) -> HandedOff | None:
        arguments: dict[str, Any] = {"in_flight": 0, "next_head": 0, "pending_since": None, "owner": OURS} | options
        arguments.setdefault("fresh_nonce", NONCES[seq + 1])
        sealed: HandedOff | None = self.call(
            scripts.hand_off(self.keys, after=Place("e", seq, nonce), now=NOW, head=members(*items), **arguments)
        )
        return sealed

    def acknowledge(self, seq: int, nonce: str, owner: str = OURS) -> bool:
        return bool(self.call(scripts.acknowledge(self.keys, BatchId(3, "e", seq, nonce), owner)))

    def drop(self, owner: str = OURS) -> bool:
        return bool(self.call(scripts.drop_epoch(self.keys, owner)))

    def delta(self, item: str) -> str:
        """The key of a delta."""
        return self.keys.delta(*members(item)).decode()

    def pending(self) -> list[str]:
        members: list[str] = self.redis.lrange(self.keys.pending, 0, -1)
        return [member.removeprefix("likes:") for member in members]

    def state(self) -> dict[str, str]:
        state: dict[str, str] = self.redis.hgetall(self.keys.state)
        return state

    def everything(self) -> dict[str, bytes]:
        with redis.Redis(connection_pool=redis.ConnectionPool.from_url(self.url)) as raw:
            return {key: raw.dump(key) for key in sorted(raw.keys())}

    @property
    def url(self) -> str:
        arguments = self.redis.connection_pool.connection_kwargs
        return f"redis://{arguments['host']}:{arguments['port']}/0"


@pytest.fixture
def shard(redis_url: str) -> Iterator[Shard]:
    shard = Shard(redis_url)
    shard.begin()
    shard.claim()
    yield shard
    shard.close()


def sealed(handed_off: HandedOff | None) -> dict[str, int]:
    assert handed_off is not None
    return {delta.item: delta.delta for delta in handed_off.batch.deltas}


# add


def test_add_counts_and_answers_with_what_is_pending(shard: Shard) -> None:
    assert shard.add({"a": 3, "b": -2}, sequence=1) == Added("e", True, {}, (3, -2))
    assert shard.add({"a": 1}, sequence=2).pending == (4,)
    assert shard.pending() == ["a", "b"]
    assert shard.state()["accepted"] == "2"
    assert int(shard.state()["pending_since"]) > NOW


def test_a_repeated_sequence_counts_once(shard: Shard) -> None:
    for _ in range(3):
        assert shard.add({"a": 3}, sequence=1) == Added("e", True, {}, (3,))
    assert shard.add({"a": 3}, sequence=2).pending == (6,)
    assert shard.add({"a": 3}, sequence=1).pending == (6,)  # a straggler, overtaken by the next
    assert shard.state()["accepted"] == "6"


def test_each_producer_has_a_sequence_of_its_own(shard: Shard) -> None:
    shard.add({"a": 1}, sequence=1, producer="p")
    shard.add({"a": 1}, sequence=1, producer="q")
    assert shard.add({"a": 1}, sequence=1, producer="p").pending == (2,)


@pytest.mark.parametrize("current", ["another", ""])
def test_add_to_another_epoch_does_nothing_and_names_the_current_one(shard: Shard, current: str) -> None:
    if current:
        shard.begin(current, old="e")
    else:
        shard.redis.delete(shard.keys.pointer)
    before = shard.everything()
    assert shard.add({"a": 1}, sequence=1) == Added(current, False, {}, ())
    assert shard.everything() == before


def test_a_bad_entry_is_refused_alone_and_again_when_repeated(shard: Shard) -> None:
    shard.redis.rpush(shard.delta("list"), "x")
    shard.redis.set(shard.delta("text"), "abc")
    shard.redis.set(shard.delta("full"), 2**63 - 2)
    entries = {"good": 1, "list": 2, "text": 3, "full": 4, "also good": 5}
    for _ in range(2):
        added = shard.add(entries, sequence=1)
        assert added.refused.keys() == {1, 2, 3}
        assert "WRONGTYPE" in added.refused[1]
        assert "not an integer" in added.refused[2]
        assert "overflow" in added.refused[3]
        assert added.pending == (1, 0, 0, 2**63 - 2, 5)
        shard.redis.delete(shard.delta("list"))  # it would fit by now, but it was refused
    assert shard.pending() == ["good", "also good"]
    assert shard.state()["accepted"] == "6"


def test_a_member_is_pushed_once_when_its_delta_begins(shard: Shard) -> None:
    shard.add({"a": 1}, sequence=1)
    shard.add({"a": -1}, sequence=2)
    assert shard.redis.get(shard.delta("a")) == "0"
    shard.add({"a": 1, "b": 1}, sequence=3)
    assert shard.pending() == ["a", "b"]


def test_what_is_pending_is_as_old_as_its_oldest_member(shard: Shard) -> None:
    shard.add({"a": 1}, sequence=1)
    shard.redis.hset(shard.keys.state, "pending_since", 5)
    shard.add({"a": 1, "b": 1}, sequence=2)
    assert shard.state()["pending_since"] == "5"
    shard.redis.delete(shard.keys.pending)
    shard.redis.hdel(shard.keys.state, "pending_since")
    shard.add({"a": 1}, sequence=3)  # its delta is there, so nothing is pushed
    assert "pending_since" not in shard.state()


def test_deltas_past_the_numbers_of_lua_stay_exact(shard: Shard) -> None:
    shard.redis.set(shard.delta("a"), 2**62)
    shard.redis.rpush(shard.keys.pending, "likes:a", "likes:b")
    assert shard.add({"a": 2**53 + 1, "b": 2**53 + 3}, sequence=1).pending[0] == 2**62 + 2**53 + 1
    assert sealed(shard.hand_off("a", "b")) == {"a": 2**62 + 2**53 + 1, "b": 2**53 + 3}
    assert shard.state()["sealed"] == str(2**62 + 2**54 + 4)


@pytest.mark.parametrize("large", [2**53, -(2**53)])
def test_the_first_delta_that_lua_has_no_number_for_is_answered_as_it_is(shard: Shard, large: int) -> None:
    sign = large // 2**53
    shard.redis.set(shard.delta("a"), large - 2 * sign)
    pending = [shard.add({"a": sign}, sequence=sequence).pending for sequence in (1, 2, 3)]
    assert pending == [(large - sign,), (large,), (large + sign,)]


@pytest.mark.parametrize(("limit", "sign"), [(2**63 - 1, 1), (-(2**63), -1)])
@pytest.mark.parametrize("size", [5, 2**60])
def test_the_sums_stop_at_64_bits(shard: Shard, limit: int, sign: int, size: int) -> None:
    nearly = limit - 2 * sign
    shard.redis.hset(shard.keys.state, mapping={"accepted": nearly, "sealed": nearly})
    shard.add({"a": sign * size}, sequence=1)
    assert shard.state()["accepted"] == str(limit)
    shard.hand_off("a")
    assert shard.state()["sealed"] == str(limit)


def test_a_full_redis_refuses_an_add_whole_and_a_flush_makes_room(shard: Shard) -> None:
    shard.add({"a": 1}, sequence=1)
    shard.redis.config_set("maxmemory", 1)
    try:
        before = shard.everything()
        with pytest.raises(RedisFull, match="a flush makes room"):
            shard.add({"a": 1, "b": 1}, sequence=2)
        assert shard.everything() == before
        assert sealed(shard.hand_off("a")) == {"a": 1}
        assert shard.acknowledge(1, NONCES[1])
        assert shard.begin("next", old="e") == "next"
    finally:
        shard.redis.config_set("maxmemory", 0)
    shard.begin("e", old="next")
    assert shard.add({"a": 1, "b": 1}, sequence=2).pending == (1, 1)


# hand_off


def test_a_hand_off_seals_what_is_pending(shard: Shard) -> None:
    shard.add({"a": 3, "b": -2, "c": 1}, sequence=1)
    handed_off = shard.hand_off("a", "b", next_head=5, pending_since=123)
    assert handed_off
    batch = handed_off.batch
    assert (batch.id, batch.previous) == (BatchId(3, "e", 1, NONCES[1]), "")
    assert batch.sealed_at.timestamp() * 1000 == NOW
    assert sealed(handed_off) == {"a": 3, "b": -2}
    assert handed_off.next_head == (b"likes:c",)
    assert shard.pending() == ["c"]
    assert not shard.redis.exists(shard.delta("a"), shard.delta("b"))
    assert shard.redis.lrange(shard.keys.in_flight, 0, -1) == [f"1:{NONCES[1]}"]
    assert shard.state().items() >= {"seq": "1", "nonce": NONCES[1], "sealed": "1", "pending_since": "123"}.items()
    with redis.Redis.from_url(shard.url) as raw:
        assert Batch.unpack(raw.get(shard.keys.batch(1))) == batch


def test_the_last_hand_off_leaves_nothing_pending(shard: Shard) -> None:
    shard.add({"a": 1}, sequence=1)
    handed_off = shard.hand_off("a", next_head=0, pending_since=123)
    assert handed_off and handed_off.next_head == ()
    assert "pending_since" not in shard.state()


def test_a_hand_off_that_wants_no_next_head_gets_none(shard: Shard) -> None:
    shard.add({"a": 1, "b": 1, "c": 1}, sequence=1)
    handed_off = shard.hand_off("a", next_head=0)
    assert handed_off and handed_off.next_head == ()


def test_batches_form_a_chain(shard: Shard) -> None:
    shard.add({"a": 1}, sequence=1)
    shard.hand_off("a")
    shard.acknowledge(1, NONCES[1])
    shard.add({"a": 2}, sequence=2)
    handed_off = shard.hand_off("a", seq=1, nonce=NONCES[1])
    assert handed_off and (handed_off.batch.id.seq, handed_off.batch.previous) == (2, NONCES[1])


@pytest.mark.parametrize("compared", [{"seq": 2, "nonce": NONCES[1]}, {"seq": 0}, {"seq": 1}, {"seq": 1, "nonce": "?"}])
def test_a_hand_off_does_nothing_unless_seq_and_nonce_are_as_compared(shard: Shard, compared: dict[str, Any]) -> None:
    shard.add({"a": 1}, sequence=1)
    shard.hand_off("a")
    shard.acknowledge(1, NONCES[1])
    shard.add({"a": 1}, sequence=2)
    before = shard.everything()
    assert shard.hand_off("a", **compared) is None
    assert shard.everything() == before


def test_a_hand_off_does_nothing_while_a_batch_is_in_flight(shard: Shard) -> None:
    shard.add({"a": 1, "b": 1}, sequence=1)
    shard.hand_off("a")
    before = shard.everything()
    assert shard.hand_off("b", seq=1, nonce=NONCES[1]) is None
    assert shard.everything() == before


@pytest.mark.parametrize("head", [["b"], ["b", "a"], ["a", "b", "c"], ["c"]])
def test_a_hand_off_does_nothing_when_the_head_has_changed(shard: Shard, head: list[str]) -> None:
    shard.add({"a": 1, "b": 1}, sequence=1)
    before = shard.everything()
    assert shard.hand_off(*head) is None
    assert shard.everything() == before


def test_missing_deltas_and_zeros_are_left_out(shard: Shard) -> None:
    shard.add({"a": 1, "b": 2, "c": 3}, sequence=1)
    shard.add({"b": -2}, sequence=2)
    shard.redis.delete(shard.delta("c"))
    assert sealed(shard.hand_off("a", "b", "c")) == {"a": 1}
    assert shard.pending() == []


def test_a_batch_of_nothing_but_zeros_is_sealed_too(shard: Shard) -> None:
    shard.add({"a": 1}, sequence=1)
    shard.add({"a": -1}, sequence=2)
    assert sealed(shard.hand_off("a")) == {}
    assert shard.state()["seq"] == "1"
    assert shard.acknowledge(1, NONCES[1])


NO_DELTAS = ["abc", "1.5", "", " 1", "+1", "01", "-0", "1e3", "99999999999999999999", "\x00", "1\n", "1\n2"]


@pytest.mark.parametrize("text", NO_DELTAS)
@pytest.mark.parametrize("item", ["a", "z"])
def test_what_is_no_delta_is_sealed_as_it_is(shard: Shard, text: str, item: str) -> None:
    shard.add({"b": 2, item: 1}, sequence=1)
    shard.redis.set(shard.delta(item), text)
    handed_off = shard.hand_off("b", item)
    assert sealed(handed_off) == {"b": 2}
    assert handed_off and [(misfit.item, misfit.raw) for misfit in handed_off.batch.misfits] == [(item, text.encode())]
    assert shard.state()["sealed"] == "2"


def test_a_batch_of_one_entry_that_looks_like_two_can_be_read(shard: Shard) -> None:
    shard.add({"a": 1}, sequence=1)
    shard.redis.set(shard.delta("a"), "1\n2")
    handed_off = shard.hand_off("a")
    assert handed_off and [misfit.raw for misfit in handed_off.batch.misfits] == [b"1\n2"]


def test_a_delta_of_another_type_is_sealed_as_a_dump_and_out_of_the_way(shard: Shard) -> None:
    shard.add({"a": 1, "b": 2}, sequence=1)
    shard.redis.delete(shard.delta("a"))
    shard.redis.sadd(shard.delta("a"), "x", "y")
    handed_off = shard.hand_off("a", "b")
    assert handed_off and sealed(handed_off) == {"b": 2}
    (misfit,) = handed_off.batch.misfits
    assert "WRONGTYPE" in misfit.reason
    with redis.Redis.from_url(shard.url) as raw:
        raw.restore("restored", 0, misfit.raw)
        assert raw.smembers("restored") == {b"x", b"y"}
        raw.delete("restored")
    assert shard.add({"a": 7}, sequence=2).pending == (7,)


def test_a_hand_off_that_may_not_take_deltas_says_so_and_does_nothing(shard: Shard) -> None:
    """No delta is a misfit because of that: a Redis before 6.2 knows no GETDEL at all."""
    shard.add({"a": 1, "b": 2}, sequence=1)
    before = shard.everything()
    shard.redis.execute_command("ACL", "SETUSER", "default", "-getdel")
    try:
        with pytest.raises(RedisRefused, match="(?i)permission|can't run this command"):
            shard.hand_off("a", "b")
    finally:
        shard.redis.execute_command("ACL", "SETUSER", "default", "+getdel")
    assert shard.everything() == before
    assert sealed(shard.hand_off("a", "b")) == {"a": 1, "b": 2}


# acknowledge


def test_only_the_very_batch_is_acknowledged_and_once(shard: Shard) -> None:
    shard.add({"a": 1}, sequence=1)
    shard.hand_off("a")
    before = shard.everything()
    assert not shard.acknowledge(1, NONCES[9])
    assert not shard.acknowledge(2, NONCES[1])
    assert shard.everything() == before
    assert shard.acknowledge(1, NONCES[1])
    assert not shard.acknowledge(1, NONCES[1])
    assert not shard.redis.exists(shard.keys.in_flight, shard.keys.batch(1))
    assert shard.state()["acked"] == "1"


def test_batches_are_acknowledged_in_their_order(shard: Shard) -> None:
    shard.add({"a": 1, "b": 1}, sequence=1)
    shard.hand_off("a")
    shard.hand_off("b", seq=1, nonce=NONCES[1], in_flight=1)
    assert not shard.acknowledge(2, NONCES[2])
    assert shard.redis.exists(shard.keys.batch(2))
    assert shard.acknowledge(1, NONCES[1]) and shard.acknowledge(2, NONCES[2])


# epochs


def test_an_epoch_begins_only_from_exactly_the_old_one(shard: Shard) -> None:
    assert shard.begin("other", old="") == "e"
    assert shard.begin("other", old="older") == "e"
    assert shard.begin("other", old="e") == "other"
    assert shard.redis.smembers(shard.keys.epochs) == {"e", "other"}


def test_two_that_begin_at_once_end_in_one_epoch(shard: Shard) -> None:
    shard.redis.flushall()
    with ThreadPoolExecutor(8) as pool:
        begun = set(pool.map(shard.begin, [f"epoch {n}" for n in range(8)]))
    assert len(begun) == 1
    assert shard.redis.smembers(shard.keys.epochs) == begun


def test_an_epoch_is_dropped_only_when_it_is_left_behind_and_empty(shard: Shard) -> None:
    assert not shard.drop()
    shard.add({"a": 1}, sequence=1)
    assert not shard.drop()
    shard.begin("next", old="e")
    assert not shard.drop()
    shard.hand_off("a")
    assert not shard.drop()
    shard.acknowledge(1, NONCES[1])
    assert shard.drop()
    assert set(shard.redis.keys()) == {
        key.decode() for key in (shard.keys.pointer, shard.keys.epochs, shard.keys.owner, shard.keys.resharding)
    }
    assert shard.redis.smembers(shard.keys.epochs) == {"next"}
    assert shard.drop()


# owner


def test_a_shard_is_claimed_only_from_whom_it_was_seen_to_belong_to(shard: Shard) -> None:
    assert shard.claim(THEIRS) == OURS
    assert shard.claim(OURS, seen=THEIRS) == OURS
    assert shard.claim(THEIRS, seen=OURS) == THEIRS
    assert shard.redis.get(shard.keys.owner) == THEIRS


@pytest.mark.parametrize("owner", [THEIRS, ""], ids=["another's", "nobody's"])
def test_a_shard_of_another_database_is_left_as_it_is(shard: Shard, owner: str) -> None:
    shard.add({"a": 1, "b": 1}, sequence=1)
    shard.hand_off("a")
    shard.redis.set(shard.keys.owner, owner) if owner else shard.redis.delete(shard.keys.owner)
    before = shard.everything()
    assert shard.hand_off("b", seq=1, nonce=NONCES[1], in_flight=1) is None
    assert not shard.acknowledge(1, NONCES[1])
    assert not shard.call(scripts.write_off(shard.keys, before=0, now=1, owner=OURS))
    assert shard.begin("next", old="e") == "e"
    assert shard.call(scripts.fetch(shard.keys, 1)).owner == owner
    assert shard.call(scripts.confirm(shard.keys)).owner == owner
    shard.redis.delete(shard.keys.pending, shard.keys.in_flight)
    shard.redis.set(shard.keys.pointer, "next")
    assert not shard.drop()
    assert before.keys() - shard.everything().keys() == {shard.keys.pending, shard.keys.in_flight}


def test_a_full_redis_can_be_claimed(shard: Shard) -> None:
    shard.redis.delete(shard.keys.owner)
    shard.redis.config_set("maxmemory", 1)
    try:
        assert shard.claim() == OURS
    finally:
        shard.redis.config_set("maxmemory", 0)


# confirm


def test_confirm_tells_which_batches_were_sealed_here(shard: Shard) -> None:
    shard.add({"a": 1, "b": 1}, sequence=1)
    shard.hand_off("a")
    shard.acknowledge(1, NONCES[1])
    shard.hand_off("b", seq=1, nonce=NONCES[1])
    places = [Place("e", seq, NONCES[seq]) for seq in (1, 2, 3)]
    asked = [*places, Place("e", 1, NONCES[2])]
    assert shard.call(scripts.confirm(shard.keys, asked)).remembers == set(places[:2])
    shard.redis.delete(shard.keys.nonces)
    shard.redis.set(shard.keys.nonces, "another type")
    assert shard.call(scripts.confirm(shard.keys, asked)).remembers == set()


def test_a_witness_writes_only_where_all_batches_are_in_flight(shard: Shard) -> None:
    shard.add({"a": 1, "b": 1}, sequence=1)
    shard.hand_off("a")
    shard.hand_off("b", seq=1, nonce=NONCES[1], in_flight=1)
    first, second, unknown = (BatchId(3, "e", seq, NONCES[seq]) for seq in (1, 2, 3))
    before = shard.state()
    for batches in ([unknown], [first, unknown], [replace_nonce(first), second]):
        assert shard.call(scripts.witness(shard.keys, batches)) is False
    assert shard.call(scripts.witness(epoch_keys("likes", 3, "other"), is_current=True)) is False
    assert shard.state() == before
    written = set()
    for batches in ([first], [first, second], []):
        assert shard.call(scripts.witness(shard.keys, batches, is_current=True)) is True
        written.add(shard.state()["witness"])
    assert len(written) == 3
    assert shard.redis.exists(epoch_keys("likes", 3, "other").state) == 0


def replace_nonce(batch: BatchId) -> BatchId:
    return batch._replace(nonce=NONCES[9])


def test_the_last_ten_thousand_batches_are_remembered(shard: Shard) -> None:
    shard.redis.rpush(shard.keys.nonces, *(f"{seq}:old" for seq in range(10_000)))
    shard.add({"a": 1}, sequence=1)
    shard.hand_off("a")
    assert shard.redis.llen(shard.keys.nonces) == 10_000
    assert shard.redis.lrange(shard.keys.nonces, 0, 0) == ["1:old"]
    assert shard.redis.lrange(shard.keys.nonces, -1, -1) == [f"1:{NONCES[1]}"]


def test_confirm_tells_where_a_shard_stands(shard: Shard) -> None:
    assert shard.call(scripts.confirm(shard.keys)) == (Standing(3, "e", current="e"), OURS, frozenset())
    shard.add({"a": 5, "b": 1}, sequence=1)
    shard.hand_off("a")
    confirmed: Standing = shard.call(scripts.confirm(shard.keys)).standing
    assert confirmed.pending_since and confirmed.pending_since > NOW
    assert replace(confirmed, pending_since=None) == Standing(
        3,
        "e",
        current="e",
        seq=1,
        nonce=NONCES[1],
        accepted=6,
        sealed=5,
        pending=1,
        in_flight=(BatchId(3, "e", 1, NONCES[1]),),
    )
    before = shard.everything()
    shard.redis.config_set("maxmemory", 1)
    try:
        assert shard.call(scripts.confirm(shard.keys)).standing == confirmed
    finally:
        shard.redis.config_set("maxmemory", 0)
    assert shard.everything() == before


def test_a_replica_answers_reads_but_fails_to_confirm(own_valkey: Callable[..., RedisServer]) -> None:
    master = own_valkey("--repl-diskless-sync-delay", "0")
    replica = own_valkey("--replicaof", "127.0.0.1", str(master.port))
    on_master, on_replica = Shard(master.url), Shard(replica.url)
    on_master.begin()
    on_master.add({"a": 1}, sequence=1)
    wait_until(lambda: on_replica.redis.get(on_replica.delta("a")) == "1")
    assert on_replica.call(scripts.look(on_replica.keys, members("a"))).deltas == (1,)
    with pytest.raises(RedisUnavailable, match="read only replica"):
        on_replica.call(scripts.confirm(on_replica.keys))
    on_master.close()
    on_replica.close()


# lease, prune_producers, look, repair, tally, write_off


def test_a_lease_is_held_by_one_kept_and_given_back(shard: Shard) -> None:
    def lease(token: str, milliseconds: int) -> bool:
        return bool(shard.call(scripts.lease(shard.keys, token=token, milliseconds=milliseconds)))

    assert lease("me", 60_000)
    assert lease("me", 90_000)
    assert 60_000 < shard.redis.pttl(shard.keys.lease) <= 90_000
    assert not lease("you", 60_000)
    assert not lease("you", 0)
    assert lease("me", 0)
    assert lease("you", 1)
    wait_until(lambda: lease("me", 60_000))


def test_what_is_no_lease_is_taken_over(shard: Shard) -> None:
    take_over = scripts.lease(shard.keys, token="me", milliseconds=60_000)
    shard.redis.rpush(shard.keys.lease, "another type")
    assert shard.call(take_over)
    shard.redis.set(shard.keys.lease, "it would never run out")
    assert shard.call(take_over)
    assert 0 < shard.redis.pttl(shard.keys.lease) <= 60_000
    shard.redis.set(shard.keys.lease, "you", px=60_000)
    assert not shard.call(take_over)


def remembered(shard: Shard) -> dict[bytes, bytes]:
    """What Redis remembers of each producer."""
    with redis.Redis.from_url(shard.url) as raw:
        found: dict[bytes, bytes] = raw.hgetall(shard.keys.producers)
        return found


def test_producers_that_stand_as_they_were_seen_are_pruned(shard: Shard) -> None:
    for producer in ("p", "q", "r"):
        shard.add({"a": 1}, sequence=1, producer=producer)
    seen = remembered(shard)
    shard.add({"a": 1}, sequence=2, producer="q")
    silent = {name: record for name, record in seen.items() if name != b"r"} | {b"nobody": seen[b"p"]}
    assert shard.call(scripts.prune_producers(shard.keys, silent, OURS)) == 1
    assert remembered(shard).keys() == {b"q", b"r"}
    assert shard.call(scripts.prune_producers(shard.keys, remembered(shard), THEIRS)) == 0


def test_a_producer_that_redis_no_longer_knows_proves_that_it_forgot(shard: Shard) -> None:
    def add(sequence: int, known: tuple[int, int] | None, *, sent_before: bool = False) -> Added:
        acknowledged = known and scripts.Acknowledged(*known)
        return shard.add({"a": 1}, sequence=sequence, acknowledged=acknowledged, sent_before=sent_before)

    def proof() -> str | None:
        return shard.state().pop("forgot", None)

    add(1, None)
    add(2, (1, 0))
    add(3, None)  # lately nothing was acknowledged
    add(3, (2, 0), sent_before=True)
    add(4, (3, 0), sent_before=True)  # was not counted before
    assert (shard.redis.get(shard.delta("a")), proof()) == ("4", None)

    seconds, microseconds = shard.redis.time()
    before = seconds * 1000 + microseconds // 1000
    assert add(7, (6, 60_000)).done  # stands lower
    assert before - 60_000 <= int(proof() or 0) <= before - 50_000
    shard.redis.hdel(shard.keys.producers, "p")
    assert add(8, (7, 10)).done  # is unknown
    assert int(proof() or 0) >= before - 10
    assert shard.redis.get(shard.delta("a")) == "6"
    assert add(8, (7, 10)).done  # knows it again
    shard.redis.hdel(shard.keys.state, "forgot")
    shard.redis.hdel(shard.keys.producers, "p")
    assert add(9, (8, 10), sent_before=True) == Added("e", False, {}, ())
    assert proof() is not None
    assert shard.redis.get(shard.delta("a")) == "6"


def test_a_look_reads_pending_and_in_flight_of_one_moment(shard: Shard) -> None:
    def look(epoch: str = "e") -> scripts.Look:
        now: scripts.Look = shard.call(scripts.look(epoch_keys("likes", 3, epoch), members("a", "b", "none")))
        return now

    shard.add({"a": 5, "b": 1}, sequence=1)
    shard.hand_off("a")
    shard.redis.set(shard.delta("b"), "abc")
    assert (look().seq, look().in_flight, look().deltas) == (1, (BatchId(3, "e", 1, NONCES[1]),), (0, 0, 0))
    shard.redis.set(shard.delta("b"), 2**53 + 1)
    assert look().deltas == (0, 2**53 + 1, 0)
    shard.acknowledge(1, NONCES[1])
    assert (look().seq, look().in_flight) == (1, ())
    assert look("other") == scripts.Look(3, "other", current="e")


def test_repair_pushes_deltas_that_no_flush_would_find(shard: Shard) -> None:
    shard.add({"a": 1, "b": 2}, sequence=1)
    shard.redis.delete(shard.keys.pending)
    assert shard.call(scripts.repair(shard.keys, now=NOW, members=members("a", "b", "none"))) == 2
    assert shard.call(scripts.repair(shard.keys, now=NOW, members=members("a"))) == 1
    assert sealed(shard.hand_off("a", "b", "a")) == {"a": 1, "b": 2}


def test_what_repair_pushed_is_pending_since_then_unless_something_was_before(shard: Shard) -> None:
    shard.redis.set(shard.delta("a"), 1)
    assert shard.call(scripts.repair(shard.keys, now=NOW, members=[b"likes:none"])) == 0
    assert "pending_since" not in shard.state()
    for now in (NOW, NOW + 1):
        assert shard.call(scripts.repair(shard.keys, now=now, members=[b"likes:a"])) == 1
        assert shard.state()["pending_since"] == str(NOW)


def test_a_tally_is_of_one_moment(shard: Shard) -> None:
    def tally(*items: str) -> Any:
        return shard.call(scripts.tally(shard.keys, members(*items)))

    assert tally() == (Standing(3, "e", current="e"), ())
    shard.add({"a": 5, "b": 1}, sequence=1)
    shard.redis.set(shard.delta("b"), 2**53 + 1)
    standing, deltas = tally("a", "b")
    assert (standing.accepted, standing.pending, standing.in_flight) == (5 + 1, 2, ())
    assert (standing.written_off, deltas) == (0, (5, 2**53 + 1))
    assert tally() is tally("a") is tally("b", "a") is tally("a", "b", "c") is None
    shard.hand_off("a")
    standing, deltas = tally("b")
    assert (standing.sealed, standing.in_flight, deltas) == (5, (BatchId(3, "e", 1, NONCES[1]),), (2**53 + 1,))


def test_a_tally_is_taken_of_a_master_only(shard: Shard, own_valkey: Callable[..., RedisServer]) -> None:
    replica = own_valkey("--replicaof", *shard.url.removeprefix("redis://").removesuffix("/0").split(":"))
    with redis.Redis.from_url(replica.url) as client:
        wait_until(lambda: client.info("replication")["master_link_status"] == "up")
    with closing(Places(replica.url, None, None, 5, 5).open_link()) as link:
        (reply,) = link.send([scripts.tally(shard.keys, ())])
    assert isinstance(reply, RedisUnavailable), reply


def test_what_is_written_off_counts_as_sealed_once(shard: Shard) -> None:
    shard.add({"a": 5}, sequence=1)
    assert shard.call(scripts.write_off(shard.keys, before=0, now=3, owner=OURS))
    assert not shard.call(scripts.write_off(shard.keys, before=0, now=3, owner=OURS))
    assert shard.call(scripts.write_off(shard.keys, before=3, now=2**53 + 1, owner=OURS))
    assert shard.state()["sealed"] == shard.state()["written_off"] == str(2**53 + 1)
    assert shard.call(scripts.write_off(shard.keys, before=2**53 + 1, now=-1, owner=OURS))
    assert shard.state()["sealed"] == "-1"


# All of them.


def all_scripts(shard: Shard) -> None:
    """Every script, the long way through each."""
    shard.begin()
    shard.claim()
    shard.redis.rpush(shard.delta("list"), "x")
    shard.add({"a": 1, "b": 2, "list": 3}, sequence=1)
    shard.add({"a": 1, "b": 2, "list": 3}, sequence=1)
    shard.add({"a": 1}, sequence=1, producer="q")
    shard.redis.rpush(shard.keys.pending, "likes:list")
    assert shard.hand_off("a", next_head=5, pending_since=5)
    shard.call(scripts.look(shard.keys, members("a", "b")))
    assert shard.call(scripts.fetch(shard.keys, 1)).payload
    assert shard.acknowledge(1, NONCES[1])
    assert shard.hand_off("b", "list", seq=1, nonce=NONCES[1])
    assert shard.acknowledge(2, NONCES[2])
    shard.redis.set(shard.delta("a"), 1)
    assert shard.call(scripts.repair(shard.keys, now=NOW, members=members("a"))) == 1
    assert shard.call(scripts.tally(shard.keys, members("a")))
    assert shard.call(scripts.write_off(shard.keys, before=0, now=1, owner=OURS))
    assert shard.hand_off("a", seq=2, nonce=NONCES[2])
    assert shard.acknowledge(3, NONCES[3])
    assert shard.call(scripts.confirm(shard.keys, [Place("e", 3, NONCES[3])])).remembers
    assert shard.call(scripts.lease(shard.keys, token="me", milliseconds=1000))
    assert shard.call(scripts.lease(shard.keys, token="me", milliseconds=0))
    assert shard.call(scripts.prune_producers(shard.keys, remembered(shard), OURS)) == 2
    assert shard.begin("next", old="e") == "next"
    assert shard.drop()


class DeclaredOnly:
    """A link as a user who may touch the keys that each call declares, and no other."""

    def __init__(self, shard: Shard) -> None:
        self.admin = shard.redis
        self.link = Places(shard.url.replace("//", "//declared:any@"), None, None, 5, 5).open_link()
        self.where = self.link.where

    def send(self, calls: Sequence[Call[Any]]) -> list[Any]:
        replies = []
        for call in calls:
            declared = [word.decode() for word in call.words[3 : 3 + int(call.words[2])] if isinstance(word, bytes)]
            self.admin.acl_setuser(
                "declared", reset=True, enabled=True, nopass=True, categories=["+@all"], keys=declared
            )
            replies += self.link.send([call])
        return replies

    def close(self) -> None:
        self.link.close()
        self.admin.acl_deluser("declared")


def test_every_key_a_script_touches_is_declared(shard: Shard) -> None:
    shard.redis.flushall()
    link = shard.link = DeclaredOnly(shard)
    with closing(link):
        all_scripts(shard)
        touches_another = Script("add")
        touches_another.source = b"return redis.call('GET', KEYS[1] .. 'x')"
        touches_another.sha = sha1(touches_another.source).hexdigest()
        with pytest.raises(RedisRefused, match="access"):
            shard.call(touches_another.call(3, [b"key"], [], bytes))


def test_all_keys_of_a_script_live_on_one_node_of_a_cluster(own_valkey: Callable[..., RedisServer]) -> None:
    node = own_valkey("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    shard = Shard(node.url)
    shard.redis.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    wait_until(lambda: "cluster_state:ok" in str(shard.redis.execute_command("CLUSTER", "INFO")))
    with Proxy(node.url) as proxy:
        proxy.refuse("HELLO")  # as one does that leads each key to its node
        shard.link = Places(proxy.url, None, None, 5, 5).open_link()
        all_scripts(shard)
    shard.close()


@pytest.mark.parametrize("calls", [1, 3])
def test_every_call_of_a_round_trip_is_told_that_it_is_not_allowed(
    own_valkey: Callable[..., RedisServer], calls: int
) -> None:
    """The client takes a refused log-in for a lost connection; a link must go on reading the other replies."""
    server = own_valkey()
    with redis.Redis.from_url(server.url) as admin:
        admin.config_set("requirepass", "secret")
    with closing(Places(server.url, None, None, 5, 5).open_link()) as link:
        replies = link.send([command("GET", "x")] * calls)
    assert [type(reply) for reply in replies] == [RedisRefused] * calls
    assert "Authentication required" in str(replies[0])
