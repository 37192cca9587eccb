"""The hot route: one like, as plain as most are, without a task, a scope and a framework for it.

    POST /v1/items/{item}/likes ──▶ plain? ──▶ the likes of this turn of the event loop ──▶ one add ──▶ the answers
                                     └── no: the application, which answers it as if this were not here

Whatever is not plain is left to the application: a query, a header that is not among KNOWN, a body that is not just
count and counter, anything wrong, a connection with an answer under way, and what `may_pass` does not let through. So
only what becomes of a like that was sent is answered here, in the words of `problems`.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote_to_bytes

from likes.api.problems import Problem
from likes.api.serving.guard import Guard
from likes.api.serving.hot_like import HotLike
from likes.api.serving.requests import NOTHING
from likes.errors import InvalidInput
from likes.items import DEFAULT_COUNTER

if TYPE_CHECKING:
    from fastapi import FastAPI

    from likes.api.figures import Figures
    from likes.api.opened import Api

Headers = Sequence[tuple[bytes, bytes]]
MayPass = Callable[[Headers, tuple[str, int] | None], bool]  # by the headers and the address of the peer

ROUTE: Final = "/v1/items/{item}/likes"
PATH: Final = re.compile(rb"/v1/items/((?:[!$&-.0-9:;=@A-Z_a-z~]++|%[0-9A-Fa-f]{2})+)/likes")
FIRST_LINE: Final = re.compile(rb"POST (%b) HTTP/1\.1\r\n" % PATH.pattern)
COUNTER: Final = rb'"counter": ?"([A-Za-z0-9_.-]{1,64})"'
BODY: Final = re.compile(rb'\{ ?(?:"count": ?([1-9][0-9]{0,8})(?:, ?%b)?|%b)? ?\}' % (COUNTER, COUNTER))
JSON: Final = (b"content-type", b"application/json")
KNOWN: Final = frozenset(
    b"accept accept-encoding accept-language authorization cache-control connection content-length content-type host"
    b" pragma user-agent x-api-key x-forwarded-for x-forwarded-host x-forwarded-proto x-real-ip".split()
)
ACCEPTED: Final = b"HTTP/1.1 202 Accepted\r\n"


def anybody(_headers: Headers, _peer: tuple[str, int] | None) -> bool:
    """Lets everything through."""
    return True


class HotLikes:
    """What the connections of a process share.

    may_pass: False for a request that the application has to look at (a key that is not known, a rate that may be too
    high). headers: what every answer has beside its own.
    """

    def __init__(self, app: FastAPI, may_pass: MayPass = anybody, headers: Headers = ()) -> None:
        self._app = app
        self.may_pass = may_pass
        self.headers = headers
        self._given: Headers | None = None
        self._head = b""

    def put(self, like: HotLike) -> None:
        """Have it counted; raises InvalidInput."""
        api: Api = self._app.state.api
        api.likes.put(like, like.item, like.count, counter=like.counter)

    def tell(self, like: HotLike, status: int, size: int, problem: Problem | None = None) -> None:
        """It was answered: for the metrics, and the log."""
        figures: Figures = self._app.state.figures
        if problem is None:
            figures.accepted()
        else:
            figures.refused(problem)
        seconds = time.perf_counter() - like.began
        figures.requests.answered("POST", ROUTE, status, seconds, path=like.path, size=size, client=like.client)

    def head(self, given: Headers) -> bytes:
        """The headers of an answer that was counted, up to its length. given: the server's, a new list each second."""
        if given is not self._given:
            self._given = given
            every = (*given, JSON, *self.headers)
            self._head = ACCEPTED + b"".join(b"%b: %b\r\n" % header for header in every) + b"content-length: "
        return self._head


class HotGuard(Guard):
    """A connection that answers plain likes itself.

    Most clients send the same headers with each request of a connection. So what followed the first line of the last
    plain like is kept: a request in one piece that differs in its item alone need not be parsed once more.
    """

    _hot: HotLikes
    _piece = b""  # what came last when nothing was under way
    _known = b""  # what followed the first line of the last plain like
    _wanted = (1, DEFAULT_COUNTER)  # what it asked for: count, counter

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take it, as Guard does."""
        super().connection_made(transport)
        self._hot = cast("Any", self.config.app).state.hot

    def data_received(self, data: bytes) -> None:
        """Count a like that differs from the last one in its item alone; have anything else parsed."""
        if self.stage is NOTHING and not self.is_busy and self.server_state.stopping is None:
            line = FIRST_LINE.match(data) if self._known else None
            if line and data[line.end() :] == self._known:
                self.url = line[1]
                if self._count(line[2]):
                    return
            self._piece = data
        super().data_received(data)

    def dispatch(self) -> None:
        """Count a plain like; hand any other request to the application."""
        piece, self._piece, self._known = self._piece, b"", b""
        found = PATH.fullmatch(self.url) if self.method == b"POST" and not self.is_busy else None
        if not found or not self._is_plain() or not self._count(found[1]):
            super().dispatch()
        elif line := FIRST_LINE.match(piece):
            rest = piece[line.end() :]
            _, end, body = rest.partition(b"\r\n\r\n")
            if end and body == self.body:  # and no part of the next request
                self._known = rest

    def _count(self, segment: bytes) -> bool:
        try:
            item = (unquote_to_bytes(segment) if b"%" in segment else segment).decode()
            if item in (".", ".."):
                return False
            like = HotLike(self, self._hot, item, *self._wanted)
            self._hot.put(like)
        except (UnicodeDecodeError, InvalidInput):
            return False
        self.cycle = cast("Any", like)
        return True

    def _is_plain(self) -> bool:
        body = BODY.fullmatch(self.body) if self.body else None
        names = [name for name, _ in self.headers]
        if bool(self.body) is not bool(body) or not KNOWN.issuperset(names) or not self.keeps_alive:
            return False
        if not ((JSON in self.headers and names.count(JSON[0]) == 1) if body else JSON[0] not in names):
            return False
        counter = ((body[2] or body[3] or b"") if body else b"").decode()
        self._wanted = (int(body[1] or 1) if body else 1, counter or DEFAULT_COUNTER)
        return self._hot.may_pass(self.headers, self.client)
