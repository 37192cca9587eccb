"""Each script about to be called, in the situations that take it through all of its commands."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from likes.batch import BatchId, Place
from likes.buffer import scripts
from likes.buffer.calls import Script
from likes.buffer.generations import Generations
from likes.posting.batch_once import once_key
from tests.conformance.test_buffer import NONCES, NOW, OURS, Shard, members


def commands_of(script: Script) -> list[str]:
    """The commands that a script calls."""
    return sorted(set(re.findall(r"redis\.p?call\('([A-Z]+)'", script.source.decode())))


@dataclass(frozen=True)
class Scene:
    """A script about to be called, and the call."""

    name: str
    script: Script
    prepare: Callable[[Shard], object]
    act: Callable[[Shard], object]
    makes_room: bool = True  # it goes through when Redis is full


def some_pending(shard: Shard) -> None:
    shard.begin()
    shard.add({"a": 1, "b": 2, "list": 3}, sequence=1)
    shard.redis.delete(shard.delta("list"))
    shard.redis.rpush(shard.delta("list"), "x")


def one_in_flight(shard: Shard) -> None:
    some_pending(shard)
    shard.hand_off("a", "b")


def one_left_behind(shard: Shard) -> None:
    shard.begin()
    shard.add({"a": 1}, sequence=1)
    shard.hand_off("a")
    shard.acknowledge(1, NONCES[1])
    shard.begin("next", old="e")


def no_entries(shard: Shard) -> None:
    some_pending(shard)
    shard.redis.delete(shard.keys.pending)
    shard.redis.hdel(shard.keys.state, "pending_since")


def nearly_full_sums(shard: Shard) -> None:
    some_pending(shard)
    shard.redis.hset(shard.keys.state, mapping={"accepted": 2**63 - 2, "sealed": 2**63 - 2})


def lease(milliseconds: int) -> Callable[[Shard], object]:
    return lambda shard: shard.call(scripts.lease(shard.keys, token="me", milliseconds=milliseconds))


def unclaimed(shard: Shard) -> None:
    shard.redis.delete(shard.keys.owner)


def confirm(shard: Shard) -> object:
    return shard.call(scripts.confirm(shard.keys, [Place("e", 1, NONCES[1])]))


def witness(shard: Shard) -> object:
    call = scripts.witness(shard.keys, [BatchId(3, "e", 1, NONCES[1])], is_current=True)
    *words, _, epoch, batch = call.words
    return shard.call(replace(call, words=(*words, "a nonce", epoch, batch)))


def tally(shard: Shard) -> object:
    return shard.call(scripts.tally(shard.keys, members("a", "b", "list")))


def write_off(shard: Shard) -> object:
    return shard.call(scripts.write_off(shard.keys, before=0, now=1, owner=OURS))


def beat(shard: Shard) -> object:
    return shard.call(scripts.beat(shard.keys, worker="w", said="flushing", now=NOW, forget=120_000))


CACHING = scripts.Caching(OURS, NOW, 60_000, 600_000, jitter=0.5, gap=0, factor=0.0, lease=1000)


def look_at_cached(shard: Shard) -> object:
    return shard.call(scripts.look(shard.keys, members("a", "b"), CACHING))


def fill_cache(shard: Shard) -> object:
    """SQL said 7 and 8, before the batch in flight."""
    return shard.call(scripts.look(shard.keys, members("a", "b"), CACHING, scripts.Fill([7, 8], 0, 0, cost=3)))


def one_cached_in_flight(shard: Shard) -> None:
    one_in_flight(shard)
    fill_cache(shard)


def acknowledge_through(shard: Shard) -> object:
    return shard.call(scripts.acknowledge(shard.keys, BatchId(3, "e", 1, NONCES[1]), OURS, members("a", "b")))


def acknowledge_and_drop(shard: Shard) -> object:
    batch = BatchId(3, "e", 1, NONCES[1])
    return shard.call(scripts.acknowledge(shard.keys, batch, OURS, members("a", "b"), drop=True))


def raise_generation(shard: Shard) -> object:
    return shard.call(scripts.raise_generation(shard.keys, database=OURS, generation=5))


def nothing(_: Shard) -> None:
    pass


ONE_BUCKET = Generations("1:1:0")


def one_bucket(shard: Shard) -> None:
    some_pending(shard)
    shard.redis.set(shard.keys.once, ONE_BUCKET.text)


ONE_OVER = Generations("-1:1:0 2:1:0")


def one_bucket_over(shard: Shard) -> None:
    some_pending(shard)
    shard.redis.set(shard.keys.once, ONE_OVER.text)
    shard.redis.hset(shard.keys.once_bucket(1, 0), "k", "x")


def once(shard: Shard, entries: dict[str, int], *, sequence: int = 2, **options: Any) -> Any:
    """An add under an idempotency key; by itself it is called as its items are."""
    each = [*zip(members(*entries), entries.values(), strict=True)]
    adding = scripts.add(shard.keys, producer="p", sequence=sequence, entries=each, wants_pending=True)
    given = {"key": once_key(" ".join(entries).encode(), each), "generations": ONE_BUCKET} | options
    call = scripts.add_once(shard.keys, given["key"], given["generations"], adding, keeps_pending=len(each) == 1)
    return shard.call(call)


def keep(shard: Shard) -> object:
    return shard.call(scripts.keep(shard.keys, once_key(b"k", "a"), ONE_BUCKET))


def close(shard: Shard) -> object:
    return shard.call(scripts.close_shard(shard.keys, to=4, owner=OURS))


def claimed(shard: Shard) -> None:
    shard.begin()
    shard.claim()


def closed(shard: Shard) -> None:
    claimed(shard)
    shard.redis.hset(shard.keys.state, mapping={"seq": 1, "nonce": NONCES[1]})
    shard.redis.set(shard.keys.once, ONE_BUCKET.text)
    close(shard)


def open_again(shard: Shard) -> object:
    return shard.call(scripts.open_shard(shard.keys, to=4, owner=OURS, epoch="e"))


def repoint(shard: Shard) -> object:
    return shard.call(scripts.repoint(shard.keys, fresh="f", to=4, before=16, now=NOW, left=b"", owner=OURS))


def repointed(shard: Shard) -> None:
    closed(shard)
    repoint(shard)


def forget_left(shard: Shard) -> object:
    entry = f"{NOW} 16 e {ONE_BUCKET.text}".encode()
    return shard.call(scripts.forget_left(shard.keys, entry, OURS))


SCENES = [
    Scene("first add", scripts.ADD, Shard.begin, lambda shard: shard.add({"a": 1}, sequence=1), makes_room=False),
    Scene("later add", scripts.ADD, some_pending, lambda shard: shard.add({"a": 1}, sequence=2), makes_room=False),
    Scene(
        "mixed add",
        scripts.ADD,
        some_pending,
        lambda shard: shard.add({"c": 1, "list": 3, "a": 5}, sequence=2),
        makes_room=False,
    ),
    Scene(
        "add by another", scripts.ADD, some_pending, lambda shard: shard.add({"z": 1}, sequence=9, producer="q"), False
    ),
    Scene(
        "add past 64 bits",
        scripts.ADD,
        nearly_full_sums,
        lambda shard: shard.add({"a": 5}, sequence=2),
        makes_room=False,
    ),
    Scene("first add with a key", scripts.ADD_ONCE, one_bucket, lambda shard: once(shard, {"z": 1}), makes_room=False),
    Scene("later add with a key", scripts.ADD_ONCE, one_bucket, lambda shard: once(shard, {"a": 1}), makes_room=False),
    Scene(
        "mixed add with a key",
        scripts.ADD_ONCE,
        one_bucket,
        lambda shard: once(shard, {"c": 1, "list": 3, "a": 5}),
        makes_room=False,
    ),
    Scene("keep a key", scripts.ADD_ONCE, one_bucket, keep, makes_room=False),
    Scene(
        "first generation",
        scripts.TURN_ONCE,
        some_pending,
        lambda shard: shard.call(scripts.turn_once(shard.keys, Generations())),
        makes_room=False,
    ),
    Scene(
        "next generation",
        scripts.TURN_ONCE,
        one_bucket,
        lambda shard: shard.call(scripts.turn_once(shard.keys, ONE_BUCKET)),
        makes_room=False,
    ),
    Scene(
        "bucket that is over",
        scripts.TURN_ONCE,
        one_bucket_over,
        lambda shard: shard.call(scripts.delete_buckets(shard.keys, ONE_OVER)),
    ),
    Scene(
        "use of a rate",
        scripts.GCRA,
        some_pending,
        lambda shard: shard.call(scripts.use(shard.keys, {"c" * 32: 1.0, "d" * 32: 2.0})),
        makes_room=False,
    ),
    Scene(
        "hand-off", scripts.HAND_OFF, some_pending, lambda shard: shard.hand_off("a", "b", next_head=5, pending_since=7)
    ),
    Scene("hand-off of all", scripts.HAND_OFF, some_pending, lambda shard: shard.hand_off("a", "b", "list")),
    Scene("hand-off past 64 bits", scripts.HAND_OFF, nearly_full_sums, lambda shard: shard.hand_off("a", "b")),
    Scene("acknowledge", scripts.ACKNOWLEDGE, one_in_flight, lambda shard: shard.acknowledge(1, NONCES[1])),
    Scene("first epoch", scripts.BEGIN_EPOCH, nothing, Shard.begin),
    Scene("next epoch", scripts.BEGIN_EPOCH, Shard.begin, lambda shard: shard.begin("next", old="e")),
    Scene("drop", scripts.DROP_EPOCH, one_left_behind, Shard.drop),
    Scene("close", scripts.CLOSE_SHARD, claimed, close),
    Scene("open", scripts.OPEN_SHARD, closed, open_again),
    Scene("repoint", scripts.REPOINT, closed, repoint),
    Scene("forget what was left", scripts.FORGET_LEFT, repointed, forget_left),
    Scene("claim", scripts.CLAIM, unclaimed, Shard.claim),
    Scene("confirm", scripts.CONFIRM, one_in_flight, confirm),
    Scene("witness", scripts.WITNESS, one_in_flight, witness),
    Scene("fetch", scripts.FETCH, one_in_flight, lambda shard: shard.call(scripts.fetch(shard.keys, 1))),
    Scene("tally", scripts.TALLY, some_pending, tally),
    Scene("write off", scripts.WRITE_OFF, some_pending, write_off),
    Scene("beat", scripts.BEAT, nothing, beat),
    Scene("take a lease", scripts.LEASE, nothing, lease(60_000)),
    Scene("keep a lease", scripts.LEASE, lease(60_000), lease(60_000)),
    Scene("give a lease back", scripts.LEASE, lease(60_000), lease(0)),
    Scene(
        "prune",
        scripts.PRUNE_PRODUCERS,
        some_pending,
        lambda shard: shard.call(scripts.prune_producers(shard.keys, {b"p": b"1"}, OURS)),
    ),
    Scene("look", scripts.LOOK, some_pending, lambda shard: shard.call(scripts.look(shard.keys, members("a", "b")))),
    Scene("raise a generation", scripts.RAISE_GENERATION, some_pending, raise_generation),
    Scene(
        "repair",
        scripts.REPAIR,
        no_entries,
        lambda shard: shard.call(scripts.repair(shard.keys, now=NOW, members=members("a", "b"))),
    ),
]

# What cannot be cached is not, and what is cached is not used then: these need not do all or nothing.
CACHING_SCENES = [
    Scene("look at what is cached", scripts.LOOK, one_cached_in_flight, look_at_cached),
    Scene("look that fills", scripts.LOOK, one_in_flight, fill_cache),
    Scene("acknowledge through", scripts.ACKNOWLEDGE, one_cached_in_flight, acknowledge_through),
    Scene("acknowledge and drop", scripts.ACKNOWLEDGE, one_cached_in_flight, acknowledge_and_drop),
]
