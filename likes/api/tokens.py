"""A session's token, sent where keys are, `Authorization: Bearer TOKEN`.

It cannot be taken for a key, as it has a form of its own.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from likes.api.problems import Problem

SESSION = "session"


def over() -> Problem:
    """The session of a token is over."""
    return Problem(
        HTTPStatus.UNAUTHORIZED,
        "session-over",
        "the session is over, or its token is none of ours; begin another one",
        headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
    )


class _Token(SecurityBase):
    """A token as OpenAPI describes it, and the dependency that asks for it; calling it gives the token."""

    def __init__(self) -> None:
        self.scheme_name = SESSION
        self.model = HTTPBearer(description="The token of a session.")

    async def __call__(self, request: Request) -> str:
        given = request.headers.getlist("authorization")
        scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        if scheme.lower() != "bearer" or not token.strip():
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "no-session",
                "send the token of a session as Authorization: Bearer …",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return token.strip()


Token = Annotated[str, Depends(_Token())]
