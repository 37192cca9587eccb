"""What one process of the API has open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, FastAPI, Request

from likes.api.readiness import Readiness
from likes.async_counter import AsyncLikeCounter

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
    readiness: Readiness
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def opened(app: FastAPI) -> AsyncIterator[None]:
    """While an app runs, its `state.api` is open."""
    settings: Settings = app.state.settings
    with closing(Readiness(settings)) as readiness:
        async with AsyncLikeCounter.from_settings(settings) as likes:
            app.state.api = Api(settings, likes, readiness)
            yield


def _api_of(request: Request) -> Api:
    api: Api = request.app.state.api
    return api


Opened = Annotated[Api, Depends(_api_of)]
