"""Who is signed in to the page: a key, asked for once, becomes a cookie.

The sessions are kept in this process for now; those of `likes.sessions` are to take the place of `_sessions`, behind
the same three calls.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from hmac import compare_digest
from http import HTTPStatus

from pydantic import SecretStr

from likes.api.problems import Problem

SESSION_SECONDS = 12 * 3600.0
MOST_SESSIONS = 1000
WRONG_KEYS, WRONG_SECONDS = 10, 60.0  # so many in so long a time, from one address
MOST_ADDRESSES = 1000


class SignedIn:
    """The page's sessions. keys: those that sign in. is_needed: False where anybody who can connect may look."""

    def __init__(
        self, keys: Sequence[SecretStr], *, is_needed: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.is_needed = is_needed
        self._keys = [key.get_secret_value().encode() for key in keys]
        self._clock = clock
        self._wrong = WrongKeys(clock)
        self._sessions: dict[str, float] = {}

    async def sign_in(self, key: str, address: str) -> str | None:
        """A cookie for a key, None for a wrong one. Raises Problem where too many of this address were wrong lately."""
        self._wrong.require_few(address)
        given = key.encode("utf-8", "replace")
        matches = [compare_digest(given, known) for known in self._keys]  # each is compared, whichever it is
        if not any(matches):
            self._wrong.note(address)
            return None
        self._forget()
        cookie = secrets.token_urlsafe(32)
        self._sessions[cookie] = self._clock() + SESSION_SECONDS
        return cookie

    async def is_signed_in(self, cookie: str | None) -> bool:
        """Whether the cookie is of a session that is not over; true where none is needed."""
        return not self.is_needed or (cookie is not None and self._sessions.get(cookie, 0.0) > self._clock())

    async def sign_out(self, cookie: str) -> None:
        """End its session."""
        self._sessions.pop(cookie, None)

    def _forget(self) -> None:
        self._sessions = {cookie: end for cookie, end in self._sessions.items() if end > self._clock()}
        while len(self._sessions) >= MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]


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
                "rate-limited",
                f"too many wrong keys; try again in {seconds} s",
                headers={"Retry-After": seconds},
            )
