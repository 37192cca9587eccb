"""The hot route: one like, as plain as most are, without a task, a scope and a framework for it.

    POST /v1/items/{item}/likes ──▶ plain? ──▶ the likes of this turn of the event loop ──▶ one add ──▶ the answers
                                     └── no: the application, which answers it as if this were not here

Whatever is not plain is left to the application: a query, a header that is not among KNOWN, a body that is not just
count and counter, anything wrong, a connection with an answer under way, and what `may_pass` does not let through. So
only what becomes of a like that was sent is answered here, in the words of `problems`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote_to_bytes

from likes.api import problems
from likes.api.proxies import UNIX_SOCKET
from likes.api.serving.guard import Guard
from likes.errors import InvalidInput, LikesError
from likes.items import DEFAULT_COUNTER

if TYPE_CHECKING:
    from fastapi import FastAPI

    from likes.api.figures import Figures
    from likes.api.opened import Api

Headers = Sequence[tuple[bytes, bytes]]
MayPass = Callable[[Headers, tuple[str, int] | None], bool]  # by the headers and the address of the peer

ROUTE: Final = "/v1/items/{item}/likes"
PATH: Final = re.compile(rb"/v1/items/((?:[!$&-.0-9:;=@A-Z_a-z~]++|%[0-9A-Fa-f]{2})+)/likes")
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

    def tell(self, like: HotLike, status: int, size: int, problem: problems.Problem | None = None) -> None:
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
    """A connection that answers plain likes itself."""

    def dispatch(self) -> None:
        """Count a plain like; hand any other request to the application."""
        found = PATH.fullmatch(self.url) if self.method == b"POST" and not self.is_busy else None
        if not found or not self._count(cast("Any", self.config.app).state.hot, found[1]):
            super().dispatch()

    def _count(self, hot: HotLikes, segment: bytes) -> bool:
        body = BODY.fullmatch(self.body) if self.body else None
        if not (body or not self.body) or not self._is_plain() or not hot.may_pass(self.headers, self.client):
            return False
        count, counter = (int(body[1] or 1), (body[2] or body[3] or b"").decode()) if body else (1, "")
        try:
            item = (unquote_to_bytes(segment) if b"%" in segment else segment).decode()
            if item in (".", ".."):
                return False
            like = HotLike(self, hot, item, counter or DEFAULT_COUNTER, count)
            hot.put(like)
        except (UnicodeDecodeError, InvalidInput):
            return False
        self.cycle = cast("Any", like)
        return True

    def _is_plain(self) -> bool:
        names = [name for name, _ in self.headers]
        if not KNOWN.issuperset(names) or not self.keeps_alive:
            return False
        return (JSON in self.headers and names.count(b"content-type") == 1) if self.body else JSON[0] not in names


class HotLike:
    """A like under way: what uvicorn's protocol has for a request, and what a turn of likes has for a caller."""

    __slots__ = (
        *("_connection", "_hot", "began", "client", "count", "counter", "disconnected", "item", "keep_alive", "path"),
        "response_complete",
    )

    response_started = False

    def __init__(self, connection: HotGuard, hot: HotLikes, item: str, counter: str, count: int) -> None:
        self._connection = connection
        self._hot = hot
        self.began = time.perf_counter()
        self.path = connection.url
        self.client = connection.client[0] if connection.client else UNIX_SOCKET
        self.item = item
        self.counter = counter
        self.count = count
        self.keep_alive = True
        self.disconnected = False
        self.response_complete = False

    @property
    def message_event(self) -> HotLike:
        """Nobody waits for a body."""
        return self

    def set(self) -> None:
        """As of an asyncio.Event."""

    def done(self) -> bool:
        """Nobody takes a like back: it is counted, whether its client is still there or not."""
        return self.response_complete

    def set_result(self, pending: int) -> None:
        """It was counted."""
        body = b'{"item":%b,"counter":"%b","delta":%d,"pending":%d}' % (
            encode_basestring(self.item).encode(),
            self.counter.encode(),
            self.count,
            pending,
        )
        head = self._hot.head(self._connection.server_state.default_headers)
        self._hot.tell(self, 202, len(body))
        self._answer(b"%b%d\r\n%b%b" % (head, len(body), self._end(), body))

    def set_exception(self, error: BaseException) -> None:
        """It was not, or nobody knows."""
        self._refuse(problems.of(error if isinstance(error, LikesError) else LikesError("not foreseen")))

    def cancel(self) -> None:
        """The event loop ends, or who was to send it was cancelled."""
        if not self.response_complete:
            detail = f"whether {self.item!r} was counted is unknown: the server stops"
            self._refuse(problems.Problem(HTTPStatus.SERVICE_UNAVAILABLE, "outcome-unknown", detail))

    def _refuse(self, problem: problems.Problem) -> None:
        response = problem.response()
        headers = (*self._connection.server_state.default_headers, *response.raw_headers, *self._hot.headers)
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        status = b"HTTP/1.1 %d %b\r\n" % (int(problem.status), problem.status.phrase.encode())
        self._hot.tell(self, int(problem.status), len(response.body), problem)
        self._answer(status + lines + self._end() + bytes(response.body))

    def _end(self) -> bytes:
        return b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"

    def _answer(self, answer: bytes) -> None:
        self.response_complete = True
        connection = self._connection
        if self.disconnected or connection.transport.is_closing():
            return
        connection.transport.write(answer)
        if not self.keep_alive:
            connection.transport.close()
        connection.on_response_complete()
