"""The processes that serve: sockets, signals, limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvicorn

from likes.api import events
from likes.api.app import make_app

if TYPE_CHECKING:
    from likes.config.settings import Settings


def serve(settings: Settings) -> None:
    """Serve until a signal ends it."""
    config = uvicorn.Config(
        make_app(settings),
        host=settings.http_host,
        port=settings.http_port,
        log_config=None,
        access_log=False,
    )
    socket = config.bind_socket()
    socket.listen()  # who connects once it says that it serves, is not refused
    host, port = socket.getsockname()[:2]
    events.serving(f"http://{host}:{port}")
    uvicorn.Server(config).run(sockets=[socket])
    events.stopped()
