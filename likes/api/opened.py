"""What one process of the API has open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, FastAPI, Request

from likes.api.live_feed import LiveFeed, live_feed
from likes.api.overview import OverviewFeed
from likes.api.signed_in import SignedIn
from likes.async_counter import AsyncLikeCounter

if TYPE_CHECKING:
    from likes.config.settings import Settings


@dataclass(frozen=True, slots=True)
class Api:
    """The counter, and what else requests share. stopping: set when this process is to end: then streams end."""

    settings: Settings
    likes: AsyncLikeCounter
    live: LiveFeed
    overview: OverviewFeed
    signed_in: SignedIn
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
    async with AsyncLikeCounter.from_settings(settings) as likes:
        signed_in = SignedIn(settings.api_keys, is_needed=bool(settings.api_keys or settings.public_keys))
        api = Api(settings, likes, live_feed(likes), OverviewFeed(settings, likes), signed_in)
        app.state.api = api
        ending = asyncio.create_task(api.end_streams())
        try:
            yield
        finally:
            api.stopping.set()
            await ending
            await asyncio.gather(api.live.close(), api.overview.close())


def _api_of(request: Request) -> Api:
    api: Api = request.app.state.api
    return api


Opened = Annotated[Api, Depends(_api_of)]
