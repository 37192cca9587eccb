"""What clients may still ask for, as far as one process knows. Without I/O.

The generic cell rate algorithm (GCRA; ITU-T I.371), as a leaky bucket without a drip: each request is worth
`seconds / requests`, and a client that is `seconds` ahead of its rate has to wait. So a quiet client may ask `requests`
times at once, and then steadily.

What others let pass meanwhile is not known before Redis is told of ours. So that many processes together let pass
little too much, each lets only a few of a client pass that Redis does not count yet: one, and a fiftieth of those
allowed.
"""

from __future__ import annotations

from typing import NamedTuple

LEAST_FORGOTTEN_AT = 10_000  # clients


class Verdict(NamedTuple):
    """May it pass? remaining: how many more may, before `seconds` are over; where none may, that is when one may."""

    passes: bool
    remaining: int
    seconds: float


class _Client:
    """even_at: when it will be even with its rate again. untold, telling: requests that Redis does not count yet."""

    __slots__ = ("even_at", "telling", "untold")

    def __init__(self, now: float) -> None:
        self.even_at = now
        self.untold = 0
        self.telling = 0


class Allowances:
    """For `requests` in `seconds`, of each client. Times are seconds of one clock that is never set."""

    def __init__(self, requests: int, seconds: float) -> None:
        self.requests = requests
        self.seconds = seconds
        self.each = seconds / requests
        self.untold_at_most = 1 + requests // 50
        self.untold: set[str] = set()  # clients
        self._clients: dict[str, _Client] = {}
        self._forgets_at = LEAST_FORGOTTEN_AT

    def take(self, client: str, now: float, *, blindly: bool = False) -> Verdict | None:
        """Let a request pass, or not; None if that can only be said once Redis has been told of those before.

        blindly: go by what is known here alone.
        """
        known = self._clients.get(client)
        if known is None:
            self._forget_even(now)
            known = self._clients[client] = _Client(now)
        even_at = max(known.even_at, now) + self.each
        if even_at - now > self.seconds * (1 + 1e-9):
            return Verdict(False, 0, even_at - now - self.seconds)
        if known.untold + known.telling >= self.untold_at_most and not blindly:
            return None
        known.even_at = even_at
        known.untold += 1
        self.untold.add(client)
        remaining = int((self.seconds - (even_at - now)) / self.each + 1e-6)
        return Verdict(True, remaining, remaining * self.each or even_at + self.each - now - self.seconds)

    def tell(self) -> dict[str, float]:
        """Client -> by how many seconds it got ahead that Redis is to be told of now."""
        told = {}
        for client in self.untold:
            known = self._clients[client]
            known.telling, known.untold = known.untold, 0
            told[client] = known.telling * self.each
        self.untold.clear()
        return told

    def hear(self, client: str, ahead: float, now: float) -> None:
        """Redis was told, and says how far ahead of its rate a client is with all that processes let pass."""
        known = self._clients[client]
        known.telling = 0
        known.even_at = now + ahead + known.untold * self.each

    def hear_nothing(self, client: str) -> None:
        """Redis was told, or not: it did not answer."""
        self._clients[client].telling = 0

    def _forget_even(self, now: float) -> None:
        """Forget those of whom nothing needs to be known, once there are many."""
        if len(self._clients) >= self._forgets_at:
            kept = {
                name: each for name, each in self._clients.items() if each.even_at > now or each.untold or each.telling
            }
            self._clients = kept
            self._forgets_at = max(LEAST_FORGOTTEN_AT, 2 * len(kept))
