"""Every script does all or nothing: whichever command or key is not permitted, and when Redis is full."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import redis

from likes.buffer import scripts
from likes.errors import RedisFull, RedisRefused
from tests.conformance.test_buffer import Shard
from tests.scenes import ONE_BUCKET, SCENES, Scene, commands_of, once, some_pending

USER, PASSWORD = "limited", "any"
# Whatever a key of a shard may be called; each is taken away in its turn.
UNDER_AN_EPOCH = ("state", "pending", "in_flight", "nonces", "producers", "once")
KEYS = ("epoch", "epochs", "lease", "owner", "resharding", "left", "workers", *(f"e:{name}" for name in UNDER_AN_EPOCH))
MANY_KEYS = ("e:batch:*", "e:delta:*", "e:once:*", "rate:*")


WITH_EACH_COMMAND = [
    pytest.param(scene, command, id=f"{scene.name} without {command}")
    for scene in SCENES
    for command in commands_of(scene.script)
]
EACH = [pytest.param(scene, id=scene.name) for scene in SCENES]


OF_BYTES = ":(batch:|once:|producers$|workers$)"
READ: dict[str, Callable[[Any, str], object]] = {
    "none": lambda pipe, key: pipe.exists(key),
    "string": lambda pipe, key: pipe.get(key),
    "list": lambda pipe, key: pipe.lrange(key, 0, -1),
    "set": lambda pipe, key: pipe.smembers(key),
    "hash": lambda pipe, key: pipe.hgetall(key),
    "zset": lambda pipe, key: pipe.zrange(key, 0, -1),
}


class Stage:
    """One shard as an administrator sees it (`shard`) and as a user who may not do everything (`limited`)."""

    def __init__(self, url: str) -> None:
        self.shard = Shard(url)
        self.permit()
        self.limited = Shard(url.replace("//", f"//{USER}:{PASSWORD}@"))

    def close(self) -> None:
        self.limited.close()
        self.shard.redis.config_set("maxmemory", 0)
        self.shard.redis.acl_deluser(USER)
        self.shard.close()

    def permit(self, *rules: str, keys: str = "~{likes:*") -> None:
        """Let the user do everything, but for these rules."""
        words = ("reset", "on", f">{PASSWORD}", *keys.split(), "+@all", *rules)
        self.shard.redis.execute_command("ACL", "SETUSER", USER, *words)

    def prepare(self, scene: Scene) -> Any:
        """Set the scene; what is there then."""
        self.shard.redis.flushall()
        self.shard.claim()
        scene.prepare(self.shard)
        return self.holdings()

    def holdings(self) -> dict[str, Any]:
        """All that counts: what producers were told and when something was pending first does not."""
        found = self.read_all()
        held: dict[str, Any] = {}
        for key, (kind, value) in found.items():
            if key.endswith(":state") and kind == "hash":
                sums = {"seq": "0", "nonce": "", "accepted": "0", "sealed": "0", "acked": "0"} | value
                held[key] = {name: value for name, value in sums.items() if name != "pending_since"}
            elif ":batch:" in key:
                held[key] = "sealed"
            elif ":rate:" in key:
                held[key] = "kept"
            elif key.endswith(":once") and kind == "string":
                held[key] = re.sub(r"\d{9,}", "now", value)
            elif ":once:" in key:
                held[key] = kept_in(self.shard, key)
            elif not key.endswith((":producers", ":workers")):
                held[key] = value
        return {key: value for key, value in held.items() if value not in (NO_STATE, {})}

    def read_all(self) -> dict[str, tuple[str, Any]]:
        """What type each key is of, and what it holds if that is text; in as few round trips as can be."""
        keys = sorted(self.shard.redis.keys())
        with self.shard.redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.type(key)
            kinds = pipe.execute()
            for key, kind in zip(keys, kinds, strict=True):
                READ["none" if re.search(OF_BYTES, key) else kind](pipe, key)
            return dict(zip(keys, zip(kinds, pipe.execute(), strict=True), strict=True))


def kept_in(shard: Shard, key: str) -> dict[bytes, bytes]:
    """The idempotency keys in a bucket; one with nothing is none."""
    with redis.Redis.from_url(shard.url) as raw:
        return {key: record for key, record in raw.hgetall(key).items() if record}


NO_STATE = {"seq": "0", "nonce": "", "accepted": "0", "sealed": "0", "acked": "0"}


@pytest.fixture
def stage(redis_url: str) -> Iterator[Stage]:
    stage = Stage(redis_url)
    yield stage
    stage.close()


def outcome(stage: Stage, scene: Scene) -> Any:
    """What is there once the scene was played with all rights."""
    stage.prepare(scene)
    scene.act(stage.shard)
    return stage.holdings()


@pytest.mark.parametrize(("scene", "command"), WITH_EACH_COMMAND)
def test_without_any_one_command_a_script_does_nothing(stage: Stage, scene: Scene, command: str) -> None:
    after = outcome(stage, scene)
    before = stage.prepare(scene)
    stage.permit(f"-{command.lower()}")
    try:
        scene.act(stage.limited)
    except RedisRefused:
        assert stage.holdings() == before
        stage.permit()
        scene.act(stage.limited)
    assert stage.holdings() == after


@pytest.mark.parametrize("scene", EACH)
def test_without_any_one_key_a_script_does_nothing(stage: Stage, scene: Scene) -> None:
    after = outcome(stage, scene)
    refused = 0
    for forbidden in (*KEYS, *MANY_KEYS):
        before = stage.prepare(scene)
        allowed = [key for key in (*KEYS, *MANY_KEYS) if key != forbidden]
        stage.permit(keys=" ".join(f"~{{likes:3}}:{key}" for key in allowed))
        try:
            scene.act(stage.limited)
        except RedisRefused:
            refused += 1
            assert stage.holdings() == before
            stage.permit()
            scene.act(stage.limited)
        assert stage.holdings() == after
    assert refused


@pytest.mark.parametrize("scene", EACH)
def test_a_full_redis_refuses_an_add_and_lets_a_worker_go_on(stage: Stage, scene: Scene) -> None:
    after = outcome(stage, scene)
    before = stage.prepare(scene)
    stage.shard.redis.config_set("maxmemory", 1)
    if scene.makes_room:
        scene.act(stage.limited)
    else:
        with pytest.raises(RedisFull):
            scene.act(stage.limited)
        assert stage.holdings() == before
        stage.shard.redis.config_set("maxmemory", 0)
        scene.act(stage.limited)
    assert stage.holdings() == after


@pytest.mark.parametrize("scene", [each for each in EACH if each.values[0].makes_room])  # type: ignore[attr-defined]
def test_a_full_redis_and_a_right_that_is_missing_still_do_nothing(stage: Stage, scene: Scene) -> None:
    after = outcome(stage, scene)
    for command in commands_of(scene.script):
        before = stage.prepare(scene)
        stage.shard.redis.config_set("maxmemory", 1)
        stage.permit(f"-{command.lower()}")
        try:
            scene.act(stage.limited)
        except RedisRefused:
            assert stage.holdings() == before
        else:
            assert stage.holdings() == after
        stage.shard.redis.config_set("maxmemory", 0)
        stage.permit()


@pytest.mark.parametrize("scene", EACH)
def test_with_another_type_at_a_key_a_script_does_nothing_or_all_the_same(stage: Stage, scene: Scene) -> None:
    """Whoever may go on without that key goes on; nobody stops in the middle."""
    after = outcome(stage, scene)
    for key in KEYS:
        stage.prepare(scene)
        name = f"{{likes:3}}:{key}"
        stage.shard.redis.delete(name)
        stage.shard.redis.zadd(name, {"x": 1})
        damaged = stage.holdings()
        with suppress(RedisRefused):
            scene.act(stage.limited)
        held = stage.holdings()
        assert held == damaged or without(name, held) == without(name, after), key


def without(key: str, held: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in held.items() if name != key}


@pytest.mark.parametrize("scene", EACH)
def test_sums_that_are_no_numbers_stop_no_script(stage: Stage, scene: Scene) -> None:
    after = outcome(stage, scene)
    stage.prepare(scene)
    if scene.script not in (scripts.ADD, scripts.HAND_OFF, scripts.ACKNOWLEDGE):
        return
    stage.shard.redis.hset(stage.shard.keys.state, mapping=dict.fromkeys(("accepted", "sealed", "acked"), "x"))
    scene.act(stage.limited)
    state = stage.shard.keys.state.decode()
    held = stage.holdings()
    assert held.pop(state).items() >= {"accepted": "x", "sealed": "x", "acked": "x", "seq": after[state]["seq"]}.items()
    assert held == without(state, after)


def test_an_add_that_failed_leaves_its_idempotency_key_unused(stage: Stage) -> None:
    """Whatever it ran into, and also where its own script had begun to write: the same key counts once it may."""
    some_pending(stage.shard)
    stage.shard.redis.set(stage.shard.keys.once, ONE_BUCKET.text)
    for sequence, command in enumerate(("incrby", "hincrby", "rpush"), start=10):
        stage.permit(f"-{command}")
        with pytest.raises(RedisRefused):
            once(stage.limited, {command: 1}, sequence=sequence)
        stage.permit()
        assert once(stage.limited, {command: 1}, sequence=sequence).pending == (1,)
        repeated = once(stage.limited, {command: 1}, sequence=sequence + 1)
        assert isinstance(repeated, scripts.Kept) and repeated.pending == (1,)


def test_an_add_that_failed_is_not_remembered_as_done(stage: Stage) -> None:
    """Not even where the producer is known: what it sends again under the same sequence is counted."""
    some_pending(stage.shard)
    for command in ("incrby", "hincrby", "rpush"):
        for producer, sequence in (("p", 2), ("q", 1)):
            stage.permit(f"-{command}")
            with pytest.raises(RedisRefused):
                stage.limited.add({f"{command} {producer}": 1}, sequence=sequence, producer=producer)
        assert stage.shard.redis.hget(stage.shard.keys.producers, "p") == "1"
    stage.permit()
    assert stage.limited.add({"a": 1}, sequence=1, producer="q").pending == (2,)
    assert stage.limited.add({"a": 1}, sequence=1, producer="p").pending == (2,)  # that was done
