"""One Redis and one database with a session store on them, as the API has it, and a worker's sweep."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from typing import Any, Self, TypeVar

from sqlalchemy import Engine, Row, select

from likes.async_session_store import AsyncSessionStore
from likes.session_store import SessionStore
from likes.sessions.session import Life, Session
from likes.sessions.token import Place
from likes.sql.tables import sessions
from tests.rig import LIFE, Rig

T = TypeVar("T")


class SessionRig(Rig):
    """`store` serves requests, `sweep` sees to what is over; `other` is the store of another process."""

    def __init__(self, redis_url: str, engine: Engine, *, life: Life = LIFE, shards: int = 1) -> None:
        super().__init__(redis_url, engine, shards=shards)
        self.life = life
        self._runner = self._open.enter_context(asyncio.Runner())
        self.store = self.new_store()
        self.other = self.new_store()
        self.threads = self._open.enter_context(SessionStore(self.places, self.prefix, life))
        self.flush()  # which claims the shards of counters
        self.sweeper = super().sweep(life)
        self.sweeper.run()  # which claims the others

    def new_store(self) -> AsyncSessionStore:
        """A store with connections of its own."""
        store = AsyncSessionStore(self.places, self.prefix, self.life)
        self._open.callback(lambda: self.run(store.close()))
        return store

    def run(self, awaitable: Awaitable[T]) -> T:
        """Await it."""

        async def main() -> T:
            return await awaitable

        return self._runner.run(main())

    # What a request does.

    def begin(self, user: str | None = None, *, keep: tuple[str, ...] = (), **fields: Any) -> str:
        """A new session; its token."""
        token, _ = self.run(self.store.begin(user, fields, keep))
        return token

    def touch(self, token: str) -> Session | None:
        """A request with this token."""
        return self.run(self.store.touch(token))

    def change(self, token: str, /, **fields: Any) -> Session | None:
        """A request that changes fields."""
        return self.run(self.store.change(token, fields))

    def end(self, token: str) -> bool:
        """A log-out."""
        return self.run(self.store.end(token))

    def rotate(self, token: str) -> str:
        """Its new token."""
        rotated = self.run(self.store.rotate(token))
        assert rotated
        return rotated[0]

    def log_in(self, token: str, user: str) -> str:
        """Its new token."""
        rotated = self.run(self.store.log_in(token, user))
        assert rotated
        return rotated[0]

    # What Redis and SQL hold.

    def key_of(self, token: str) -> str:
        """The key of a session."""
        place = Place.of(token)
        assert place
        return f"{{{self.prefix}:{place.shard}}}:session:{place.digest}"

    def session_keys(self) -> list[str]:
        """All keys of sessions and what leads to them, but for the numbers of sweeps."""
        keys = [key.decode() for key in self.redis.scan_iter(match="{*}:session*")]
        return sorted(key for key in keys if not key.endswith(":session_sweeps"))

    def rows(self) -> list[Row[Any]]:
        """The sessions that ended, in order."""
        return self._all(select(sessions).order_by(sessions.c.ended_at, sessions.c.hash))

    def kept(self) -> list[dict[str, Any]]:
        """What was kept of those that kept something."""
        return [fields for row in self.rows() if (fields := json.loads(row.fields))]

    def __enter__(self) -> Self:
        return self
