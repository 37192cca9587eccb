"""Processes of an API and of a worker that die at a chosen call while they end sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from likes.async_session_store import AsyncSessionStore
from likes.buffer.calls import Call
from likes.connect import Places
from likes.deadline import Deadline
from likes.sessions.session import Life
from likes.sql.engine import open_engine
from tests.crash.mortal import Fate, main
from tests.rig import Rig
from tests.seams import TappedLink, tap_statements


class MortalLink:
    """A link for asyncio whose every round trip may be the last."""

    def __init__(self, link: Any, fate: Fate) -> None:
        self.where = link.where
        self._link = link
        self._fate = fate

    async def send(self, calls: Sequence[Call[Any]], deadline: Deadline) -> list[Any]:
        """As a link does."""
        self._fate.before()
        replies: list[Any] = await self._link.send(calls, deadline)
        self._fate.after()
        return replies


def act(redis_url: str, database_url: str, moment: str, last: int, what: str, *words: Any) -> None:
    """Do `what` until its fate."""
    fate = Fate(moment, last)
    if what == "sweep":
        sweep(redis_url, database_url, fate)
    else:
        asyncio.run(serve(redis_url, database_url, fate, what, *words))


async def serve(redis_url: str, database_url: str, fate: Fate, what: str, *words: Any) -> None:
    """What an API does for one request: a method of its store."""
    store = AsyncSessionStore(
        Places(redis_url, database_url, None, redis_timeout=5, database_timeout=10), "likes", Life(1800, 3600)
    )
    link: Any = MortalLink(store._open_link(), fate)
    store._link = link
    store._engine = open_engine(database_url, timeout=10)
    tap_statements(store._engine, fate.around)
    await getattr(store, what)(*words)


def sweep(redis_url: str, database_url: str, fate: Fate) -> None:
    """What a worker does behind a flush."""
    rig = Rig(redis_url, open_engine(database_url, timeout=10))
    with rig.new_worker(
        lambda link: TappedLink(link, fate.around), lambda engine: tap_statements(engine, fate.around)
    ) as worker:
        rig.worker = worker
        worker.claim([0])
        rig.sweep().run()


if __name__ == "__main__":
    main(act)
