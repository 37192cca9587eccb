"""CORS: pages of the origins in LIKES_HTTP_ORIGINS may call the API from browsers. No cookies: they bring a key."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from likes.api.problems import Problem

METHODS = ("GET", "HEAD", "POST", "PATCH", "DELETE")
SENT = ("Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "X-API-Key")
SEEN = ("RateLimit", "RateLimit-Policy", "Retry-After")
PREFLIGHT_SECONDS = 7200  # the longest that Chromium remembers an answer


def as_sent(origin: str) -> str:
    """An origin as browsers write it: in lower case, without the scheme's own port."""
    return re.sub(r"^(http://[^/]+):80$|^(https://[^/]+):443$", r"\1\2", origin.lower())


class Cors(CORSMiddleware):
    """Starlette's, whose refusals are problems."""

    def __init__(self, app: ASGIApp, origins: Iterable[str]) -> None:
        super().__init__(
            app,
            allow_origins=frozenset(map(as_sent, origins)),
            allow_methods=METHODS,
            allow_headers=SENT,
            expose_headers=SEEN,
            max_age=PREFLIGHT_SECONDS,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """What a browser may send next; or why it may not."""
        answer = super().preflight_response(request_headers)
        if answer.status_code < HTTPStatus.BAD_REQUEST:
            return answer
        why = bytes(answer.body).decode().removeprefix("Disallowed CORS ")
        detail = f"pages of that origin may not send this: {why}; LIKES_HTTP_ORIGINS lists the origins that may"
        kept = {name: value for name, value in answer.headers.items() if not name.startswith("content-")}
        return Problem(HTTPStatus.FORBIDDEN, "forbidden", detail, headers=kept).response()


def headers_for(origin: bytes, origins: frozenset[bytes]) -> list[tuple[bytes, bytes]]:
    """What `Cors` adds to an answer, for what answers before it. origins: `as_sent`; origin: of the request, if any."""
    if not origins:
        return []
    headers = [(b"vary", b"Origin")]
    if origin:
        headers.append((b"access-control-expose-headers", ", ".join(SEEN).encode()))
    if origin in origins:
        headers.append((b"access-control-allow-origin", origin))
    return headers
