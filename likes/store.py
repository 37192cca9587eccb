"""What SessionStore and AsyncSessionStore share: where the servers are, and what SQL gets of sessions that ended.

Both hand off at once what a log-out leaves; what a killed process or a database that is away leaves over, a worker's
sweep sees to.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING, Self

from likes.connect import Places
from likes.errors import LikesError
from likes.sessions.session import Ended, Life
from likes.sessions.steps import Sessions

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from likes.config.settings import Settings

_log = logging.getLogger("likes.sessions")

LONGEST_REVOCATION = 10_000  # rounds of a hundred sessions


class Store:
    """What both stores have: where the servers are, and SQL.

    life: how long sessions live. trouble: why SQL did not take what ended last; it waits in Redis for a worker then.
    Connections are opened when they are first needed.
    """

    trouble: LikesError | None = None

    def __init__(self, places: Places, namespace: str, life: Life) -> None:
        self._places = places
        self._namespace = namespace
        self._sessions = Sessions(namespace, life, places.redis_timeout)
        self._opening = Lock()
        self._engine: Engine | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The store that settings name."""
        life = Life(settings.session_idle_seconds, settings.session_max_seconds)
        return cls(Places.from_settings(settings), settings.prefix, life)

    def _record(self, ended: Sequence[Ended]) -> str:
        """Write to SQL; the database's id, "" where a sweep has to see to them. Raises nothing: they are over."""
        from likes.sql.sessions import record

        try:
            with self._opening:
                if self._engine is None:
                    self._engine = self._places.open_database()
            return record(self._engine, self._namespace, ended)
        except LikesError as error:
            self.trouble = error
            _log.warning("%d ended sessions wait in Redis for a worker: %s", len(ended), error)
            return ""

    def _close_database(self) -> None:
        with self._opening:
            if self._engine is not None:
                self._places.close_database(self._engine)
            self._engine = None
