"""HTTP/1.1 on one connection, by uvicorn's httptools protocol: whole requests, or a problem and the end.

    bytes ──▶ httptools (strict) ──▶ one request, whole ──▶ dispatch ──▶ uvicorn ──▶ the application
                   └──────────── or a problem: answered in its turn, then the connection ends

A request is handed on when its last byte is there, so what is slow, cut off, too large or ambiguous never reaches the
application. Headers behind a chunked body are dropped. Where a client asks for another protocol, httptools takes the
body for that protocol: so the head is fed once more without the wish, which HTTP lets a server do.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from likes.api.problems import Problem
from likes.api.serving import head, refusals
from likes.api.serving.limits import Limits


class Stage(Enum):
    """What of the next request is there."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()
    LAST = auto()  # nothing is read any more: the last answer was given, or stands at the end of the row


NOTHING, HEAD, BODY, LAST = Stage  # looking one up in an Enum takes longer than all else that is done with it


class State(ServerState):
    """What the connections of a process share.

    now: the event loop's clock, as of the last look. stopping: None, or for how long (seconds) a connection without a
    request stays open yet, so that a request which is under way to us is still answered.
    """

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.limits = limits
        self.now = 0.0
        self.stopping: float | None = None


class Requests(HttpToolsProtocol):
    """What is read of one connection. `since`: when, by `server_state.now`, `stage` or what is answered changed."""

    server_state: State

    def __init__(
        self,
        config: Config,
        server_state: State,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.limits = server_state.limits
        self.method = b""
        self.body = bytearray()
        self.stage = NOTHING
        self.since = server_state.now
        self._bytes = 0  # of the part that is being read, those of its first packet aside
        self._answered: Any = None  # the request whose turn it is: `cycle` is the last one, which may have to wait
        self._last: Problem | None = None

    @property
    def is_busy(self) -> bool:
        """True while an answer is owed."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def keeps_alive(self) -> bool:
        """Whether another request may follow the one that is dispatched."""
        wanted = self.parser.should_keep_alive() and self.parser.get_http_version() != "1.0"
        return wanted and self.server_state.stopping is None

    def dispatch(self) -> None:
        """Hand a whole request to the application."""
        url, headers, body, waits = self.url, self.headers, self.body, self.is_busy
        super().on_message_begin()
        self.url, self.headers, self.scope["headers"] = url, headers, headers
        self.expect_100_continue = False
        super().on_headers_complete()
        self._answered = self._answered if waits else self.cycle
        self.cycle.keep_alive = self.keeps_alive
        if body:
            super().on_body(bytes(body))
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is out: on to the next one in the row, or to the next request."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.since = self.server_state.now
        if self.pipeline:
            self._answered, app = self.pipeline.pop()
            self._start_asgi_task(self._answered, app)
            return
        if self._last is not None:
            self._say_last(self._last)
        self.flow.resume_reading()

    def refuse(self, problem: Problem) -> None:
        """Answer for the last time, once what was asked before is answered."""
        self.stage = LAST
        if self.is_busy:
            self._last = problem
        else:
            self._say_last(problem)

    def _say_last(self, problem: Problem) -> None:
        """A connection closed with bytes unread is reset, and the answer with it: so it is closed in one direction."""
        self.since = self.server_state.now
        self.transport.write(refusals.written(problem, self.server_state.default_headers))
        self.transport.write_eof()

    # What the transport calls.

    def data_received(self, data: bytes) -> None:
        if self.stage is LAST:
            return
        if self.stage is NOTHING:
            self._enter(HEAD)
        else:
            self._bytes += len(data)
        self._feed(data)
        if self.stage is HEAD and self._bytes > self.limits.head_bytes:
            self.refuse(head.too_large(self.limits))
        elif self.stage is BODY and self._bytes > self.limits.framing_bytes:
            self.refuse(refusals.body_too_large(self.limits.body_bytes))

    def connection_lost(self, exc: Exception | None) -> None:
        self.stage = LAST
        super().connection_lost(exc)
        if self._answered is not None:  # uvicorn tells `cycle` alone
            self._answered.disconnected = True
            self._answered.message_event.set()

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = self._head_without_upgrade() + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
                continue
            except httptools.HttpParserError as error:
                self._fail(error)
            return

    def _head_without_upgrade(self) -> bytes:
        parser = self.parser
        version, keeps_alive = parser.get_http_version(), parser.should_keep_alive()
        return head.without_upgrade(self.method, self.url, self.headers, version, keeps_alive=keeps_alive)

    def _fail(self, error: Exception) -> None:
        reason = error.__context__
        if isinstance(reason, Problem):
            self.refuse(reason)
        elif reason is None or isinstance(reason, httptools.HttpParserError):
            self.refuse(refusals.malformed(f"this is no HTTP/1.1 request: {reason or error}"))
        else:
            raise error

    def _enter(self, stage: Stage) -> None:
        self.stage = stage
        self.since = self.server_state.now
        self._bytes = 0

    # What the parser calls.

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.body = bytearray()
        self._enter(HEAD)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.stage is HEAD:
            self.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.method = self.parser.get_method()
        head.check(self.method, self.url, self.headers, self.parser.get_http_version(), self.limits)
        if not self.url.startswith(b"/"):
            self.url, self.headers = head.origin_form(self.url, self.headers)
        if self.parser.should_upgrade():
            return
        self._enter(BODY)
        if not self.is_busy and (b"expect", b"100-continue") in self.headers:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self.body += body
        if len(self.body) > self.limits.body_bytes:
            raise refusals.body_too_large(self.limits.body_bytes)

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            self._enter(NOTHING)
            self.dispatch()
