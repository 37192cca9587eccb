"""The application: routes, what they share, and how errors are answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from likes.api import problems
from likes.api.figures import Figures
from likes.api.measured import Measured, Routed
from likes.api.opened import opened
from likes.api.paths import RawPaths
from likes.api.routes import items, metrics

if TYPE_CHECKING:
    from likes.config.settings import Settings


def make_app(settings: Settings) -> FastAPI:
    """The API as `settings` describe it."""
    app = FastAPI(title="likes", lifespan=opened, docs_url=None, redoc_url=None)
    app.state.settings = settings
    app.state.figures = Figures(settings)
    problems.install(app)
    app.add_middleware(Routed)  # the first stays the innermost …
    app.add_middleware(RawPaths)
    for routes in (items, metrics):
        app.include_router(routes.router)
    app.add_middleware(Measured, requests=app.state.figures.requests)  # … and the last the outermost
    return app
