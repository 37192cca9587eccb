"""The page's cookie, and that a form was sent by the page itself."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import Response

from likes.api.opened import Opened
from likes.api.problems import Problem

COOKIE = "likes_page"


def cookie_of(request: Request) -> str | None:
    """The cookie of a request."""
    return request.cookies.get(COOKIE)


def set_cookie(response: Response, request: Request, cookie: str | None) -> None:
    """Have the browser keep `cookie`; None: forget it. Scripts cannot read it, and no other site can send it."""
    response.set_cookie(
        COOKIE,
        cookie or "",
        max_age=None if cookie else 0,  # until the browser ends; the session itself may end before
        path=request.scope.get("root_path") or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


async def require_signed_in(request: Request, api: Opened) -> None:
    """Raise Problem unless this is somebody who may look at the page."""
    if not await api.signed_in.is_signed_in(cookie_of(request)):
        raise Problem(HTTPStatus.UNAUTHORIZED, "unauthorized", "sign in to the page with a key first")


def require_own_form(request: Request) -> None:
    """Raise Problem for a form that another site had a browser send: it could sign somebody in or out."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    own = site in ("same-origin", "none") if site else origin is None or urlsplit(origin).netloc == request.url.netloc
    if not own:
        raise Problem(HTTPStatus.FORBIDDEN, "forbidden", "this form was sent from another site")
