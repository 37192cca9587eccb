"""Sessions: begun by whoever has a key, used by whoever has the token."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from likes.api.inputs import fields, json_body, no_body, query
from likes.api.keys import KEY_BESIDE, Full, full_key
from likes.api.openapi import body, gives
from likes.api.opened import Opened
from likes.api.problems import invalid
from likes.api.session_bodies import fields_in, keep_in, listed, shown, user_in
from likes.api.session_schemas import USER_PARAMETER
from likes.api.tokens import SESSION, Token, over
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
    keep = keep_in(wanted)
    token, session = await api.sessions.begin(user_in(wanted), fields_in(wanted), keep)
    return JSONResponse({"token": token, **shown(session)}, HTTPStatus.CREATED)


@of_keys.get(
    "",
    responses=gives(200, "UserSessions", "What is in them is not told"),
    openapi_extra={"parameters": [USER_PARAMETER]},
)
async def sessions_of(api: Opened, request: Request) -> Response:
    """The sessions of a user, the newest first."""
    found = await api.sessions.of_user(_user_asked_for(request))
    return JSONResponse([listed(session) for session in found])


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
    return _answer(await api.sessions.change(token, fields_in(wanted)))


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
    user = user_in(fields(await json_body(request), ("user",), "the body"))
    if user is None:
        rotated = await api.sessions.rotate(token)
    else:
        await full_key(request)
        rotated = await api.sessions.log_in(token, user)
    if rotated is None:
        raise over()
    fresh, session = rotated
    return JSONResponse({"token": fresh, **shown(session)})


router = APIRouter()
router.include_router(of_keys)
router.include_router(of_tokens)


def _user_asked_for(request: Request) -> str:
    given = query(request, "user")
    if "user" not in given:
        raise invalid("name the user in the query, as ?user=mary")
    return check_user(given["user"][0])


def _answer(session: Session | None) -> Response:
    if session is None:
        raise over()
    return JSONResponse(shown(session))
