"""SessionStore: a user's sessions, for commands and other threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from likes.connect import Places
from likes.posting.steps import run
from likes.sessions.fields import check_user
from likes.sessions.session import Life, Session
from likes.store import LONGEST_REVOCATION, Store

if TYPE_CHECKING:
    from likes.buffer.links.link import Link


class SessionStore(Store):
    """Lists and ends a user's sessions, for commands and other threads."""

    def __init__(self, places: Places, namespace: str, life: Life) -> None:
        super().__init__(places, namespace, life)
        self._link: Link | None = None

    def of_user(self, user: str) -> list[Session]:
        """The sessions of a user that are not over, the newest first."""
        return run(self._sessions.of_user(check_user(user)), self._open())

    def revoke(self, user: str) -> int:
        """End all sessions of a user; how many there were."""
        check_user(user)
        count = 0
        for _ in range(LONGEST_REVOCATION):
            ended = run(self._sessions.revoke(user), self._open())
            if not ended:
                break
            count += len(ended)
            if database := self._record(ended):
                run(self._sessions.drop(ended, database), self._open())
        return count

    def close(self) -> None:
        """Close all connections."""
        if self._link is not None:
            self._link.close()
        self._close_database()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> Link:
        with self._opening:
            self._link = self._link or self._places.open_link()
            return self._link
