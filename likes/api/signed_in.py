"""Who is signed in to the page: a key, asked for once, becomes a session, whose token is the cookie."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from hmac import compare_digest
from http import HTTPStatus

from pydantic import SecretStr

from likes.api.problems import Problem
from likes.async_session_store import AsyncSessionStore
from likes.errors import RedisUnavailable
from likes.limiting.limiter import RateLimiter, client_id

USER = "the page of likes"  # whose sessions they are; no other session opens it
MOST_KNOWN = 1000
TRIES, TRIES_SECONDS = 10, 60.0  # keys that one address may try in so long a time, whichever process it asks


class SignedIn:
    """The page's sessions. keys: those that sign in. is_needed: False where anybody who can connect may look.

    tries: how often keys may be tried.
    """

    def __init__(
        self, keys: Sequence[SecretStr], sessions: AsyncSessionStore, tries: RateLimiter, *, is_needed: bool
    ) -> None:
        self.is_needed = is_needed
        self._keys = [key.get_secret_value().encode() for key in keys]
        self._sessions = sessions
        self._tries = tries
        self._known: OrderedDict[str, None] = OrderedDict()

    async def sign_in(self, key: str, client: str) -> str | None:
        """A cookie for a key, None for a wrong one. Raises Problem where this client has tried too many lately.

        client: who asks, as `limits.client_of` says. A try counts before its key is looked at, as others of the client
        may be under way.
        """
        verdict = await self._tries.verdict(client_id("sign-in", client))
        if not verdict.passes:
            raise _too_many(verdict.seconds)
        given = key.encode("utf-8", "replace")
        matches = [compare_digest(given, known) for known in self._keys]  # each is compared, whichever it is
        if not any(matches):
            return None
        token, _ = await self._sessions.begin(USER)
        return token

    async def is_signed_in(self, cookie: str | None) -> bool:
        """Whether the cookie is of a session of the page that is not over; true where none is needed.

        While Redis is away those go on that were signed in when this process asked last: the page tells what is wrong.
        """
        if not self.is_needed or cookie is None:
            return not self.is_needed
        try:
            session = await self._sessions.touch(cookie)
        except RedisUnavailable:
            return cookie in self._known
        self._known.pop(cookie, None)
        if session is None or session.user != USER:
            return False
        self._known[cookie] = None
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return True

    async def sign_out(self, cookie: str) -> None:
        """End its session."""
        self._known.pop(cookie, None)
        await self._sessions.end(cookie)


def _too_many(seconds: float) -> Problem:
    wait = str(max(1, math.ceil(seconds)))
    detail = f"too many keys were tried; try again in {wait} s"
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, "quota-exceeded", detail, headers={"Retry-After": wait})
