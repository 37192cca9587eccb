"""What one process of the API has open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, FastAPI, Request

from likes.api.figures import Figures
from likes.async_counter import AsyncLikeCounter

if TYPE_CHECKING:
    from likes.config.settings import Settings


@dataclass(frozen=True, slots=True)
class Api:
    """The counter, and what else requests share."""

    settings: Settings
    likes: AsyncLikeCounter
    figures: Figures


@asynccontextmanager
async def opened(app: FastAPI) -> AsyncIterator[None]:
    """While an app runs, its `state.api` is open."""
    settings: Settings = app.state.settings
    figures: Figures = app.state.figures
    async with AsyncLikeCounter.from_settings(settings) as likes, figures.shown():
        app.state.api = Api(settings, likes, figures)
        yield


def _api_of(request: Request) -> Api:
    api: Api = request.app.state.api
    return api


Opened = Annotated[Api, Depends(_api_of)]
