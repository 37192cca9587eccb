"""Around the application: what every request took, and the trace it belongs to."""

from __future__ import annotations

import time
from dataclasses import dataclass
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from likes.api.request_log import RequestLog
from likes.trace import current, trace_of

_SEEN = "likes.seen"


@dataclass(slots=True)
class Seen:
    """What becomes known of a request while it is answered."""

    status: int = HTTPStatus.INTERNAL_SERVER_ERROR  # unless an answer begins
    size: int = 0
    route: str | None = None
    client: str = ""


class Measured:
    """Tells `requests` of every request to `app`. The outermost of all, so that it sees what the others refuse."""

    def __init__(self, app: ASGIApp, requests: RequestLog) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        seen = scope[_SEEN] = Seen(client=_client(scope))
        headers = [value for name, value in scope["headers"] if name == b"traceparent"]
        if headers and (trace := trace_of(headers)):
            current.set(trace)  # for this task, which ends with the request

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
            elif message["type"] == "http.response.body":
                seen.size += len(message.get("body", b""))
            await send(message)

        self._requests.in_flight += 1
        try:
            await self._app(scope, receive, sent)
        finally:
            self._requests.in_flight -= 1
            self._requests.answered(
                scope["method"],
                seen.route,
                seen.status,
                time.perf_counter() - began,
                path=scope["raw_path"].partition(b"?")[0],
                size=seen.size,
                client=seen.client,
            )


class Routed:
    """Notes which route a request took, and whom it came from. The innermost of all."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            await self._app(scope, receive, send)
        finally:
            if isinstance(seen := scope.get(_SEEN), Seen):
                seen.route = getattr(scope.get("route"), "path", None)
                seen.client = _client(scope)


def _client(scope: Scope) -> str:
    return str(scope["client"][0]) if scope.get("client") else ""
