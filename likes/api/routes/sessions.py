"""Sessions: begun by whoever has a key, used by whoever has the token.

A token goes where keys go, `Authorization: Bearer …`; it cannot be taken for one, as it has a form of its own.
"""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from starlette.responses import Response

from likes.api.keys import Full, full_key
from likes.api.opened import Opened
from likes.api.problems import Problem
from likes.moments import iso
from likes.sessions.fields import MOST_FIELDS
from likes.sessions.session import Session

Moment = Annotated[datetime, PlainSerializer(iso), WithJsonSchema({"type": "string", "format": "date-time"})]
Fields = Annotated[dict[str, Any], Field(max_length=MOST_FIELDS)]
Names = Annotated[list[str], Field(max_length=MOST_FIELDS)]


class Beginning(BaseModel):
    """Whose session begins, with what. keep: the names of those fields that the database gets when it ends."""

    model_config = ConfigDict(extra="forbid", strict=True)

    user: str | None = None
    fields: Fields = {}
    keep: Names = []


class Change(BaseModel):
    """Fields that are set, each by itself; null removes one."""

    model_config = ConfigDict(extra="forbid", strict=True)

    fields: Fields


class Rotation(BaseModel):
    """user: who has just logged in, if anybody has."""

    model_config = ConfigDict(extra="forbid", strict=True)

    user: str | None = None


class Shown(BaseModel):
    """A session."""

    user: str | None
    fields: dict[str, Any]
    hits: int
    created_at: Moment
    expires_at: Moment


class Begun(Shown):
    """A session with its token, which is told nowhere else."""

    token: str


class Listed(BaseModel):
    """A session of a user's, without what is in it. id: the SHA-256 of its token."""

    id: str
    hits: int
    created_at: Moment
    last_seen: Moment
    expires_at: Moment


class Revoked(BaseModel):
    """How many sessions were ended."""

    ended: int


def _over() -> Problem:
    return Problem(
        HTTPStatus.UNAUTHORIZED,
        "session-over",
        "the session is over, or its token is none of ours; begin another one",
        headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
    )


def _token(request: Request) -> str:
    """The bearer token of a request."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "no-session",
            "send the token of a session as Authorization: Bearer …",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return token.strip()


Token = Annotated[str, Depends(_token)]


of_keys = APIRouter(prefix="/v1/sessions", tags=["sessions"], dependencies=[Full])
of_tokens = APIRouter(prefix="/v1/session", tags=["sessions"])


@of_keys.post("", status_code=201)
async def begin(api: Opened, body: Annotated[Beginning | None, Body()] = None) -> Begun:
    """Begin a session."""
    wanted = body or Beginning()
    token, session = await api.sessions.begin(wanted.user, wanted.fields, wanted.keep)
    return Begun(token=token, **_shown(session))


@of_keys.get("")
async def sessions_of(api: Opened, user: Annotated[str, Query()]) -> list[Listed]:
    """The sessions of a user, the newest first."""
    return [
        Listed(
            id=session.place.digest,
            hits=session.hits,
            created_at=session.created_at,
            last_seen=session.last_seen,
            expires_at=session.expires_at,
        )
        for session in await api.sessions.of_user(user)
    ]


@of_keys.delete("")
async def revoke(api: Opened, user: Annotated[str, Query()]) -> Revoked:
    """End all sessions of a user."""
    return Revoked(ended=await api.sessions.revoke(user))


@of_tokens.get("")
async def read(api: Opened, token: Token) -> Shown:
    """The session of a token; counts as a hit."""
    return _answer(await api.sessions.touch(token))


@of_tokens.patch("")
async def change(api: Opened, token: Token, body: Change) -> Shown:
    """Change fields of it; those that are not named stay as they are."""
    return _answer(await api.sessions.change(token, body.fields))


@of_tokens.delete("", status_code=204)
async def end(api: Opened, token: Token) -> Response:
    """End it for good."""
    if not await api.sessions.end(token):
        raise _over()
    return Response(status_code=HTTPStatus.NO_CONTENT)


@of_tokens.post("/rotate")
async def rotate(request: Request, api: Opened, token: Token, body: Annotated[Rotation | None, Body()] = None) -> Begun:
    """Give it another token; the one before is over. To name a user, who has just logged in, wants a full key, too, in
    X-API-Key: else whoever has a token could be anybody.
    """
    if body is None or body.user is None:
        rotated = await api.sessions.rotate(token)
    else:
        await full_key(request)
        rotated = await api.sessions.log_in(token, body.user)
    if rotated is None:
        raise _over()
    fresh, session = rotated
    return Begun(token=fresh, **_shown(session))


router = APIRouter()
router.include_router(of_keys)
router.include_router(of_tokens)


def _answer(session: Session | None) -> Shown:
    if session is None:
        raise _over()
    return Shown(**_shown(session))


def _shown(session: Session) -> dict[str, Any]:
    return {
        "user": session.user or None,
        "fields": session.values,
        "hits": session.hits,
        "created_at": session.created_at,
        "expires_at": session.expires_at,
    }
