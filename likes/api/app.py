"""The application: routes, what they share, and what every request goes through.

proxies ─▶ measured ─▶ paths ─▶ answers ─▶ origins ─▶ methods ─▶ door (no keys: this machine only) ─▶ limits ─▶ routes
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from likes.api import problems
from likes.api.answers import Answers
from likes.api.described import Described
from likes.api.figures import Figures
from likes.api.keys import Door
from likes.api.measured import Measured, Routed
from likes.api.methods import HeadAsGet
from likes.api.opened import opened
from likes.api.origins import Cors
from likes.api.paths import RawPaths
from likes.api.proxies import TrustedProxies
from likes.api.rate_limits import RateLimits, client_by
from likes.api.routes import docs, events, health, items, metrics, overview, page, sessions, top
from likes.api.routes import likes as many_likes

if TYPE_CHECKING:
    from likes.config.settings import Settings


def make_app(settings: Settings) -> FastAPI:
    """The API as `settings` describe it; raises SettingsError if they would have it serve anybody."""
    door, root = Door(settings), settings.http_root_path
    app = Described(
        needs_key=door.needs_key,
        has_limit=settings.rate_limit is not None,
        root=root,
        lifespan=opened,
        redirect_slashes=False,
    )
    app.state.settings = settings
    app.state.door = door
    app.state.figures = Figures(settings)
    problems.install(app)
    for routes in (items, many_likes, top, events, sessions, docs, page, overview, health, metrics):
        app.include_router(routes.router)
    app.add_middleware(Routed)  # the first stays the innermost
    app.add_middleware(RateLimits, client=client_by(door.caller))
    app.add_middleware(Entrance, door=door)
    app.add_middleware(HeadAsGet)
    if settings.http_origins:
        app.add_middleware(Cors, origins=settings.http_origins)
    app.add_middleware(Answers)
    app.add_middleware(RawPaths, root=root)
    app.add_middleware(Measured, requests=app.state.figures.requests)
    app.add_middleware(TrustedProxies, networks=settings.http_trusted_proxies)
    return app


class Entrance:
    """Has a door look at every request."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, if it may come in."""
        if scope["type"] == "http":
            try:
                self._door.check(scope["method"], scope["headers"])
            except problems.Problem as refused:
                await refused.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)
