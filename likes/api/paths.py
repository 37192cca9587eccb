"""Items in paths: routes are matched on the path as it was sent, so that `%2F` is part of an item.

ASGI's `path` is decoded with errors replaced: `%ff` and `%fe` would be one item there.
"""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

from likes.api.problems import Problem


class RawPaths:
    """Has `app` match the raw path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            scope = {
                **scope,
                "path": scope.get("root_path", "") + scope["raw_path"].partition(b"?")[0].decode("latin-1"),
            }
        await self._app(scope, receive, send)


def item_in(segment: str) -> str:
    """The item that a segment of a path stands for; raises Problem."""
    if segment in (".", ".."):
        raise Problem(
            HTTPStatus.BAD_REQUEST, "invalid-input", f"the item {segment!r} cannot be in a path; use POST /v1/likes"
        )
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        detail = f"the item {segment[:80]!r} in the path is not UTF-8, percent-encoded"
        raise Problem(HTTPStatus.BAD_REQUEST, "invalid-input", detail) from None
