"""AsyncSessionStore: sessions in Redis for every process, and in SQL what is to be kept of those that ended."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

from likes.connect import Places
from likes.posting.steps import Steps, run_async
from likes.sessions.fields import check_names, check_user, to_json
from likes.sessions.session import Begun, Ended, Life, Session
from likes.sessions.steps import Rotated
from likes.sessions.token import Place
from likes.store import LONGEST_REVOCATION, Store

if TYPE_CHECKING:
    from likes.buffer.links.link import AsyncLink


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
