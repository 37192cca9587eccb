"""From a like to the audit, and from a log-in to its end: each step as the user whose it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine

from likes.async_session_store import AsyncSessionStore
from likes.connect import Places
from likes.sessions.session import Life
from likes.sql.urls import url_of
from tests.docs.users import use_as_an_application_does, use_sessions
from tests.running_worker import RunningWorker
from tests.shell import Shell


def go_the_whole_way(url_for: Callable[[str], str], engine: Engine, folder: Path, **settings: object) -> Shell:
    """Go it on an empty Redis and an empty database; returns a worker's shell. url_for: the URL of a user."""
    database = url_of(engine)
    likes = Shell(folder, redis_url=url_for("likes_worker"), database_url=database, shards=1, **settings)
    assert likes("flush").code == 0
    use_as_an_application_does(Places(url_for("likes_app"), database, None, redis_timeout=30, database_timeout=30))
    flushed = likes("flush", "--json")
    assert flushed.code == 0, flushed
    assert flushed.json["items"] == 3
    assert likes("get", "video:7", "--json").json[0]["total"] == 3
    for_api = Places(url_for("likes_api"), database, None, redis_timeout=30, database_timeout=30)
    asyncio.run(use_sessions(for_api, idle=6))
    asyncio.run(_log_in(for_api))
    assert len(likes("sessions", "list", "mary", "--json").json) == 1
    assert likes("sessions", "revoke", "mary").code == 0
    with RunningWorker(likes, flush_at_items=5) as worker:
        worker.wait_for("started")
        assert likes("post", "--file", "-", stdin=b"".join(b"%d\n" % i for i in range(20))).code == 0
        worker.wait_for("flushed")
        assert worker.stop() == 0
    audited = likes("audit", "--json")
    assert audited.code == 0, audited
    assert (audited.json["totals"], audited.json["pending"]) == (1 + 3 + 1 + 20, 0)
    return likes


async def _log_in(places: Places) -> None:
    async with AsyncSessionStore(places, "likes", Life(600, 600)) as store:
        await store.begin("mary", {}, [])
