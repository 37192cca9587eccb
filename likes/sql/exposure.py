"""Exposure windows: between which moments likes were accepted that an incident may have cost.

What Redis accepted before `covered_to` is in SQL, so nothing of it can be lost: the window begins there, and ends when
the incident is noticed. Both are told by Redis's clock, as that of a client or a worker may be anything. Should Redis's
clock have been set in between, or be another server's now, SQL's clock tells how long ago `covered_to` was; the window
then holds both what Redis's clock said before it was set and what it said after.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple

from likes.sql.cursors import Cursor


class Window(NamedTuple):
    """From when to when; `begin` is None where no flush has been complete yet: from the first like on."""

    begin: datetime | None
    end: datetime


def window_of(cursors: Collection[Cursor], *, redis_now: datetime | None, sql_now: datetime) -> Window:
    """The window of an incident that is noticed now in these shards, one at least.

    redis_now: by Redis's clock; None if it does not tell.
    """
    windows = [_window(cursor, redis_now or sql_now, sql_now) for cursor in cursors]
    begins = [window.begin for window in windows if window.begin is not None]
    begin = min(begins) if len(begins) == len(windows) else None
    return Window(begin, max(window.end for window in windows))


def _window(cursor: Cursor, redis_now: datetime, sql_now: datetime) -> Window:
    end = max(redis_now, sql_now)
    if cursor.covered_to is None or cursor.covered_at is None:
        return Window(None, end)
    went_by = max(sql_now - cursor.covered_at, timedelta(0))
    return Window(min(cursor.covered_to, redis_now - went_by), max(end, cursor.covered_to + went_by))
