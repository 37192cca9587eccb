"""What this worker does, told to Redis for `likes status` to show.

Nothing is told before a first flush was tried: a worker that is refused leaves no trace. Nothing is told either while
Redis is away: that would only wait for it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from likes.buffer.heartbeat import Doing, Heartbeat
from likes.errors import DatabaseUnavailable, LikesError, RedisUnavailable
from worker import events


class Pulse:
    """Follows the loop. `go_on` may be called from any thread, the rest from the loop's."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self._heartbeat = heartbeat
        self._doing = Doing("waiting", _now())
        self._may_tell = False
        self._has_warned = False

    def flushing(self) -> None:
        """A flush begins."""
        self._doing = replace(self._doing, doing="flushing", since=_now())

    def counted(self) -> None:
        """The flush under way counted something."""
        self._may_tell = True
        self.go_on()

    def flushed(self) -> None:
        """The flush is done."""
        was_in_trouble = self._doing.trouble is not None
        now = _now()
        self._doing, self._may_tell = Doing("waiting", now, flushed_at=now), True
        self.go_on(at_once=was_in_trouble)

    def failed(self, error: Exception) -> None:
        """The flush failed."""
        misses_database = isinstance(error, DatabaseUnavailable)
        trouble = " ".join(str(error).split()) if isinstance(error, LikesError) else type(error).__name__
        before, now = self._doing, _now()
        self._doing = replace(
            before,
            doing="retrying",
            since=before.since if before.trouble else now,
            trouble=trouble,
            database_away_since=(before.database_away_since or now) if misses_database else None,
        )
        self._may_tell = not isinstance(error, RedisUnavailable)
        self.go_on(at_once=before.trouble is None)

    def stopping(self) -> None:
        """The last flush begins."""
        self._doing = replace(self._doing, doing="stopping", since=_now())
        self.go_on(at_once=True)

    def go_on(self, *, at_once: bool = False) -> None:
        """Tell what goes on now; every few seconds is enough, unless `at_once`."""
        if not self._may_tell:
            return
        self._heartbeat.beat(self._doing, at_once=at_once)
        if self._heartbeat.refused and not self._has_warned:
            self._has_warned = True
            events.not_shown(self._heartbeat.refused)

    def end(self) -> None:
        """The worker ends."""
        if self._may_tell:
            self._heartbeat.end()


def _now() -> datetime:
    return datetime.now(UTC)
