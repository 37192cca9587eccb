"""The users that docs/deploying.md has for Redis, and all that an application and an API do as theirs."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any

from likes import AsyncLikeCounter, LikeCounter
from likes.async_session_store import AsyncSessionStore
from likes.connect import Places
from likes.sessions.session import Life, Session
from tests.snippets import DOCS, block

PAGE = DOCS / "deploying.md"
NAMES = ("likes_app", "likes_api", "likes_worker")


def rules_of(name: str) -> list[str]:
    """The rules of a user as the page has them."""
    return block(PAGE, "text", f"user {name} ").split()[2:]


def url_for(redis_url: str, name: str) -> str:
    return redis_url.replace("://", f"://{name}:change-me@")


def rights(name: str) -> list[str]:
    return [rule for rule in rules_of(name) if rule.startswith("+")]


def set_user(admin: Any, name: str, rules: list[str]) -> None:
    admin.execute_command("ACL", "SETUSER", name, "reset", *rules)
    admin.acl_log_reset()


def rights_in_a_cluster() -> list[str]:
    """What every user needs besides."""
    (said,) = re.findall(r"need two rights more: `([^`]+)`", PAGE.read_text())
    return said.split()


def rights_to_wait() -> dict[str, list[str]]:
    """What each LIKES_DURABILITY needs besides, as the page says."""
    (said,) = re.findall(r"`LIKES_DURABILITY=replicas:N` needs `(.+?)` as well, `aof` needs `(.+?)`", PAGE.read_text())
    return {"replicas:1": said[0].split(), "aof": said[1].split()}


def use_as_an_application_does(places: Places) -> None:
    with LikeCounter(redis_url=places.redis, database_url=places.database, shards=1) as counter:
        for _ in range(2):  # the first one begins the shard
            assert counter.like("video:42") > 0
        counter.add({"video:42": -1, "video:7": 3})
        assert counter.total("video:42") == 1
        assert counter.total("video:42") == 1  # the first one cached it
        assert counter.pending("video:7") == 3
    asyncio.run(use_a_key(places))


async def use_a_key(places: Places) -> None:
    async with AsyncLikeCounter(redis_url=places.redis, database_url=places.database, shards=1) as counter:
        for _ in range(2):
            assert await counter.like_once("video:9", key=b"a key") == 1


def _has_slid(session: Session, idle: int) -> bool:
    return session.expires_at > session.created_at + timedelta(seconds=idle + 0.1)


async def use_sessions(places: Places, idle: int = 2) -> None:
    """idle: for how many seconds the machine may be busy with something else; a tenth is waited for."""
    async with AsyncSessionStore(places, "likes", Life(idle, 600)) as store:
        token, _ = await store.begin("mary", {"cart": 1}, ["cart"])
        while (session := await store.touch(token)) and not _has_slid(session, idle):
            pass
        await store.change(token, {"cart": None, "page": 1})
        await store.change(token, {"cart": 2})
        token, _ = await store.rotate(token) or ("", None)
        token, _ = await store.log_in(token, "bob") or ("", None)
        assert len(await store.of_user("bob")) == 1
        assert await store.end(token)
        assert store.trouble is None
        await store.begin("mary", {"cart": 1}, ["cart"])
        assert await store.revoke("mary") == 1
