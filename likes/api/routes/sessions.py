"""Sessions: begun by whoever has a key, used by whoever has the token."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from likes.api.inputs import fields, json_body, no_body, query
from likes.api.keys import KEY_BESIDE, Full, full_key
from likes.api.opened import Opened
from likes.api.problems import invalid
from likes.api.schemas import body, gives
from likes.api.session_schemas import USER_PARAMETER
from likes.api.signed_in import USER as PAGE
from likes.api.tokens import SESSION, Token, over
from likes.moments import iso
from likes.sessions.fields import check_user
from likes.sessions.session import Session

of_keys = APIRouter(prefix="/v1/sessions", tags=["sessions"], dependencies=[Full])
of_tokens = APIRouter(prefix="/v1/session", tags=["sessions"])


@of_keys.post(
    "",
    status_code=201,
    responses=gives(201, "BegunSession", "It has begun"),
    openapi_extra={"requestBody": body("Beginning", required=False)},
)
async def begin(api: Opened, request: Request) -> Response:
    """Begin a session."""
    query(request)
    wanted = fields(await json_body(request), ("user", "fields", "keep"), "the body")
    keep = wanted.get("keep", [])
    if not isinstance(keep, list):
        raise invalid("keep is not a list of the names of fields")
    token, session = await api.sessions.begin(_user_in(wanted), _fields_in(wanted), keep)
    return JSONResponse({"token": token, **_shown(session)}, HTTPStatus.CREATED)


@of_keys.get(
    "",
    responses=gives(200, "UserSessions", "What is in them is not told"),
    openapi_extra={"parameters": [USER_PARAMETER]},
)
async def sessions_of(api: Opened, request: Request) -> Response:
    """The sessions of a user, the newest first."""
    found = await api.sessions.of_user(_user_asked_for(request))
    return JSONResponse([_listed(session) for session in found])


@of_keys.delete(
    "",
    responses=gives(200, "Revoked", "They are over"),
    openapi_extra={"parameters": [USER_PARAMETER]},
)
async def revoke(api: Opened, request: Request) -> Response:
    """End all sessions of a user."""
    user = _user_asked_for(request)
    await no_body(request)
    return JSONResponse({"ended": await api.sessions.revoke(user)})


@of_tokens.get("", responses=gives(200, "Session", "It lives on"))
async def read(api: Opened, request: Request, token: Token) -> Response:
    """The session of a token; counts as a hit."""
    query(request)
    return _answer(await api.sessions.touch(token))


@of_tokens.patch(
    "",
    responses=gives(200, "Session", "As it is now"),
    openapi_extra={"requestBody": body("Change", required=True)},
)
async def change(api: Opened, request: Request, token: Token) -> Response:
    """Change fields of it; those that are not named stay as they are."""
    query(request)
    wanted = fields(await json_body(request), ("fields",), "the body")
    if "fields" not in wanted:
        raise invalid('the body has to be {"fields": {…}}; null removes a field')
    return _answer(await api.sessions.change(token, _fields_in(wanted)))


@of_tokens.delete("", status_code=204, responses={204: {"description": "It is over"}}, response_class=Response)
async def end(api: Opened, request: Request, token: Token) -> Response:
    """End it for good."""
    query(request)
    await no_body(request)
    if not await api.sessions.end(token):
        raise over()
    return Response(status_code=HTTPStatus.NO_CONTENT)


@of_tokens.post(
    "/rotate",
    responses=gives(200, "BegunSession", "It goes on under another token"),
    openapi_extra={
        "requestBody": body("Rotation", required=False),
        "security": [{SESSION: [], KEY_BESIDE: []}],
    },
)
async def rotate(request: Request, api: Opened, token: Token) -> Response:
    """Give it another token; the one before is over.

    To name a user, who has just logged in, wants a full key, too, in `X-API-Key`: else whoever has a token could be
    anybody.
    """
    query(request)
    user = _user_in(fields(await json_body(request), ("user",), "the body"))
    if user is None:
        rotated = await api.sessions.rotate(token)
    else:
        await full_key(request)
        rotated = await api.sessions.log_in(token, user)
    if rotated is None:
        raise over()
    fresh, session = rotated
    return JSONResponse({"token": fresh, **_shown(session)})


router = APIRouter()
router.include_router(of_keys)
router.include_router(of_tokens)


def _user_asked_for(request: Request) -> str:
    given = query(request, "user")
    if "user" not in given:
        raise invalid("name the user in the query, as ?user=mary")
    return check_user(given["user"][0])


def _user_in(wanted: dict[str, Any]) -> str | None:
    """The user that a body names; None for nobody. Applications may let people choose their names: not the page's."""
    user = wanted.get("user")
    if user == PAGE:
        raise invalid(f"the user {PAGE!r} is this server's own; choose another name")
    return None if user is None else check_user(user)


def _fields_in(wanted: dict[str, Any]) -> dict[str, Any]:
    given = wanted.get("fields", {})
    if not isinstance(given, dict):
        raise invalid("fields is not a JSON object")
    return given


def _answer(session: Session | None) -> Response:
    if session is None:
        raise over()
    return JSONResponse(_shown(session))


def _shown(session: Session) -> dict[str, Any]:
    return {
        "user": session.user or None,
        "fields": session.values,
        "hits": session.hits,
        "created_at": iso(session.created_at),
        "expires_at": iso(session.expires_at),
    }


def _listed(session: Session) -> dict[str, Any]:
    return {
        "id": session.place.digest,
        "hits": session.hits,
        "created_at": iso(session.created_at),
        "last_seen": iso(session.last_seen),
        "expires_at": iso(session.expires_at),
    }
