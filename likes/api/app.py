"""The application: routes, what they share, and how errors are answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from likes.api import problems
from likes.api.opened import opened
from likes.api.paths import RawPaths
from likes.api.routes import health, items

if TYPE_CHECKING:
    from likes.config.settings import Settings


def make_app(settings: Settings) -> FastAPI:
    """The API as `settings` describe it."""
    app = FastAPI(title="likes", lifespan=opened, docs_url=None, redoc_url=None)
    app.state.settings = settings
    problems.install(app)
    app.add_middleware(RawPaths)
    for routes in (items, health):
        app.include_router(routes.router)
    return app
