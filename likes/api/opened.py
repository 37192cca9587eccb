"""What one process of the API has open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, FastAPI, Request

from likes.api.figures import Figures
from likes.api.live_feed import LiveFeed, live_feed
from likes.api.overview import OverviewFeed
from likes.api.ranking import Ranking
from likes.api.readiness import Readiness
from likes.api.signed_in import TRIES, TRIES_SECONDS, SignedIn
from likes.async_counter import AsyncLikeCounter
from likes.async_session_store import AsyncSessionStore
from likes.limiting.limiter import RateLimiter

if TYPE_CHECKING:
    from likes.config.settings import Settings


@dataclass(frozen=True, slots=True)
class Api:
    """The counter, and what else requests share.

    stopping: set when this process takes no more requests. An answer that has no end of its own, such as a stream of
    events, is to await it beside what it tells, and to end within a second then; after seven it is cut off.
    """

    settings: Settings
    likes: AsyncLikeCounter
    ranking: Ranking
    sessions: AsyncSessionStore
    readiness: Readiness
    figures: Figures
    live: LiveFeed
    overview: OverviewFeed
    signed_in: SignedIn
    limiter: RateLimiter | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def end_streams(self) -> None:
        """End them as soon as the process is stopping."""
        await self.stopping.wait()
        self.live.end()
        self.overview.end()


@asynccontextmanager
async def opened(app: FastAPI) -> AsyncIterator[None]:
    """While an app runs, its `state.api` is open."""
    settings: Settings = app.state.settings
    figures: Figures = app.state.figures
    async with AsyncExitStack() as stack:
        readiness = stack.enter_context(closing(Readiness(settings)))
        likes = await stack.enter_async_context(AsyncLikeCounter.from_settings(settings))
        sessions = await stack.enter_async_context(AsyncSessionStore.from_settings(settings))
        tries = likes.rate_limiter(TRIES, TRIES_SECONDS)
        limiter = likes.rate_limiter(*settings.rate_limit) if settings.rate_limit else None
        for each in filter(None, (tries, limiter)):
            stack.push_async_callback(each.close)
        _count_what_others_do(figures, likes, sessions)
        await stack.enter_async_context(figures.shown())
        api = Api(
            settings,
            likes,
            Ranking(likes, settings.database_timeout),
            sessions,
            readiness,
            figures,
            live_feed(likes),
            OverviewFeed(settings, likes),
            SignedIn(settings.api_keys, sessions, tries, is_needed=bool(settings.api_keys or settings.public_keys)),
            limiter,
        )
        app.state.api = api
        ending, telling = asyncio.create_task(api.end_streams()), asyncio.create_task(readiness.tell())
        try:
            yield
        finally:
            api.stopping.set()
            telling.cancel()
            await ending
            await asyncio.gather(api.live.close(), api.overview.close())


async def _api_of(request: Request) -> Api:  # else it would be asked in a thread
    api: Api = request.app.state.api
    return api


Opened = Annotated[Api, Depends(_api_of)]


def _count_what_others_do(figures: Figures, likes: AsyncLikeCounter, sessions: AsyncSessionStore) -> None:
    found = likes.cache_counts
    figures.tally.count_elsewhere("likes_cache_hits_total", read=lambda: found.hits)
    figures.tally.count_elsewhere("likes_cache_misses_total", read=lambda: found.misses)
    figures.tally.count_elsewhere("likes_cache_early_refreshes_total", read=lambda: found.early_refreshes)
    figures.tally.count_elsewhere("likes_cache_waits_total", read=lambda: found.waits)
    figures.tally.count_elsewhere("likes_sessions_created_total", read=lambda: sessions.created)
    figures.tally.count_elsewhere("likes_sessions_ended_total", read=lambda: sessions.ended)
