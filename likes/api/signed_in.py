"""Who is signed in to the page: a key, asked for once, becomes a session, whose token is the cookie."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from hmac import compare_digest
from http import HTTPStatus

from pydantic import SecretStr

from likes.api.problems import Problem
from likes.async_session_store import AsyncSessionStore
from likes.errors import RedisUnavailable

USER = "the page of likes"  # whose sessions they are; no other session opens it
MOST_KNOWN = 1000
WRONG_KEYS, WRONG_SECONDS = 10, 60.0  # so many in so long a time, from one address
MOST_ADDRESSES = 1000


class SignedIn:
    """The page's sessions. keys: those that sign in. is_needed: False where anybody who can connect may look."""

    def __init__(
        self,
        keys: Sequence[SecretStr],
        sessions: AsyncSessionStore,
        *,
        is_needed: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.is_needed = is_needed
        self._keys = [key.get_secret_value().encode() for key in keys]
        self._sessions = sessions
        self._wrong = WrongKeys(clock)
        self._known: OrderedDict[str, None] = OrderedDict()

    async def sign_in(self, key: str, address: str) -> str | None:
        """A cookie for a key, None for a wrong one. Raises Problem where too many of this address were wrong lately."""
        self._wrong.require_few(address)
        given = key.encode("utf-8", "replace")
        matches = [compare_digest(given, known) for known in self._keys]  # each is compared, whichever it is
        if not any(matches):
            self._wrong.note(address)
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


class WrongKeys:
    """How many keys of an address were wrong lately."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._at: OrderedDict[str, deque[float]] = OrderedDict()

    def note(self, address: str) -> None:
        """One was."""
        self._at.setdefault(address, deque(maxlen=WRONG_KEYS)).append(self._clock())
        self._at.move_to_end(address)
        if len(self._at) > MOST_ADDRESSES:
            self._at.popitem(last=False)

    def require_few(self, address: str) -> None:
        """Raise Problem for an address of too many."""
        at = self._at.get(address, deque[float]())
        if len(at) == WRONG_KEYS and (wait := at[0] + WRONG_SECONDS - self._clock()) > 0:
            seconds = f"{wait:.0f}" if wait > 1 else "1"
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                "quota-exceeded",
                f"too many wrong keys; try again in {seconds} s",
                headers={"Retry-After": seconds},
            )
