"""The OpenAPI document: what FastAPI knows of the routes, and what it does not: problems, keys, where it is reached."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from likes.api.event_schemas import EVENTS
from likes.api.health_schemas import HEALTH
from likes.api.keys import BESIDE, FULL_SCHEMES, KEY_BESIDE, SCHEMES
from likes.api.openapi import Schema, reference
from likes.api.problems import MEDIA_TYPE, RETRY_SECONDS
from likes.api.rate_limits import POLICY, is_limited
from likes.api.schemas import COMPONENTS, IDEMPOTENCY_PARAMETER
from likes.api.session_schemas import SESSIONS
from likes.api.tokens import SESSION

ABOUT = """Counts likes, each exactly once: into Redis at once, into SQL by a worker every few minutes.

Every error is `application/problem+json` (RFC 9457) with a `type` for programs. Below `/v1`, unknown fields and
parameters are refused. In a path, the bytes of an item are percent-encoded, `/` as `%2F`, `%` as `%25`; in a query, a
space may be `+`.
"""

EVERYWHERE = {
    400: "What is wrong with the request",
    408: "The request did not come to its end in time",
    431: "The path, the query and the headers are longer than 32 KiB, or too many",
    500: "This server failed; nothing is told but in its log",
    503: "Redis or the database is full or away (`Retry-After`), or `outcome-unknown`: do not just send it again",
}
WITH_BODY = {413: "The body is longer than 65,536 bytes", 415: "The body is not said to be application/json"}
WITH_IDEMPOTENCY = {
    409: "Redis refuses this item alone: its delta would leave 64 bits; a flush makes room",
    422: "The same `Idempotency-Key` came with something else before",
}
WITH_KEY = {401: "No key, or one that is not known"}
WITH_FULL_KEY = {403: "A public key, where a full one is needed"}
WITHOUT_KEYS = {403: "Not from this machine, or from a page of another site"}
WITH_TOKEN = {401: "No token of a session (`no-session`), or its session is over (`session-over`)"}
WITH_LIMIT = {429: "Too many requests lately; `Retry-After` says when to come again"}

# The fields of answers where there is a rate limit (draft-ietf-httpapi-ratelimit-headers-11).
RATE_LIMIT: dict[str, Schema] = {
    "RateLimit-Policy": {
        "schema": {"type": "string", "pattern": rf'^"{POLICY}";q=\d+;w=\d+$'},
        "required": True,
        "description": "q requests in w seconds",
    },
    "RateLimit": {
        "schema": {"type": "string", "pattern": rf'^"{POLICY}";r=\d+;t=\d+$'},
        "required": True,
        "description": "r more now; all of them again in t seconds",
    },
}
_HEADERS = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}, "required": True}},
    429: {**RATE_LIMIT, "Retry-After": {"schema": {"type": "integer", "minimum": 1}, "required": True}},
    503: {"Retry-After": {"schema": {"type": "integer", "minimum": RETRY_SECONDS}}},
}


class Described(FastAPI):
    """An application whose document tells the whole of it.

    needs_key: whether requests have to bring one. has_limit: whether there is a rate limit. root: the path below which
    it is reached.
    """

    def __init__(self, *, needs_key: bool, has_limit: bool, root: str, **others: Any) -> None:
        super().__init__(openapi_url=None, **others)
        self._needs_key = needs_key
        self._has_limit = has_limit
        self._root = root

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made once."""
        if self.openapi_schema is None:
            document = get_openapi(title="likes", version=version("likes"), description=ABOUT, routes=self.routes)
            document["servers"] = [{"url": self._root or "/"}]
            for path, operations in document["paths"].items():
                for operation in operations.values():
                    self._complete(operation, is_limited=self._has_limit and is_limited(path))
            components = document["components"]
            components["schemas"] = COMPONENTS | SESSIONS | EVENTS | HEALTH
            schemes = components["securitySchemes"] | {KEY_BESIDE: BESIDE}
            components["securitySchemes"] = {
                name: scheme for name, scheme in schemes.items() if self._needs_key or name not in SCHEMES
            }
            self.openapi_schema = document
        return self.openapi_schema

    def _complete(self, operation: Schema, *, is_limited: bool) -> None:
        if not self._needs_key:
            _take_keys_off(operation)
        responses = operation["responses"]
        if is_limited:
            for said in responses.values():
                said["headers"] = RATE_LIMIT
        for status, description in sorted(self._problems(operation, is_limited=is_limited).items()):
            said = responses.setdefault(str(status), {"description": description})
            said["content"] = {MEDIA_TYPE: {"schema": reference("Problem")}}
            if status in _HEADERS:
                said["headers"] = _HEADERS[status]

    def _problems(self, operation: Schema, *, is_limited: bool) -> dict[int, str]:
        problems = dict(EVERYWHERE)
        if "requestBody" in operation:
            problems |= WITH_BODY
        if IDEMPOTENCY_PARAMETER in operation.get("parameters", ()):
            problems |= WITH_IDEMPOTENCY
        if is_limited:
            problems |= WITH_LIMIT
        if not self._needs_key:
            problems |= WITHOUT_KEYS
        if security := operation.get("security"):
            problems |= WITH_TOKEN if SESSION in security[0] else WITH_KEY
            if any(name in FULL_SCHEMES for each in security for name in each):
                problems |= WITH_FULL_KEY
        return problems


def _take_keys_off(operation: Schema) -> None:
    """Where none is needed, none is asked for."""
    kept = [each for each in operation.pop("security", ()) if not set(SCHEMES) & each.keys()]
    if kept:
        operation["security"] = kept
