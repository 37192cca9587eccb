"""A worker's rounds: how often they ask for shards of clients with other settings, and that those are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from likes import LikeCounter
from likes.buffer.heartbeat import Heartbeat
from likes.buffer.leases import Leases
from likes.items import MAX_SHARDS, shard_of
from likes.sql.urls import url_of
from tests.rig import Rig
from tests.shell import Shell
from worker.housekeeping import Housekeeping
from worker.pulse import Pulse
from worker.rounds import OTHERS_SECONDS, Rounds

ITEM = next(f"item {n}" for n in range(100) if shard_of(f"item {n}".encode(), 64) >= 4)


@pytest.fixture
def rig(valkey_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, sqlite_engine, shards=4) as rig:
        yield rig


def asked(rig: Rig) -> int:
    """How often Redis was asked whether a key is there."""
    return int(rig.redis.info("commandstats").get("cmdstat_exists", {"calls": 0})["calls"])


def rounds_of(rig: Rig, clock: Callable[[], float]) -> Rounds:
    leases = Leases(rig.worker.buffer, 30)
    pulse = Pulse(Heartbeat(rig.worker.buffer, "test", leases.token))
    tidy = Housekeeping(rig.worker.buffer, rig.worker.ledger, rig.sweep(), retention_days=30)
    return Rounds(rig.worker, leases, tidy, pulse, clock=clock)


def like_with_more_shards(rig: Rig) -> None:
    """As a client of an older version does, whose epochs do not say how many shards there are."""
    rig.begin_older_epochs([0, shard_of(ITEM.encode(), 64)])
    with LikeCounter(redis_url=rig.places.redis_url(), database_url=url_of(rig.engine), shards=64) as likes:
        likes.like(ITEM)


def test_idle_flushes_ask_for_other_shards_now_and_then(rig: Rig) -> None:
    now = 0.0
    rounds = rounds_of(rig, lambda: now)
    for _ in range(5):
        rounds.flush()
    assert asked(rig) == MAX_SHARDS
    now += OTHERS_SECONDS
    rounds.flush()
    rounds.flush()
    assert asked(rig) == 2 * MAX_SHARDS


def test_likes_of_an_older_client_with_other_settings_are_found_then(rig: Rig) -> None:
    now = 0.0
    rounds = rounds_of(rig, lambda: now)
    rounds.flush()
    like_with_more_shards(rig)
    rounds.flush()
    assert rig.totals() == {}
    now += OTHERS_SECONDS
    rounds.flush()
    assert rig.totals() == {ITEM: 1}
    like_with_more_shards(rig)
    rounds.flush()
    assert rig.totals() == {ITEM: 2}, "once found it is a shard like the others"


def test_the_last_flush_finds_them_all(rig: Rig) -> None:
    rounds = rounds_of(rig, lambda: 0.0)
    rounds.flush()
    like_with_more_shards(rig)
    rounds.flush_everything()
    assert rig.totals() == {ITEM: 1}


def test_a_flush_by_hand_asks_once_and_finds_them(rig: Rig, tmp_path: Path) -> None:
    like_with_more_shards(rig)
    before = asked(rig)
    shell = Shell(
        tmp_path, redis_url=rig.places.redis_url(), redis_name="redis", database_url=url_of(rig.engine), shards=4
    )
    assert shell("flush").code == 0
    assert asked(rig) == before + MAX_SHARDS
    assert rig.totals() == {ITEM: 1}
