"""Whether the two servers can be used now: asked at most once a second, however many ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from likes.api import events
from likes.buffer.health import try_writing
from likes.buffer.ownership import Ownership
from likes.connect import Places
from likes.errors import LikesError, RedisFull, Resharding, Unavailable

if TYPE_CHECKING:
    from likes.config.settings import Settings

ANSWER_SECONDS = 0.8  # a server that takes longer counts as unavailable
KEPT_SECONDS = 1.0

# The first that an error is one of.
_NAMES: dict[type[LikesError], str] = {
    RedisFull: "full",
    Resharding: "resharding",
    Unavailable: "unavailable",
    LikesError: "refused",
}


class Seen(NamedTuple):
    """Each "ok", "full", "refused" (a right, a table or the right number of shards is missing) or "unavailable".

    Or Redis is "resharding", its number of shards being changed, or the database is "other": Redis belongs to another
    one, which its likes go to.
    """

    redis: str
    database: str


class Readiness:
    """Asks over connections of its own: what likes and reads wait for must not make it wait."""

    def __init__(self, settings: Settings) -> None:
        self._places = replace(
            Places.from_settings(settings), redis_timeout=ANSWER_SECONDS, database_timeout=ANSWER_SECONDS
        )
        self._threads = ThreadPoolExecutor(2, "likes-readiness")
        self._closing: list[Callable[[], None]] = []
        self._redis = _Probe(self._threads, self._ask_redis(settings.prefix, settings.shards))
        self._database = _Probe(self._threads, self._ask_database())

    async def seen(self) -> Seen:
        """What they are like now; within a second."""
        seen = Seen(*await asyncio.gather(self._redis.seen(), self._database.seen()))
        owner = self._redis.told
        is_other = seen == ("ok", "ok") and owner and owner != self._database.told
        return seen._replace(database="other") if is_other else seen

    async def tell(self) -> None:
        """Say in the log which server cannot be used now, and why: else nobody hears of it before the first request."""
        await self.seen()
        for probe in (self._redis, self._database):
            if why := await probe.why():
                events.unusable(why)

    def close(self) -> None:
        """Close the connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for close in self._closing:
            close()

    def _ask_redis(self, prefix: str, shards: int) -> Callable[[], str]:
        """Asks which database it belongs to; "" for none."""
        link = None

        def ask() -> str:
            nonlocal link
            if link is None:
                link = self._places.open_link()
                self._closing.append(link.close)
            try_writing(link, prefix, shards)
            return Ownership(link, self._places.open_link, prefix).read([0]).get(0, "")

        return ask

    def _ask_database(self) -> Callable[[], str]:
        """Asks for its id."""
        engine = None

        def ask() -> str:
            nonlocal engine
            from likes.sql.health import database_id

            if engine is None:
                engine = self._places.open_database(pool_size=1)
                self._closing.append(engine.dispose)
            return database_id(engine)

        return ask


class _Probe:
    """told: what the server answered last."""

    def __init__(self, threads: ThreadPoolExecutor, ask: Callable[[], str]) -> None:
        self.told = ""
        self._why = ""
        self._threads = threads
        self._ask = ask
        self._asked: Future[str] | None = None
        self._at = float("-inf")

    async def seen(self) -> str:
        loop = asyncio.get_running_loop()
        if self._asked is None or (self._asked.done() and loop.time() - self._at >= KEPT_SECONDS):
            self._asked = self._threads.submit(self._look)
            self._at = loop.time()
        with suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._asked)), ANSWER_SECONDS)
        return "unavailable"

    async def why(self) -> str:
        """Why the server cannot be used, however long it takes to say so; "" if it can."""
        if self._asked:
            await asyncio.wrap_future(self._asked)
        return self._why

    def _look(self) -> str:
        try:
            self.told, self._why = self._ask(), ""
        except LikesError as error:
            self._why = str(error)
            return next(name for kind, name in _NAMES.items() if isinstance(error, kind))
        return "ok"
