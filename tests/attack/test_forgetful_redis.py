"""Memory put back into the same Redis process changes no id of the server: its clients notice."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine

from likes import LikeCounter, OutcomeUnknown
from likes.buffer.scripts import ADD
from tests.proxy import Proxy
from tests.rig import SLACK, Rig
from tests.servers import RedisServer


@pytest.fixture
def rig(valkey_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, sqlite_engine) as rig:
        yield rig


def test_a_redis_put_back_in_place_is_noticed_by_the_next_like(rig: Rig) -> None:
    rig.likes.like("a", 5)
    rig.flush()
    covered = rig.covered_to()
    rig.likes.like("a", 1)
    copy = rig.copy_redis()
    rig.likes.like("a", 100)
    lost_at = rig.redis_now()
    rig.restore_redis(copy)
    assert rig.likes.like("a", 10) == 11  # a first send counts
    rig.flush()
    rig.flush()
    assert rig.totals() == {"a": 16}
    (incident,) = rig.incidents()
    assert (incident.kind, incident.shard, incident.epoch) == ("redis_forgot", 0, rig.epoch())
    assert covered - SLACK < incident.exposed_from <= lost_at <= incident.exposed_to
    assert "may have been lost" in incident.detail


def test_a_flush_in_between_covers_nothing_that_was_lost(rig: Rig) -> None:
    """It moved what Redis was left with; the client speaks up after it. Since when likes are lost, nobody can tell."""
    rig.likes.like("a", 5)
    rig.flush()
    copy = rig.copy_redis()
    rig.likes.like("a", 100)
    rig.restore_redis(copy)
    rig.flush()
    assert rig.kinds() == []
    rig.likes.like("a", 10)
    rig.flush()
    (incident,) = rig.incidents()
    assert (incident.kind, incident.exposed_from) == ("redis_forgot", None)


def test_a_redis_put_back_after_it_was_emptied_and_went_on(rig: Rig) -> None:
    """It went on in another epoch, all of which is gone again: that the former one is back is the proof."""
    rig.likes.like("a", 5)
    rig.flush()
    rig.likes.like("a", 1)
    copy = rig.copy_redis()
    rig.redis.flushall()
    rig.likes.like("a", 100)
    lost_at = rig.redis_now()
    rig.restore_redis(copy)
    assert rig.likes.like("a", 10) == 11
    rig.flush()
    assert rig.totals() == {"a": 16}
    (incident,) = rig.incidents()
    assert incident.kind == "redis_forgot"
    assert incident.exposed_from <= lost_at <= incident.exposed_to
    rig.likes.like("a", 10)
    rig.flush()
    assert (rig.totals(), rig.kinds()) == ({"a": 26}, ["redis_forgot"])


def test_another_epoch_that_a_worker_began_is_no_proof(rig: Rig) -> None:
    rig.likes.like("a", 5)
    rig.flush()
    rig.redis.flushall()
    rig.likes.like("a", 5)
    rig.flush()
    rig.likes.like("a", 5)
    rig.flush()
    assert (rig.totals(), rig.kinds()) == ({"a": 15}, ["redis_replaced"])


def test_each_time_it_forgets_is_told_once(rig: Rig) -> None:
    for times in range(1, 4):
        rig.likes.like("a")
        copy = rig.copy_redis()
        rig.likes.like("a")
        rig.restore_redis(copy)
        rig.likes.like("a")
        rig.likes.like("a")
        rig.flush()
        rig.flush()
        assert rig.kinds() == ["redis_forgot"] * times
    assert rig.totals() == {"a": 9}


def test_a_proof_that_is_put_away_itself_is_told_of(rig: Rig) -> None:
    """Redis is put back to before it was told: the same number of proofs, and another one."""
    rig.likes.like("a")
    rig.flush()
    copy = rig.copy_redis()
    for times in (1, 2):
        rig.likes.like("a")
        rig.restore_redis(copy)
        rig.likes.like("a")
        rig.flush()
        assert rig.kinds() == ["redis_forgot"] * times
        copy = rig.copy_redis()
        copy[rig.key("state").encode()] = without_proof(rig)


def without_proof(rig: Rig) -> bytes:
    """What the state would be if no client had spoken up."""
    name = f"{{likes:0}}:aside{secrets.token_hex(2)}"
    rig.redis.copy(rig.key("state"), name)
    rig.redis.hdel(name, "forgot")
    dump: bytes = rig.redis.dump(name)
    rig.redis.delete(name)
    return dump


def test_a_resend_to_a_redis_that_forgot_is_unknown(
    own_valkey: Callable[..., RedisServer], sqlite_engine: Engine
) -> None:
    """Whether it had counted before cannot be told; what else is lost is an incident."""
    server = own_valkey()
    with Rig(server.url, sqlite_engine) as rig, Proxy(server.url) as proxy:
        with LikeCounter(redis_url=proxy.url, shards=1, redis_timeout=1) as likes:
            likes.like("a", 1)
            copy = rig.copy_redis()
            likes.like("a", 10)
            rig.flush()
            copy = {**rig.copy_redis(), rig.key("producers").encode(): copy[rig.key("producers").encode()]}
            proxy.lose_reply_to(ADD.sha, then=lambda: rig.restore_redis(copy))
            with pytest.raises(OutcomeUnknown, match="lost its memory"):
                likes.like("a", 100)
            assert likes.like("a", 1000) == 1000
        rig.flush()
        assert rig.totals() == {"a": 1011}
        assert rig.kinds() == ["redis_forgot"]


def test_a_like_in_a_fresh_epoch_proves_nothing(rig: Rig) -> None:
    rig.likes.like("a")
    rig.flush()
    rig.redis.flushall()
    rig.likes.like("a")
    rig.likes.like("a")
    rig.flush()
    assert rig.kinds() == ["redis_replaced"]


def test_without_the_time_it_is_told_all_the_same(
    own_valkey: Callable[..., RedisServer], sqlite_engine: Engine
) -> None:
    with Rig(own_valkey().url, sqlite_engine) as rig:
        rig.redis.acl_setuser("default", enabled=True, nopass=True, commands=["-time"])
        rig.likes.like("a")
        rig.flush()
        copy = rig.copy_redis()
        rig.likes.like("a")
        rig.restore_redis(copy)
        rig.likes.like("a")
        rig.flush()
        (incident,) = rig.incidents()
        assert (incident.kind, incident.exposed_from) == ("redis_forgot", None)
