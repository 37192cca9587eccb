"""Every error as RFC 9457 says: application/problem+json with type, title, status and detail.

`type` is one of a closed set of words, so that programs need not read prose.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

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
    Unavailable,
)

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 1


class Kind(NamedTuple):
    """The status and the `type` of a problem, and whether the same request may do later."""

    status: HTTPStatus
    type: str
    retry: bool = False


# The first that an error is one of.
KINDS: dict[type[LikesError], Kind] = {
    InvalidInput: Kind(HTTPStatus.BAD_REQUEST, "invalid-input"),
    OutcomeUnknownYet: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "outcome-unknown", retry=True),
    OutcomeUnknown: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "outcome-unknown"),
    KeyReused: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency-key-reused"),
    EntryRefused: Kind(HTTPStatus.CONFLICT, "entry-refused"),
    RedisFull: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "redis-full", retry=True),
    RedisUnavailable: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "redis-unavailable", retry=True),
    DatabaseUnavailable: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "database-unavailable", retry=True),
    Unavailable: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", retry=True),
    LikesError: Kind(HTTPStatus.INTERNAL_SERVER_ERROR, "internal"),
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

    def response(self) -> Response:
        """The answer."""
        body = {"type": self.type, "title": self.status.phrase, "status": int(self.status), "detail": self.detail}
        content = json.dumps({**body, **self.extensions}, ensure_ascii=False).encode("utf-8", "backslashreplace")
        return Response(content, int(self.status), self.headers, MEDIA_TYPE)


def of(error: LikesError) -> Problem:
    """The problem that an error of the library is."""
    kind = next(kind for known, kind in KINDS.items() if isinstance(error, known))
    headers = {"Retry-After": str(RETRY_SECONDS)} if kind.retry else {}
    return Problem(kind.status, kind.type, str(error), headers=headers)


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
    return Problem(HTTPStatus.BAD_REQUEST, "invalid-input", "; ".join(reports)).response()


async def _of_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 (for mypy)
    status = HTTPStatus(error.status_code)
    kind = status.phrase.lower().replace(" ", "-")
    return Problem(status, kind, str(error.detail), headers=dict(error.headers or {})).response()
