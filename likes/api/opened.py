"""What one process of the API has open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, FastAPI, Request

from likes.api.ranking import Ranking
from likes.async_counter import AsyncLikeCounter
from likes.limiting.limiter import RateLimiter

if TYPE_CHECKING:
    from likes.config.settings import Settings


@dataclass(frozen=True, slots=True)
class Api:
    """The counter, and what else requests share."""

    settings: Settings
    likes: AsyncLikeCounter
    ranking: Ranking
    limiter: RateLimiter | None = None


@asynccontextmanager
async def opened(app: FastAPI) -> AsyncIterator[None]:
    """While an app runs, its `state.api` is open."""
    settings: Settings = app.state.settings
    async with AsyncLikeCounter.from_settings(settings) as likes:
        limiter = likes.rate_limiter(*settings.rate_limit) if settings.rate_limit else None
        app.state.api = Api(settings, likes, Ranking(likes, settings.database_timeout), limiter)
        yield
        if limiter:
            await limiter.close()


async def _api_of(request: Request) -> Api:  # else it would be asked in a thread
    api: Api = request.app.state.api
    return api


Opened = Annotated[Api, Depends(_api_of)]
