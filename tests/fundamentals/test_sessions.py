"""What session libraries often get wrong, and what happens here instead. Reads as a tutorial of the session store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from hashlib import sha256

import pytest
from sqlalchemy import Engine

from likes.sessions.session import Life
from likes.sessions.token import shard_for
from tests.session_rig import SessionRig
from tests.waiting import wait_until


@pytest.fixture
def rig(valkey_url: str, sqlite_engine: Engine) -> Iterator[SessionRig]:
    with SessionRig(valkey_url, sqlite_engine) as rig:
        yield rig


def test_requests_side_by_side_lose_none_of_each_others_changes(rig: SessionRig) -> None:
    """Who reads the whole session and writes it back undoes what others changed in between."""
    token = rig.begin("mary", theme="dark")

    async def change_all() -> None:
        stores = (rig.store, rig.other)
        await asyncio.gather(*(stores[n % 2].change(token, {f"item{n}": n}) for n in range(50)))

    rig.run(change_all())
    session = rig.touch(token)
    assert session
    assert session.values == {"theme": "dark", **{f"item{n}": n for n in range(50)}}
    assert session.hits == 51


def test_a_session_that_ended_does_not_come_back_whatever_is_still_under_way(rig: SessionRig) -> None:
    """A write of a request that began before the log-out makes the key anew, where it does not look first."""
    token = rig.begin("mary", cart=[1], keep=("cart",))

    async def log_out_amid_requests() -> None:
        begun = [asyncio.ensure_future(rig.other.change(token, {f"f{n}": n})) for n in range(20)]
        await rig.store.end(token)
        late = [asyncio.ensure_future(rig.other.change(token, {"late": n})) for n in range(20)]
        late += [asyncio.ensure_future(rig.other.touch(token)) for _ in range(20)]
        assert await asyncio.gather(*late) == [None] * 40
        await asyncio.gather(*begun)

    rig.run(log_out_amid_requests())
    assert rig.touch(token) is None
    assert rig.threads.of_user("mary") == []
    assert rig.session_keys() == []


def test_nobody_goes_on_with_the_token_from_before_the_log_in(rig: SessionRig) -> None:
    """Session fixation: whoever foisted a token on a visitor would be logged in with them."""
    foisted = rig.begin(cart=["book"])
    token = rig.log_in(foisted, "mary")
    assert rig.touch(foisted) is None
    session = rig.touch(token)
    assert session
    assert (session.user, session.values) == ("mary", {"cart": ["book"]})
    again = rig.rotate(token)
    assert rig.touch(token) is None
    session = rig.touch(again)
    assert session
    assert (session.user, session.values) == ("mary", {"cart": ["book"]})


def test_no_token_is_in_redis_or_sql(rig: SessionRig) -> None:
    """Or whoever reads a backup could use every session in it."""
    tokens = [rig.begin("mary", keep=("cart",), cart=1), rig.begin()]
    tokens += [rig.rotate(tokens[0]), rig.log_in(tokens[1], "bob")]
    rig.end(tokens[2])
    dumped = b"".join(key + (rig.redis.dump(key) or b"") for key in rig.redis.scan_iter())
    written = repr(rig.rows()).encode()
    for token in tokens:
        secret = token.partition(".")[2].encode()
        assert secret not in dumped
        assert secret not in written
    assert sha256(tokens[3].encode()).hexdigest().encode() in dumped
    assert sha256(tokens[0].encode()).hexdigest().encode() in written


def test_the_index_of_a_user_keeps_nothing_that_is_over(valkey_url: str, sqlite_engine: Engine) -> None:
    """Sessions expire by themselves; what leads to them does not: it would grow for ever."""
    with SessionRig(valkey_url, sqlite_engine, life=Life(idle=0.3, longest=60)) as rig:
        index = f"{{likes:{shard_for('mary')}}}:sessions:mary"
        old = [rig.begin("mary"), rig.begin("mary", keep=("cart",)), rig.begin("mary", keep=("cart",), cart=1)]
        wait_until(lambda: rig.threads.of_user("mary") == [])
        assert [rig.touch(token) for token in old] == [None] * 3
        new = rig.begin("mary")  # touches it
        assert rig.redis.zcard(index) == 1
        assert len(rig.threads.of_user("mary")) == 1
        wait_until(lambda: not rig.redis.exists(rig.key_of(new)))
        assert rig.redis.zcard(index) == 1  # nobody comes any more
        rig.sweeper.run()
        assert rig.session_keys() == []
        assert rig.kept() == [{"cart": 1}]


def test_all_sessions_of_a_user_end_at_once(rig: SessionRig) -> None:
    tokens = [rig.begin("mary", keep=("cart",), cart=n) for n in range(130)]
    tokens += [rig.rotate(tokens.pop()), rig.log_in(rig.begin(cart="anonymous"), "mary")]
    other = rig.begin("bob")
    assert rig.threads.revoke("mary") == 131
    assert [rig.touch(token) for token in tokens] == [None] * 131
    assert rig.threads.of_user("mary") == []
    assert sorted(kept["cart"] for kept in rig.kept()) == [*range(130)]
    assert rig.touch(other)


def test_what_is_kept_of_a_session_is_in_sql_once_it_ended(rig: SessionRig) -> None:
    token = rig.begin("mary", keep=("cart", "note"), cart=[1, 2], theme="dark")
    assert rig.redis.ttl(rig.key_of(token)) == -1  # it must not expire by itself
    rig.change(token, cart=None)
    assert rig.redis.ttl(rig.key_of(token)) > 0
    rig.change(token, cart=[3])
    assert rig.redis.ttl(rig.key_of(token)) == -1
    assert rig.end(token)
    assert not rig.end(token)
    (row,) = rig.rows()
    assert (row.username, row.hits, row.fields) == ("mary", 2, '{"cart":[3]}')
    assert rig.session_keys() == []
