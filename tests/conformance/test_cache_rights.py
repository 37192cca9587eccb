"""Whatever is refused to those who fill, read and carry on cached totals, none that is found there is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from likes.buffer import scripts
from likes.buffer.scripts import Cached, Look
from likes.errors import RedisRefused
from tests.attack.test_all_or_nothing import Stage
from tests.conformance.test_buffer import NONCES, members
from tests.scenes import CACHING, CACHING_SCENES, Scene, acknowledge_through, commands_of

IN_BATCH = {"a": 1, "b": 2}
TRUE_TOTALS = {"a": 7 + 1, "b": 8 + 2}  # SQL's before the batch, and the batch; nothing more is posted in any scene
# What a reader or a worker cannot do without: all else only serves the cache.
NEEDED = {
    scripts.LOOK: {"GET", "HMGET", "LRANGE", "MGET"},
    scripts.ACKNOWLEDGE: {"GET", "LRANGE", "LREM", "HINCRBY", "DEL"},
}
EACH = [pytest.param(scene, id=scene.name) for scene in CACHING_SCENES]
WITH_EACH_COMMAND = [
    pytest.param(scene, command, id=f"{scene.name} without {command}")
    for scene in CACHING_SCENES
    for command in commands_of(scene.script)
]
KEYS = ("epoch", "owner", "e:state", "e:in_flight", "e:batch:*", "e:delta:*", "e:total:*", "e:fill:*")


@pytest.fixture
def stage(redis_url: str) -> Iterator[Stage]:
    stage = Stage(redis_url)
    yield stage
    stage.close()


def look(stage: Stage) -> Look:
    """What a reader with all rights sees."""
    found: Look = stage.shard.call(scripts.look(stage.shard.keys, members("a", "b"), CACHING))
    return found


def hits(stage: Stage) -> dict[str, int]:
    """The totals found in the cache, added up as a reader does; each has to be true."""
    now = look(stage)
    found = {}
    for item, pending, cached in zip(("a", "b"), now.deltas, now.cached, strict=True):
        if isinstance(cached, Cached):
            flying = sum(IN_BATCH[item] for batch in now.in_flight if batch.seq > cached.cursor)
            found[item] = cached.total + flying + pending
    assert found.items() <= TRUE_TOTALS.items()
    return found


def goes_on(stage: Stage) -> None:
    """With all rights the batch goes, and the cache is filled and used again; no total was wrong on the way."""
    stage.permit()
    stage.shard.redis.config_set("maxmemory", 0)
    hits(stage)
    if "cached_until" in stage.shard.redis.hgetall(stage.shard.keys.state):
        acknowledge_through(stage.shard)
    else:  # as a worker does that knows of no cached totals
        stage.shard.acknowledge(1, NONCES[1])
    assert look(stage).in_flight == ()
    hits(stage)
    told_by_sql = scripts.Fill([*TRUE_TOTALS.values()], 1, 0, cost=3)
    stage.shard.call(scripts.look(stage.shard.keys, members("a", "b"), CACHING, told_by_sql))
    assert hits(stage) == TRUE_TOTALS


@pytest.mark.parametrize(("scene", "command"), WITH_EACH_COMMAND)
def test_without_any_one_command_no_cached_total_is_wrong(stage: Stage, scene: Scene, command: str) -> None:
    stage.prepare(scene)
    stage.permit(f"-{command.lower()}")
    if command in NEEDED[scene.script]:
        with pytest.raises(RedisRefused):
            scene.act(stage.limited)
        assert len(look(stage).in_flight) == 1
    else:
        scene.act(stage.limited)
        assert len(look(stage).in_flight) == (scene.script is scripts.LOOK)
    goes_on(stage)


@pytest.mark.parametrize("scene", EACH)
def test_without_any_one_key_no_cached_total_is_wrong(stage: Stage, scene: Scene) -> None:
    refused = set()
    for forbidden in KEYS:
        stage.prepare(scene)
        stage.permit(keys=" ".join(f"~{{likes:3}}:{key}" for key in KEYS if key != forbidden))
        try:
            scene.act(stage.limited)
        except RedisRefused:
            refused.add(forbidden)
            assert len(look(stage).in_flight) == 1
        goes_on(stage)
    assert "e:total:*" in refused


@pytest.mark.parametrize("scene", EACH)
def test_a_full_redis_neither_stops_anyone_nor_makes_a_cached_total_wrong(stage: Stage, scene: Scene) -> None:
    stage.prepare(scene)
    stage.shard.redis.config_set("maxmemory", 1)
    scene.act(stage.limited)
    assert len(look(stage).in_flight) == (scene.script is scripts.LOOK)
    hits(stage)
    goes_on(stage)


@pytest.mark.parametrize("scene", EACH)
def test_a_full_redis_and_a_right_that_is_missing_make_no_cached_total_wrong(stage: Stage, scene: Scene) -> None:
    for command in commands_of(scene.script):
        stage.prepare(scene)
        stage.shard.redis.config_set("maxmemory", 1)
        stage.permit(f"-{command.lower()}")
        with suppress(RedisRefused):
            scene.act(stage.limited)
        hits(stage)
        goes_on(stage)


@pytest.mark.parametrize("scene", EACH)
@pytest.mark.parametrize("of_another_type", ["total:likes:a", "fill:likes:a", "state", "in_flight", "batch:1"])
def test_another_type_at_a_key_makes_no_cached_total_wrong(stage: Stage, scene: Scene, of_another_type: str) -> None:
    stage.prepare(scene)
    key = f"{{likes:3}}:e:{of_another_type}"
    stage.shard.redis.delete(key)
    stage.shard.redis.zadd(key, {"x": 1})
    with suppress(RedisRefused):
        scene.act(stage.limited)
    with suppress(RedisRefused):
        hits(stage)


@pytest.mark.parametrize("scene", EACH)
@pytest.mark.parametrize("value", ["", "x", "8", "8 1", "8 1 0.0", "nan 1 0.0.11111111 1 9999999999999 1", "\xff" * 9])
def test_a_cached_total_that_is_none_of_ours_is_not_used(stage: Stage, scene: Scene, value: str) -> None:
    stage.prepare(scene)
    stage.shard.redis.set("{likes:3}:e:total:likes:a", value)
    scene.act(stage.limited)
    hits(stage)
    goes_on(stage)
