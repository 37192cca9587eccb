"""The page at `/`: what it is made of, and signing in to it."""

from __future__ import annotations

from hashlib import blake2b
from http import HTTPStatus
from importlib.resources import files
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import RedirectResponse, Response

from likes.api.opened import Opened
from likes.api.page_session import cookie_of, require_own_form, set_cookie
from likes.api.problems import Problem
from likes.api.rate_limits import client_of, peer_of

MEDIA_TYPES = {
    "page.html": "text/html",
    "sign_in.html": "text/html",
    "page.css": "text/css",
    "page.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
CONTENTS = {name: (files("likes.api") / "page" / name).read_bytes() for name in MEDIA_TYPES}
PARTS = ("page.css", "page.js", "icon.svg")  # anybody may have these: nothing of the counter is in them
LONGEST_FORM = 4096
SAID, SIGN_OUT = b"<!-- said -->", b"<!-- sign out -->"
SIGN_OUT_FORM = b'<form method="post" action="sign-out"><button type="submit">Sign out</button></form>'

POLICY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

router = APIRouter(include_in_schema=False)


@router.get("/")
async def page(request: Request, api: Opened) -> Response:
    """The page; who has to sign in first is led there."""
    if not await api.signed_in.is_signed_in(cookie_of(request)):
        return _to(request, "/sign-in")
    return _html(CONTENTS["page.html"].replace(SIGN_OUT, SIGN_OUT_FORM if api.signed_in.is_needed else b""))


@router.get("/page/{name}")
async def part(name: str, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """A file that the page needs."""
    if name not in PARTS:
        raise Problem(HTTPStatus.NOT_FOUND, "not-found", f"there is no page/{name[:40]}")
    tag = f'"{blake2b(CONTENTS[name], digest_size=12).hexdigest()}"'
    headers = {**POLICY, "ETag": tag, "Cache-Control": "no-cache"}
    if if_none_match == tag:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(CONTENTS[name], headers=headers, media_type=MEDIA_TYPES[name])


@router.get("/sign-in")
async def ask_for_key() -> Response:
    """The form that asks for a key."""
    return _sign_in_form("", HTTPStatus.OK)


@router.post("/sign-in", dependencies=[Depends(require_own_form)])
async def sign_in(request: Request, api: Opened) -> Response:
    """Make a key a cookie."""
    try:
        cookie = await api.signed_in.sign_in(await _key_in(request), client_of(peer_of(request.scope)))
    except Problem as problem:
        form = _sign_in_form(problem.detail, problem.status)
        form.headers.update(problem.headers)
        return form
    if cookie is None:
        return _sign_in_form("That is none of the API keys.", HTTPStatus.FORBIDDEN)
    response = _to(request, "/")
    set_cookie(response, request, cookie)
    return response


@router.post("/sign-out", dependencies=[Depends(require_own_form)])
async def sign_out(request: Request, api: Opened) -> Response:
    """End the session."""
    if cookie := cookie_of(request):
        await api.signed_in.sign_out(cookie)
    response = _to(request, "/sign-in")
    set_cookie(response, request, None)
    return response


async def _key_in(request: Request) -> str:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_FORM:
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "content-too-large", "That is longer than any key.")
    return parse_qs(body.decode("utf-8", "replace")).get("key", [""])[0].strip()


def _to(request: Request, path: str) -> Response:
    return RedirectResponse(f"{request.scope.get('root_path', '')}{path}", HTTPStatus.SEE_OTHER)


def _sign_in_form(said: str, status: HTTPStatus) -> Response:
    """With what went wrong, one of our own sentences."""
    alert = f'<p class="alert" role="alert">{said}</p>'.encode() if said else b""
    return _html(CONTENTS["sign_in.html"].replace(SAID, alert), status)


def _html(content: bytes, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(content, status, {**POLICY, "Cache-Control": "no-store"}, "text/html")
