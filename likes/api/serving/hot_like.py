"""A plain like under way, and its answer."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from likes.api import problems
from likes.api.json_text import counted_json
from likes.api.proxies import UNIX_SOCKET
from likes.errors import LikesError

if TYPE_CHECKING:
    from likes.api.serving.hot import HotGuard, HotLikes


class HotLike:
    """A like under way: what uvicorn's protocol has for a request, and what a turn of likes has for a caller."""

    __slots__ = (
        *("_connection", "_hot", "began", "client", "count", "counter", "disconnected", "item", "keep_alive", "path"),
        "response_complete",
    )

    response_started = False

    def __init__(self, connection: HotGuard, hot: HotLikes, item: str, count: int, counter: str) -> None:
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
        body = counted_json(self.item, self.counter, self.count, pending).encode()
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
