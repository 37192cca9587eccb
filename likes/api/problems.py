"""Every error as RFC 9457 says: application/problem+json with type, title, status and detail.

`type` is one of a closed set of words, so that programs need not read prose. What a server of ours said (it may name
addresses) goes to the log, never into an answer.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from likes.api import events
from likes.api.json_text import json_text
from likes.api.methods import methods_at
from likes.errors import (
    DatabaseUnavailable,
    EntryRefused,
    InvalidInput,
    KeyReused,
    LikesError,
    OutcomeUnknown,
    OutcomeUnknownYet,
    RedisFull,
    RedisUnavailable,
    Resharding,
    Unavailable,
    WrongShards,
)
from likes.items import shorten

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 1

# As RFC 9110 has them; Python names some differently from version to version.
TITLES = {413: "Content Too Large", 414: "URI Too Long", 422: "Unprocessable Content"}


# What the framework raises by itself is called as ours is.
_WORDS = {400: "invalid-input", 413: "content-too-large"}


class Kind(NamedTuple):
    """The status and the `type` of a problem, and whether the same request may do later.

    detail: what the answer says; the error's own words where it is None.
    """

    status: HTTPStatus
    type: str
    retry: bool = False
    detail: str | None = None


_UNKNOWN = (
    "Redis did not confirm this in time: it may have counted or not; compare the live total before you post again"
)
_UNKNOWN_YET = (
    "Redis did not confirm this in time: it may have counted or not; send it again under the same idempotency key,"
    " and it counts once"
)
_FULL = "Redis is at its memory limit, and nothing was counted; the next flush makes room"
_RESHARDING = "no likes are accepted while the number of shards is being changed; nothing was counted"
_NO_REDIS = "Redis does not answer; nothing was counted"
_NO_DATABASE = "the database does not answer; likes are still accepted"
_INTERNAL = "this server cannot do that now; its log says why"

# The first that an error is one of.
KINDS: dict[type[LikesError], Kind] = {
    InvalidInput: Kind(HTTPStatus.BAD_REQUEST, "invalid-input"),
    OutcomeUnknownYet: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "outcome-unknown", retry=True, detail=_UNKNOWN_YET),
    OutcomeUnknown: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "outcome-unknown", detail=_UNKNOWN),
    KeyReused: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency-key-reused"),
    EntryRefused: Kind(HTTPStatus.CONFLICT, "entry-refused"),
    RedisFull: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "redis-full", retry=True, detail=_FULL),
    Resharding: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "resharding", retry=True, detail=_RESHARDING),
    WrongShards: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "wrong-shards", retry=True, detail=_INTERNAL),
    RedisUnavailable: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "redis-unavailable", retry=True, detail=_NO_REDIS),
    DatabaseUnavailable: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "database-unavailable", retry=True, detail=_NO_DATABASE),
    Unavailable: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", retry=True, detail=_INTERNAL),
    LikesError: Kind(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", detail=_INTERNAL),
}


class Problem(Exception):
    """Ends a request with this answer. extensions: further members of the body."""

    def __init__(
        self,
        status: HTTPStatus,
        type: str,
        detail: str,
        *,
        headers: dict[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.type = type
        self.detail = detail
        self.headers = headers or {}
        self.extensions = extensions

    def body(self) -> dict[str, Any]:
        """The members of the answer."""
        title = TITLES.get(self.status, self.status.phrase)
        body = {"type": self.type, "title": title, "status": int(self.status), "detail": self.detail}
        return {**body, **self.extensions}

    def response(self) -> Response:
        """The answer."""
        content = json_text(self.body()).encode("utf-8", "backslashreplace")
        return Response(content, int(self.status), self.headers, MEDIA_TYPE)


def invalid(detail: str) -> Problem:
    """A 400 that says what is wrong with the request."""
    return Problem(HTTPStatus.BAD_REQUEST, "invalid-input", detail)


def internal() -> Problem:
    """A 500 that tells nothing, as the log does."""
    return of(LikesError())


def of(error: LikesError) -> Problem:
    """The problem that an error of the library is; what it hides is logged."""
    kind = next(kind for known, kind in KINDS.items() if isinstance(error, known))
    if kind.detail is not None and str(error):
        events.failed(kind.type, str(error))
    headers = {"Retry-After": str(RETRY_SECONDS)} if kind.retry else {}
    return Problem(kind.status, kind.type, kind.detail or str(error), headers=headers)


def install(app: FastAPI) -> None:
    """Have `app` answer every error so."""
    app.add_exception_handler(Problem, _of_problem)
    app.add_exception_handler(LikesError, _of_likes)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)


async def _of_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 (for mypy)
    return error.response()


async def _of_likes(_: Request, error: Exception) -> Response:
    assert isinstance(error, LikesError)  # noqa: S101 (for mypy)
    return of(error).response()


async def _of_validation(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 (for mypy)
    reports = [f"{'.'.join(str(part) for part in each['loc'][1:]) or 'body'}: {each['msg']}" for each in error.errors()]
    return invalid("; ".join(reports)).response()


async def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 (for mypy)
    status = HTTPStatus(error.status_code)
    kind, detail = _WORDS.get(status) or status.phrase.lower().replace(" ", "-"), str(error.detail)
    headers = dict(error.headers or {})
    path = shorten(ascii(request.scope["path"]), 80)
    if status is HTTPStatus.NOT_FOUND:
        detail = f"nothing is at {path}; /docs lists what is, and a / inside of an item is written %2F"
    elif status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"allow": ", ".join(methods_at(request))}
        detail = f"{shorten(ascii(request.method))} cannot be used on {path}; allowed: {headers['allow']}"
    return Problem(status, kind, detail, headers=headers).response()
