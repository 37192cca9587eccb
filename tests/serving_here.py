"""The API in a thread of the test's own process, where a test can look inside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Thread
from typing import Any, Self, TypeVar

import httpx
import uvicorn
from fastapi import FastAPI

from likes.api.app import make_app
from likes.api.opened import Api
from likes.config.settings import Settings
from tests.waiting import wait_until

T = TypeVar("T")


class ServingHere:
    """Serves on a free port during the block; then every stream is ended, as when the process stops."""

    def __init__(self, **settings: Any) -> None:
        self.app: FastAPI = make_app(Settings.load(**settings))
        self._server = uvicorn.Server(uvicorn.Config(self.app, log_config=None, lifespan="on"))
        self._socket = uvicorn.Config(self.app, port=0, log_config=None).bind_socket()
        self.port: int = self._socket.getsockname()[1]
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self._server.started or not self._thread.is_alive())
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=10)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.run(self.api.stopping.set)
        self._server.should_exit = True
        self._thread.join(10)
        assert not self._thread.is_alive()

    @property
    def api(self) -> Api:
        """What its requests share."""
        api: Api = self.app.state.api
        return api

    def run(self, call: Callable[[], T]) -> T:
        """Make a call on its event loop."""

        async def made() -> T:
            return call()

        return asyncio.run_coroutine_threadsafe(made(), self._loop).result(10)

    def _run(self) -> None:
        self._loop = asyncio.new_event_loop()
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._server.serve(sockets=[self._socket]))
