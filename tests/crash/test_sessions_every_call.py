"""A process dies before and after every single external call of a session's end; the next sweep makes it whole.

Whoever it is, what is to be kept is in SQL once, under one session, and the session is over or lives on: never both.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Engine

from likes.sessions.session import Life
from tests.crash.mortal import Mortals
from tests.session_rig import SessionRig
from tests.waiting import wait_until

CART = {"cart": ["book"], "theme": "dark"}


@pytest.fixture
def rig(valkey_url: str, engine: Engine) -> Iterator[SessionRig]:
    with SessionRig(valkey_url, engine) as rig:
        yield rig


@pytest.fixture(scope="module")
def mortals() -> Iterator[Mortals]:
    with Mortals("tests.crash.mortal_sessions") as mortals:
        yield mortals


def dies(mortals: Mortals, rig: SessionRig, moment: str, call: int, *order: Any) -> bool:
    """Let another process do something until its death; False if it was done before."""
    return mortals.obeys([rig.places.redis, rig.places.database, moment, call, *order])


@pytest.mark.parametrize("moment", ["before", "after"])
def test_in_a_log_out(rig: SessionRig, mortals: Mortals, moment: str) -> None:
    for call in count(1):
        token = rig.begin("mary", keep=("cart",), **CART)
        died = dies(mortals, rig, moment, call, "end", token)
        if rig.touch(token):
            assert rig.kept() == [{"cart": ["book"]}] * (call - 1), f"died {moment} call {call}"
            assert rig.end(token)
        rig.sweeper.run()
        assert rig.kept() == [{"cart": ["book"]}] * call, f"died {moment} call {call}"
        assert rig.session_keys() == []
        if not died:
            break
    assert call > 6


@pytest.mark.parametrize("moment", ["before", "after"])
def test_in_a_sweep_of_sessions_whose_time_is_over(
    valkey_url: str, engine: Engine, mortals: Mortals, moment: str
) -> None:
    with SessionRig(valkey_url, engine, life=Life(idle=0.02, longest=3600)) as rig:
        for call in count(1):
            for user in (None, "mary", "mary"):
                rig.begin(user, keep=("cart",), **CART)
            vain = rig.begin("mary", keep=("cart",), theme="dark")  # nothing to keep
            wait_until(lambda: rig.threads.of_user("mary") == [] and not rig.redis.exists(rig.key_of(vain)))  # noqa: B023 (called at once)
            died = dies(mortals, rig, moment, call, "sweep")
            rig.sweeper.run()
            assert rig.kept() == [{"cart": ["book"]}] * 3 * call, f"died {moment} call {call}"
            assert rig.session_keys() == []
            if not died:
                break
        assert call > 8


@pytest.mark.parametrize("moment", ["before", "after"])
def test_in_a_log_in(rig: SessionRig, mortals: Mortals, moment: str) -> None:
    """The session lives on under one token or is over, and its cart is there once, in Redis or SQL."""
    for call in count(1):
        before = len(rig.kept())
        token = rig.begin(keep=("cart",), **CART)
        died = dies(mortals, rig, moment, call, "log_in", token, "mary")
        make_due(rig)
        rig.sweeper.run()
        found = [*rig.threads.of_user("mary"), rig.touch(token)]
        alive = [session.values for session in found if session]
        assert alive in ([], [CART]), f"died {moment} call {call}"
        assert len(alive) + len(rig.kept()) - before == 1, f"died {moment} call {call}"
        rig.threads.revoke("mary")
        rig.end(token)
        assert rig.session_keys() == []
        if not died:
            break
    assert call > 8


def make_due(rig: SessionRig) -> None:
    """As if the minute were over in which a log-in may still say that the session goes on."""
    for key in rig.redis.scan_iter(match="{*}:session_due"):
        for member, _ in rig.redis.zrange(key, 0, -1, withscores=True):
            digest = member.decode()[:64]
            if rig.redis.hexists(key.replace(b"session_due", b"session:") + digest.encode(), "moved_to"):
                rig.redis.zadd(key, {member: 1})


@pytest.mark.parametrize("moment", ["before", "after"])
def test_in_a_rotation(rig: SessionRig, mortals: Mortals, moment: str) -> None:
    for call in count(1):
        token = rig.begin("mary", keep=("cart",), **CART)
        died = dies(mortals, rig, moment, call, "rotate", token)
        rig.sweeper.run()
        (session,) = rig.threads.of_user("mary")
        assert session.values == CART, f"died {moment} call {call}"
        assert rig.kept() == [{"cart": ["book"]}] * (call - 1)
        assert rig.threads.revoke("mary") == 1
        assert rig.session_keys() == []
        assert rig.kept() == [{"cart": ["book"]}] * call
        if not died:
            break
    assert call > 6
