"""What a session promises, on every kind of standalone server: by Redis's clock, whoever asks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import Engine

from likes.errors import InvalidInput, RedisFull
from likes.sessions.fields import MOST_BYTES, MOST_FIELDS
from likes.sessions.session import Life
from likes.sessions.token import SESSION_SHARDS, Place, draw, shard_for
from tests.session_rig import SessionRig
from tests.waiting import wait_until


@pytest.fixture
def rig(redis_url: str, sqlite_engine: Engine) -> Iterator[SessionRig]:
    with SessionRig(redis_url, sqlite_engine) as rig:
        yield rig
        rig.redis.config_set("maxmemory", 0)


def test_what_a_session_holds_is_there_for_every_process(rig: SessionRig) -> None:
    token = rig.begin("mary", cart=[{"item": "é"}], theme="dark", none=0)
    session = rig.run(rig.other.touch(token))
    assert session
    assert (session.user, session.hits) == ("mary", 1)
    assert session.values == {"cart": [{"item": "é"}], "none": 0, "theme": "dark"}
    assert session.expires_at - session.created_at == timedelta(seconds=rig.life.idle)


def test_each_request_is_a_hit(rig: SessionRig) -> None:
    token = rig.begin()
    for hits in (1, 2, 3):
        session = rig.touch(token)
        assert session
        assert (session.user, session.hits) == ("", hits)
        assert session.last_seen == session.seen
    changed = rig.change(token, a=1)
    assert changed
    assert changed.hits == 4


def test_fields_are_set_and_removed_one_by_one(rig: SessionRig) -> None:
    token = rig.begin(a=1, b=2)
    changed = rig.change(token, b=None, c={"d": None})
    assert changed
    assert changed.values == {"a": 1, "c": {"d": None}}
    assert rig.redis.hget(rig.key_of(token), "f:c") == b'{"d":null}'


@pytest.mark.parametrize("name", ["user", "hits", "ended_at", "keep", "f", "expires_at"])
def test_a_field_is_never_taken_for_one_of_ours(rig: SessionRig, name: str) -> None:
    token, _ = rig.run(rig.store.begin("mary", {name: "mine"}))
    rig.change(token, **{name: "still mine"})
    session = rig.touch(token)
    assert session
    assert (session.user, session.hits, session.values) == ("mary", 2, {name: "still mine"})


def test_tokens_of_others_lead_nowhere(rig: SessionRig) -> None:
    token = rig.begin()
    shard, _, secret = token.partition(".")
    others = [
        draw(int(shard)).token, f"{(int(shard) + 1) % SESSION_SHARDS}.{secret}", f"{SESSION_SHARDS}.{secret}",
        f"0{shard}.{secret}", f" {token}", f"{token}\n", f"-1.{secret}", f"²{secret}", secret, "", ".", f"{token}=",
    ]  # fmt: skip
    for other in others:
        assert rig.touch(other) is None
        assert rig.change(other, a=1) is None
        assert not rig.end(other)
        assert rig.run(rig.store.rotate(other)) is None
        assert rig.run(rig.store.log_in(other, "mary")) is None
    assert rig.touch(token)


def test_a_session_lies_in_its_users_shard(rig: SessionRig) -> None:
    token = rig.begin("mary")
    assert Place.of(token) == (shard_for("mary"), sha256(token.encode()).hexdigest())


def test_too_much_is_refused_and_changes_nothing(rig: SessionRig) -> None:
    token = rig.begin(**{f"f{n}": n for n in range(MOST_FIELDS)})
    for fields in ({"more": 1}, {"f0": "x" * MOST_BYTES}, {"f0": float("nan")}, {"a b": 1}, {"": 1}, {"f0": "\ud800"}):
        with pytest.raises(InvalidInput):
            rig.change(token, **fields)
    session = rig.touch(token)
    assert session
    assert session.values == {f"f{n}": n for n in range(MOST_FIELDS)}
    assert rig.change(token, f0=None, more=1)
    half = "x" * (MOST_BYTES // 2)
    assert rig.change(token, f1=half)
    with pytest.raises(InvalidInput, match="bytes"):
        rig.change(token, f2=half)
    for user in ("", "x" * 256, "a\nb", "\ud800"):
        with pytest.raises(InvalidInput, match="user"):
            rig.begin(user)


# Time.


@pytest.fixture
def brief(redis_url: str, sqlite_engine: Engine) -> Iterator[SessionRig]:
    with SessionRig(redis_url, sqlite_engine, life=Life(idle=0.4, longest=2.0)) as rig:
        yield rig


def gone(rig: SessionRig, token: str) -> bool:
    return not rig.redis.exists(rig.key_of(token))


def test_unused_it_ends(brief: SessionRig) -> None:
    token = brief.begin("mary", cart=1)
    assert brief.touch(token)
    wait_until(lambda: gone(brief, token))
    assert brief.touch(token) is None


@pytest.mark.parametrize("days", [-1, 400])
def test_the_clock_of_the_process_that_asks_does_not_matter(
    rig: SessionRig, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    token = rig.begin("mary")
    wrong = time.time_ns() + days * 24 * 3600 * 10**9
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("likes.sessions.session.time.time_ns", lambda: wrong)
        session = rig.touch(token)
    assert session
    assert abs(session.seen - rig.redis_now()) < timedelta(hours=1)


def test_used_it_slides_up_to_its_longest(brief: SessionRig) -> None:
    began = brief.redis_now()
    token = brief.begin("mary")
    wait_until(lambda: brief.touch(token) is None)
    assert 2.0 <= (brief.redis_now() - began).total_seconds() < 4


def test_it_slides_once_a_tenth_of_its_time_has_passed(redis_url: str, sqlite_engine: Engine) -> None:
    with SessionRig(redis_url, sqlite_engine, life=Life(idle=20, longest=60)) as rig:
        token = rig.begin("mary")
        first = rig.touch(token)
        assert first
        rig.redis.config_resetstat()
        seen = wait_until(lambda: (now := rig.touch(token)) and now.expires_at > first.expires_at and now, timeout=15)
        assert isinstance(seen, type(first))
        slid = (seen.expires_at - first.expires_at).total_seconds()
        assert 2 <= slid < 4
        assert rig.redis.info("commandstats")["cmdstat_pexpireat"]["calls"] == 1
        expiry = round(seen.expires_at.timestamp() * 1000)
        shard = shard_for("mary")
        (index,) = rig.redis.zrange(f"{{likes:{shard}}}:sessions:mary", 0, -1, withscores=True)
        (due,) = rig.redis.zrange(f"{{likes:{shard}}}:session_due", 0, -1, withscores=True)
        assert (index[1], due[1]) == (expiry, expiry)
        now = rig.redis_now().timestamp() * 1000
        assert abs(rig.redis.pttl(rig.key_of(token)) - (expiry - now)) < 100


def test_rotating_does_not_lengthen_its_longest_and_logging_in_does(brief: SessionRig) -> None:
    token = brief.begin()
    session = brief.touch(token)
    rotated = brief.run(brief.store.rotate(token))
    assert session and rotated
    assert rotated[1].created_at == session.created_at
    logged_in = brief.run(brief.store.log_in(rotated[0], "mary"))
    assert logged_in
    assert logged_in[1].created_at > session.created_at


# A full Redis.


def test_a_full_redis_still_reads_without_the_hit_and_lets_sessions_end(rig: SessionRig) -> None:
    token, other = rig.begin("mary", keep=("cart",), cart=[1]), rig.begin("mary")
    rig.redis.config_set("maxmemory", 1)
    for _ in range(2):
        session = rig.touch(token)
        assert session
        assert (session.hits, session.values) == (0, {"cart": [1]})
    for refused in (rig.begin, lambda: rig.change(token, a=1), lambda: rig.rotate(token)):
        with pytest.raises(RedisFull):
            refused()
    with pytest.raises(RedisFull):
        rig.log_in(token, "mary")
    assert rig.touch(token)  # and was not ended by any of them
    assert rig.change(token, none=None)
    assert rig.end(token)
    assert rig.touch(token) is None
    assert rig.threads.revoke("mary") == 1
    assert rig.touch(other) is None
    assert rig.kept() == [{"cart": [1]}]
    assert rig.session_keys() == []


def test_a_full_redis_lets_sessions_live_on(redis_url: str, sqlite_engine: Engine) -> None:
    with SessionRig(redis_url, sqlite_engine, life=Life(idle=0.5, longest=60)) as rig:
        token = rig.begin("mary")
        first = rig.touch(token)
        assert first
        rig.redis.config_set("maxmemory", 1)
        try:
            seen: Any = wait_until(lambda: (now := rig.touch(token)) and now.expires_at > first.expires_at and now)
        finally:
            rig.redis.config_set("maxmemory", 0)
        assert seen.hits == 1
