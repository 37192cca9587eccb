"""Paths: routes are matched on the path as it was sent, so that `%2F` is part of an item.

ASGI's `path` is decoded with errors replaced: `%ff` and `%fe` would be one item there.
"""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import unquote_to_bytes

from fastapi import Depends, Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from likes.api.problems import invalid
from likes.items import check_item, shorten

_MALFORMED = re.compile(r"%(?![0-9A-Fa-f]{2})[^%&=+]{0,2}")


class RawPaths:
    """Has `app` match the raw path, below `root`: the same whether a proxy in front strips that or not."""

    def __init__(self, app: ASGIApp, root: str = "") -> None:
        self._app = app
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            path, root = scope["raw_path"].partition(b"?")[0].decode("latin-1"), self._root
            if root and path == root:
                await RedirectResponse(root + "/", 308)(scope, receive, send)
                return
            if root and not path.startswith(root + "/"):
                path = root + path
            scope = {**scope, "path": path, "root_path": root}
        await self._app(scope, receive, send)


def require_escapes(encoded: str, where: str) -> None:
    """Raise Problem for a `%` that begins no escape: libraries pass it on as it is, or drop it."""
    if found := _MALFORMED.search(encoded):
        what = "is no percent escape (% and two hexadecimal digits); a percent sign itself is written %25"
        raise invalid(f"{found[0]!a} in the {where} {what}")


def item_in(segment: str) -> str:
    """The item that a segment of a path stands for; raises Problem, and InvalidInput as `check_item`."""
    require_escapes(segment, "path")
    try:
        item = unquote_to_bytes(segment.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise invalid(f"the item {shorten(ascii(segment))} in the path is not UTF-8, percent-encoded") from None
    if item in (".", ".."):
        raise invalid(f"the item {item!r} cannot be in a path, as clients resolve it; use POST /v1/likes")
    return check_item(item)


async def _item_of(request: Request) -> str:  # else it would be asked in a thread
    return item_in(request.path_params["item"])


Item = Annotated[str, Depends(_item_of)]
