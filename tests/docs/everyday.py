"""All that the worker's user does to its two servers in a year, in some commands: ordinary days and accidents."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import redis
from sqlalchemy import Engine, update

from likes.sessions.keys import session_keys
from likes.sessions.token import shard_for
from likes.sql.engine import writing
from likes.sql.tables import batches, sessions
from tests.shell import Ran, Shell

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)
CODES = [*[0] * 7, 1, 3, *[0] * 10]  # an audit finds the entry that is no number, a flush sets it aside


def a_year(likes: Shell, admin: redis.Redis, engine: Engine) -> Iterator[Ran]:
    """How each command ended; `likes` has one shard, `admin` and `engine` do what happens to the servers."""
    yield likes("post", "--file", "-", stdin=b"video:1\nvideo:2\nvideo:3\nvideo:4\nvideo:5\n")
    yield likes("flush", batch_items=1)  # so many batches that the ledger has rows which may be pruned
    _log_in(admin)
    yield likes("sessions", "list", "mary")
    yield likes("sessions", "revoke", "mary")
    _make_old(engine, 1)
    yield likes("post", "--file", "-", stdin=b"a\nb\nlost\nodd\n")
    epoch = _epoch(admin)
    admin.lrem(f"{{likes:0}}:{epoch}:pending", 1, "likes:lost")
    admin.delete(f"{{likes:0}}:{epoch}:delta:likes:odd")
    admin.rpush(f"{{likes:0}}:{epoch}:delta:likes:odd", "no number")
    admin.sadd("{likes:0}:epochs", "0123456789abcdef")  # one that was left behind
    for words in (
        ["get", "a", "lost"],
        ["status"],
        ["audit", "--repair"],
        ["flush"],
        ["history"],
        ["totals"],
        ["cache", "warm"],
        ["cache", "stats"],
        ["cache", "clear"],
        ["adopt"],
        ["adopt", "--database", "--fresh", "--yes"],
    ):
        yield likes(*words)
    admin.flushall()
    yield likes("unlike", "a")
    _make_old(engine, 2)  # once more: what is kept of rows that go is added to
    yield likes("flush")
    yield likes("audit")


def _epoch(admin: Any) -> str:
    return bytes(admin.get("{likes:0}:epoch") or b"").decode()


def _make_old(engine: Engine, seq: int) -> None:
    with writing(engine) as connection:
        connection.execute(update(batches).where(batches.c.seq == seq).values(applied_at=LONG_AGO))
        connection.execute(update(sessions).values(ended_at=LONG_AGO))


def _log_in(admin: Any) -> None:
    """As an API does, whose user has other rights."""
    keys, digest, now = session_keys("likes", shard_for("mary")), "0" * 64, time.time_ns() // 1_000_000
    times = {"created_at": now, "last_seen": now, "expires_at": now + 60_000}
    admin.hset(keys.session(digest), mapping={"user": "mary", "hits": 1, "keep": "", **times})
    admin.zadd(keys.index("mary"), {digest: now + 60_000})
    admin.zadd(keys.due, {f"{digest}mary": now + 60_000})
