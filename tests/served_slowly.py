"""`likes` whose `serve` has routes that do not end, and the limits that LIMITS (JSON) says.

Every answer that the application gave has the header `x-answered-by`: so a test sees what was answered before it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from functools import partial

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from likes.__main__ import main
from likes.api import app as application
from likes.api import serving
from likes.api.opened import Opened
from likes.api.serving import process
from likes.api.serving.limits import Limits
from likes.config.settings import Settings
from likes.errors import LikesError
from tests.shell import Shell


class SlowShell(Shell):
    """Starts this instead."""

    module = "tests.served_slowly"


router = APIRouter()


@router.get("/stream")
async def stream(api: Opened) -> StreamingResponse:
    """Ends when it is asked to."""

    async def events() -> AsyncIterator[bytes]:
        yield b"begin\n"
        await api.stopping.wait()
        yield b"end\n"

    return StreamingResponse(events(), media_type="text/event-stream")


@router.get("/deaf")
async def deaf() -> StreamingResponse:
    """Ends never."""

    async def events() -> AsyncIterator[bytes]:
        yield b"begin\n"
        await asyncio.Event().wait()

    return StreamingResponse(events(), media_type="text/event-stream")


@router.get("/endless")
async def endless() -> StreamingResponse:
    """More than anybody reads."""

    async def events() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0)
            yield bytes(65536)

    return StreamingResponse(events())


@router.get("/last")
async def last(api: Opened) -> dict[str, bool]:
    """Is answered when the process is to end."""
    await api.stopping.wait()
    return {"answered": True}


@router.get("/never")
async def never() -> None:
    """Is not answered."""
    await asyncio.Event().wait()


@router.post("/headers")
async def headers(request: Request) -> list[str]:
    """Which headers there are."""
    return [*request.headers]


class Marked:
    """Marks every answer of the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"x-answered-by", b"application")]}
            await send(message)

        await self._app(scope, receive, send_marked)


def make_app(settings: Settings) -> FastAPI:
    """The application, with more; none under a certain prefix."""
    if settings.prefix == "does-not-start":
        raise LikesError("it does not start")
    app = application.make_app(settings)
    app.include_router(router)
    app.add_middleware(Marked)
    return app


if __name__ == "__main__":
    process.make_app = make_app
    process.Limits = partial(Limits, **json.loads(os.environ.get("LIMITS", "{}")))
    serving.command_line = lambda *words: [sys.executable, "-m", "tests.served_slowly", *words]
    main()
