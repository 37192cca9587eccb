"""The session store: sessions in Redis for every process, and in SQL what is to be kept of those that ended.

SessionStore is for threads, AsyncSessionStore for asyncio. Both hand off at once what a log-out leaves; what a killed
process or a database that is away leaves over, a worker's sweep sees to.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

from likes.connect import Places
from likes.errors import LikesError
from likes.posting.steps import Steps, run, run_async
from likes.sessions.fields import check_names, check_user, to_json
from likes.sessions.session import Begun, Ended, Life, Session
from likes.sessions.steps import Rotated, Sessions
from likes.sessions.token import Place

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from likes.buffer.links.link import AsyncLink, Link
    from likes.config.settings import Settings

_log = logging.getLogger("likes.sessions")

LONGEST_REVOCATION = 10_000  # rounds of a hundred sessions


class Store:
    """What both stores have: where the servers are, and SQL.

    life: how long sessions live. trouble: why SQL did not take what ended last; it waits in Redis for a worker then.
    Connections are opened when they are first needed.
    """

    trouble: LikesError | None = None

    def __init__(self, places: Places, namespace: str, life: Life) -> None:
        self._places = places
        self._namespace = namespace
        self._sessions = Sessions(namespace, life, places.redis_timeout)
        self._opening = Lock()
        self._engine: Engine | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The store that settings name."""
        life = Life(settings.session_idle_seconds, settings.session_max_seconds)
        return cls(Places.from_settings(settings), settings.prefix, life)

    def _record(self, ended: Sequence[Ended]) -> str:
        """Write to SQL; the database's id, "" where a sweep has to see to them. Raises nothing: they are over."""
        from likes.sql.sessions import record

        try:
            with self._opening:
                if self._engine is None:
                    self._engine = self._places.open_database()
            return record(self._engine, self._namespace, ended)
        except LikesError as error:
            self.trouble = error
            _log.warning("%d ended sessions wait in Redis for a worker: %s", len(ended), error)
            return ""

    def _close_database(self) -> None:
        with self._opening:
            if self._engine is not None:
                self._places.close_database(self._engine)
            self._engine = None


class SessionStore(Store):
    """Lists and ends a user's sessions, for commands and other threads."""

    def __init__(self, places: Places, namespace: str, life: Life) -> None:
        super().__init__(places, namespace, life)
        self._link: Link | None = None

    def of_user(self, user: str) -> list[Session]:
        """The sessions of a user that are not over, the newest first."""
        return run(self._sessions.of_user(check_user(user)), self._open())

    def revoke(self, user: str) -> int:
        """End all sessions of a user; how many there were."""
        check_user(user)
        count = 0
        for _ in range(LONGEST_REVOCATION):
            ended = run(self._sessions.revoke(user), self._open())
            if not ended:
                break
            count += len(ended)
            if database := self._record(ended):
                run(self._sessions.drop(ended, database), self._open())
        return count

    def close(self) -> None:
        """Close all connections."""
        if self._link is not None:
            self._link.close()
        self._close_database()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> Link:
        with self._opening:
            self._link = self._link or self._places.open_link()
            return self._link


class AsyncSessionStore(Store):
    """Begins, reads, changes and ends sessions, each by its token.

    A token leads to None where its session is over, or never was: the caller has to let its bearer log in again.
    """

    def __init__(self, places: Places, namespace: str, life: Life) -> None:
        super().__init__(places, namespace, life)
        self._link: AsyncLink | None = None
        self._threads = ThreadPoolExecutor(2, "likes-sessions")
        self.created = self.ended = 0  # by this process

    async def begin(
        self, user: str | None = None, fields: Mapping[str, Any] | None = None, keep: Collection[str] = ()
    ) -> tuple[str, Session]:
        """Begin a session, of a user or of nobody; its token, which is told here alone.

        fields: name -> anything that JSON can write. keep: the names of those that SQL gets when the session ends.
        Raises InvalidInput for what is none, and RedisFull.
        """
        begun = Begun(check_user(user) if user is not None else "", to_json(fields or {}), check_names(keep))
        token, session = await run_async(self._sessions.begin(begun), await self._open())
        self.created += 1
        return token, session

    async def touch(self, token: str) -> Session | None:
        """A request came with this token: the session, which lives on. While Redis is full the hit does not count."""
        place = Place.of(token)
        return await run_async(self._sessions.touch(place), await self._open()) if place else None

    async def change(self, token: str, fields: Mapping[str, Any]) -> Session | None:
        """Set fields, each by itself; a value of None removes one. Raises InvalidInput, RedisFull."""
        check_names(fields)
        removed = check_names([name for name, value in fields.items() if value is None])
        written = to_json({name: value for name, value in fields.items() if value is not None})
        place = Place.of(token)
        if place is None:
            return None
        return await run_async(self._sessions.change(place, written, removed), await self._open())

    async def rotate(self, token: str) -> tuple[str, Session] | None:
        """Give a session another token; the one before is over."""
        place = Place.of(token)
        return await self._rotated(self._sessions.rotate(place)) if place else None

    async def log_in(self, token: str, user: str) -> tuple[str, Session] | None:
        """Let a session go on as one of `user`, under another token; the one before is over. Its time begins anew."""
        check_user(user)
        place = Place.of(token)
        return await self._rotated(self._sessions.log_in(place, user)) if place else None

    async def end(self, token: str) -> bool:
        """End a session for good; False if it was over. What is to be kept is in SQL then, unless that is away."""
        place = Place.of(token)
        ended = await run_async(self._sessions.end(place), await self._open()) if place else None
        if ended is None:
            return False
        await self._hand_off(ended)
        return True

    async def of_user(self, user: str) -> list[Session]:
        """The sessions of a user that are not over, the newest first."""
        return await run_async(self._sessions.of_user(check_user(user)), await self._open())

    async def revoke(self, user: str) -> int:
        """End all sessions of a user; how many there were."""
        check_user(user)
        count = 0
        for _ in range(LONGEST_REVOCATION):
            ended = await run_async(self._sessions.revoke(user), await self._open())
            if not ended:
                break
            count += len(ended)
            await self._hand_off(ended)
        return count

    async def close(self) -> None:
        """Close the connections of this event loop, and those to the database."""
        if self._link is not None:
            await self._link.close()
        await asyncio.to_thread(self._threads.shutdown)
        await asyncio.to_thread(self._close_database)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _rotated(self, steps: Steps[Rotated | None]) -> tuple[str, Session] | None:
        rotated = await run_async(steps, await self._open())
        if rotated is None:
            return None
        self.created += 1
        await self._hand_off([rotated.ended])
        return rotated.token, rotated.session

    async def _hand_off(self, ended: Sequence[Ended]) -> None:
        if not ended:
            return
        self.ended += len(ended)
        loop = asyncio.get_running_loop()
        written = loop.run_in_executor(self._threads, self._record, ended)
        try:
            database = await asyncio.wait_for(asyncio.shield(written), self._places.redis_timeout)
        except TimeoutError:  # it may be written yet; a sweep drops it
            return
        if database:
            await run_async(self._sessions.drop(ended, database), await self._open())

    async def _open(self) -> AsyncLink:
        if self._link is not None:
            return self._link
        return await asyncio.to_thread(self._open_link)  # which may start an embedded server

    def _open_link(self) -> AsyncLink:
        with self._opening:
            if self._link is None:
                self._link = self._places.open_async_link()
            return self._link
