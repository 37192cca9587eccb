"""What a request is told that never reaches the application, as the bytes of an answer."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from likes.api.problems import RETRY_SECONDS, Problem


def malformed(detail: str) -> Problem:
    """It is no HTTP/1.1, or such that two servers may read it differently."""
    return Problem(HTTPStatus.BAD_REQUEST, "malformed-request", detail)


def body_too_large(most: int) -> Problem:
    """Its body has more than `most` bytes."""
    detail = f"the body has more than {most:,} bytes"
    return Problem(HTTPStatus(413), "content-too-large", detail)


def head_too_large(detail: str) -> Problem:
    """Its headers are too long or too many."""
    return Problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "header-too-large", detail)


def too_slow(part: str) -> Problem:
    """A part of it did not come in time."""
    return Problem(HTTPStatus.REQUEST_TIMEOUT, "request-timeout", f"the {part} of the request did not come in time")


def wrong_version() -> Problem:
    """It is written in another HTTP."""
    return Problem(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "http-version", "this server speaks HTTP/1.1 and 1.0")


def no_tunnel() -> Problem:
    """CONNECT."""
    return Problem(HTTPStatus.METHOD_NOT_ALLOWED, "method-not-allowed", "this server is no proxy")


def too_many_connections() -> Problem:
    """The process has as many connections as it may."""
    return _unavailable("too-many-connections", "this process has as many connections as it may; try again in a moment")


def cut_off() -> Problem:
    """The process ends, and the answer did not come in time."""
    return _unavailable("stopping", "the server stops, and the answer was not there in time; it may have been counted")


def _unavailable(type_: str, detail: str) -> Problem:
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, type_, detail, headers=headers)


def written(problem: Problem, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The answer, after which the connection ends. headers: those of every answer."""
    response = problem.response()
    status = f"HTTP/1.1 {int(problem.status)} {problem.status.phrase}".encode()
    lines = [b"%b: %b" % each for each in (*headers, *response.raw_headers, (b"connection", b"close"))]
    return b"\r\n".join([status, *lines, b"", bytes(response.body)])
