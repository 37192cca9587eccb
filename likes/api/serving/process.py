"""One process that serves: takes connections until it is told to end, then answers what is under way."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI

from likes.api.answers import HEADERS
from likes.api.app import make_app
from likes.api.keys import Door
from likes.api.opened import Api
from likes.api.problems import Problem
from likes.api.serving import lifeline
from likes.api.serving.guard import Guard
from likes.api.serving.hot import Headers, HotGuard, HotLikes, MayPass
from likes.api.serving.limits import Limits, connections_possible
from likes.api.serving.requests import State

if TYPE_CHECKING:
    from likes.config.settings import Settings

LOOK_EVERY = 5  # ticks of a tenth of a second
DRAIN_SECONDS = 7.0  # for all that is under way to be answered
END_SECONDS = 9  # for all, what was opened closed too
# For how long a connection without a request stays open once this process is to end.
GRACE_SECONDS = {
    signal.SIGTERM: 0.2,  # requests that have arrived already
    signal.SIGINT: 0.2,
    signal.SIGHUP: 3.0,  # another process takes over: the next request on it is still answered, and says that it ends
}


def run(settings: Settings, listening: int) -> None:
    """Serve on the listening socket of this number, until a signal or the end of the line."""
    os.set_inheritable(listening, False)
    lifeline.hold()
    app = make_app(settings)
    app.state.hot = HotLikes(app, may_pass=_may_pass(app, settings), headers=HEADERS)
    config = uvicorn.Config(
        app,
        http=HotGuard,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_no_cut_off)
    limits = Limits(connections=connections_possible(Limits().connections))
    server = Server(config, limits, started=lifeline.say_ready, stopping=partial(_say_stopping, app))
    server.run(sockets=[socket.socket(fileno=listening)])


def _may_pass(app: FastAPI, settings: Settings) -> MayPass:
    """Whether a plain like may be counted before the application, which decides on rates, has seen it.

    Nor has whom a proxy sent it for been found by then, which a line in the log tells.
    """
    door: Door = app.state.door
    tells_clients = settings.access_log == "on" and bool(settings.http_trusted_proxies or settings.http_unix_socket)

    def may_pass(headers: Headers, _peer: tuple[str, int] | None) -> bool:
        try:
            door.check("POST", headers)
        except Problem:
            return False
        if tells_clients and any(name == b"x-forwarded-for" for name, _ in headers):
            return False
        caller = door.known(headers)
        return settings.rate_limit is None and caller is not None and caller.is_full

    return may_pass


def _is_no_cut_off(record: logging.LogRecord) -> bool:
    """False for the traceback of a request that was cut off at the end, whose client was told."""
    return not (record.exc_info and record.exc_info[0] is asyncio.CancelledError)


def _say_stopping(app: FastAPI) -> None:
    api: Api = app.state.api
    api.stopping.set()


class Server(uvicorn.Server):
    """uvicorn's, with another way to end. started, stopping: told when it takes connections, and when no more."""

    def __init__(
        self, config: uvicorn.Config, limits: Limits, *, started: Callable[[], None], stopping: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self.server_state: State = State(limits)
        self._tell_started = started
        self._tell_stopping = stopping
        self._grace = GRACE_SECONDS[signal.SIGTERM]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections."""
        self.server_state.now = asyncio.get_running_loop().time()
        await super().startup(sockets)
        gc.collect()
        gc.freeze()  # what is there now stays: a collection need not go through all of it time and again
        self._tell_started()

    async def on_tick(self, counter: int) -> bool:
        """Every tenth of a second."""
        self.server_state.now = asyncio.get_running_loop().time()
        if counter % LOOK_EVERY == 0:
            self._look()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, answer what is under way, have streams end, close what is idle; then the app."""
        for server in self.servers:
            server.close()
        for each in sockets or []:
            each.close()
        self.server_state.stopping = self._grace
        self._tell_stopping()
        for connection in self._connections():
            connection.shutdown()
        await self._drain()
        await self._cut_off()
        await self.lifespan.shutdown()

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + DRAIN_SECONDS
        while (self.server_state.connections or self.server_state.tasks) and loop.time() < end:
            await asyncio.sleep(0.02)
            self.server_state.now = loop.time()
            self.server_state.stopping = self._grace
            self._look()

    async def _cut_off(self) -> None:
        for connection in self._connections():
            connection.cut_off()
        if tasks := [*self.server_state.tasks]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=1)

    def _look(self) -> None:
        for connection in self._connections():
            connection.look()

    def _connections(self) -> list[Guard]:
        return [each for each in self.server_state.connections if isinstance(each, Guard)]

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Until the end; more of them change nothing, but that the end comes sooner."""
        signal.signal(signal.SIGALRM, lambda *_: os._exit(0))  # all was answered, or will not be
        for number in GRACE_SECONDS:
            signal.signal(number, self._end)
        yield
        for number in GRACE_SECONDS:
            signal.signal(number, signal.SIG_IGN)

    def _end(self, number: int, _frame: object) -> None:
        grace = GRACE_SECONDS[signal.Signals(number)]
        self._grace = min(grace, self._grace) if self.should_exit else grace
        if not self.should_exit:
            signal.alarm(END_SECONDS)
        self.should_exit = True
