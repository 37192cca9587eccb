"""The OpenAPI document: what FastAPI knows of the routes, and what it does not: problems, keys, where it is reached."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from likes.api.problems import MEDIA_TYPE, RETRY_SECONDS
from likes.api.schemas import COMPONENTS, reference

ABOUT = """Counts likes, each exactly once: into Redis at once, into SQL by a worker every few minutes.

Every error is `application/problem+json` (RFC 9457) with a `type` for programs. Unknown fields and parameters are
refused. In a path, the bytes of an item are percent-encoded, `/` as `%2F`; in a query, a space may be `+`.
"""

EVERYWHERE = {
    400: "What is wrong with the request",
    408: "The request did not come to its end in time",
    431: "The path, the query and the headers are longer than 32 KiB, or too many",
    500: "This server failed; nothing is told but in its log",
}
WITH_BODY = {413: "The body is longer than 65,536 bytes", 415: "The body is not said to be application/json"}
WITH_KEYS = {401: "No key, or one that is not known", 403: "A public key, where a full one is needed"}
WITHOUT_KEYS = {403: "Not from this machine, or from a page of another site"}
AWAY = {503: "Redis or the database is full or away (`Retry-After`), or `outcome-unknown`: do not just send it again"}

_HEADERS = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}, "required": True}},
    503: {"Retry-After": {"schema": {"type": "integer", "minimum": RETRY_SECONDS}}},
}


class Described(FastAPI):
    """An application whose document tells the whole of it. root: the path below which it is reached."""

    def __init__(self, *, needs_key: bool, root: str, **others: Any) -> None:
        super().__init__(openapi_url=None, **others)
        self._needs_key = needs_key
        self._root = root

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made once."""
        if self.openapi_schema is None:
            document = get_openapi(title="likes", version=version("likes"), description=ABOUT, routes=self.routes)
            document["servers"] = [{"url": self._root or "/"}]
            for operations in document["paths"].values():
                for operation in operations.values():
                    _complete(operation, needs_key=self._needs_key)
            components = document.setdefault("components", {})
            components["schemas"] = {**_ours(components.get("schemas", {})), **COMPONENTS}
            if not self._needs_key:
                components.pop("securitySchemes", None)
            self.openapi_schema = document
        return self.openapi_schema


def _complete(operation: dict[str, Any], *, needs_key: bool) -> None:
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
    secured = operation.get("security")
    problems = EVERYWHERE | AWAY
    if "requestBody" in operation:
        problems |= WITH_BODY
    if not needs_key:
        operation.pop("security", None)
        problems |= WITHOUT_KEYS
    elif secured:
        problems |= WITH_KEYS
    for status, description in problems.items():
        said = responses.setdefault(str(status), {})
        said.setdefault("description", description)
        said.setdefault("content", {MEDIA_TYPE: {"schema": reference("Problem")}})
        if status in _HEADERS:
            said.setdefault("headers", _HEADERS[status])


def _ours(schemas: dict[str, Any]) -> dict[str, Any]:
    return {name: schema for name, schema in schemas.items() if name not in ("HTTPValidationError", "ValidationError")}
