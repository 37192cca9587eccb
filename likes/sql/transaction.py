"""A transaction that is repeated as a whole when the database asks for it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from likes.errors import DatabaseBusy, DatabaseRefused, DatabaseUnavailable, LikesError
from likes.sql.dialects import dialect_of
from likes.sql.engine import writing
from likes.sql.urls import place

T = TypeVar("T")

ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 0.05


def transact(engine: Engine, work: Callable[[Connection], T], *, attempts: int = ATTEMPTS) -> T:
    """Run `work` in one transaction and commit; repeat it, a few times and with growing pauses, after a deadlock, a
    time-out, a lost connection or a row another process inserted first.

    `work` must be safe to repeat: a lost reply to COMMIT repeats what was done. Raises DatabaseUnavailable, or its
    DatabaseBusy if it answers, and DatabaseRefused where repeating does not help.
    """
    dialect, pause = dialect_of(engine), FIRST_PAUSE_SECONDS
    for attempt in range(1, attempts + 1):
        try:
            with writing(engine) as connection:
                return work(connection)
        except (DatabaseUnavailable, DBAPIError) as error:
            if isinstance(error, DBAPIError) and dialect.is_bad_data(error):
                raise DatabaseRefused(f"{place(engine.url)}: {_said(error)}") from error
            if attempt == attempts:
                raise error if isinstance(error, LikesError) else _given_up(error, attempts) from error
        time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 (spreads retries, no secret)
        pause *= 2
    raise AssertionError("unreachable")


def _given_up(error: DBAPIError, attempts: int) -> LikesError:
    said = _said(error)
    if isinstance(error, IntegrityError):
        return DatabaseRefused(f"the database has a row that should not be there: {said}")
    return DatabaseBusy(f"the database could not do this in {attempts} attempts: {said}")


def _said(error: DBAPIError) -> str:
    return " ".join(str(error.orig).split())
