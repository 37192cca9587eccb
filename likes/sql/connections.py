"""Connections of a pool: those that lead nowhere any more, or to another database than they should, are left alone.

What the server has closed is seen on the socket, what a firewall may have forgotten by the clock, and a file that was
replaced by looking at it: none of it costs a round trip.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, QueuePool

from likes.errors import DatabaseUnavailable
from likes.sql.dialects import dialect_of
from likes.sql.urls import place

LENT_OPTION = "likes_lent"  # of an engine: it is an application's own
REPLACED_OPTION = "likes_replaced"  # of an engine of ours: what is to be said of each replacement of its database
_ATTEMPTS = 100  # more connections than a pool has
_LAST_USE = "likes_last_use"  # in the `info` of a connection: monotonic seconds


def replaced(engine: Engine) -> list[str]:
    """What is to be said of each time that an engine of ours found another database in the place of its own."""
    said: list[str] = engine.get_execution_options()[REPLACED_OPTION]
    return said


@contextmanager
def connected(engine: Engine) -> Iterator[Connection]:
    """A connection that still leads to the database, as far as that shows without asking it."""
    with engine.connect() as connection:
        for _ in range(_ATTEMPTS):
            if _is_usable(connection):
                break
            connection.invalidate()
        try:
            yield connection
        finally:
            if not connection.invalidated:
                connection.info[_LAST_USE] = time.monotonic()


def _is_usable(connection: Connection) -> bool:
    dialect, engine = dialect_of(connection), connection.engine
    is_ours = LENT_OPTION not in engine.get_execution_options()
    last_use: float | None = connection.info.get(_LAST_USE)
    if last_use is not None and is_ours and time.monotonic() - last_use > dialect.IDLE_SECONDS:
        return False
    is_new = last_use is None and is_ours
    if not is_new and dialect.is_over(connection):
        return False
    if not dialect.is_replaced(connection):
        return True
    if is_ours:
        _let_go(connection)
    return False


def _let_go(connection: Connection) -> None:
    """Leave a database that was replaced, once nobody uses it any more: two at once would disturb each other."""
    engine = connection.engine
    others = isinstance(engine.pool, QueuePool) and engine.pool.checkedout() > 1
    if others or not dialect_of(engine).let_go(connection):
        raise DatabaseUnavailable(f"{place(engine.url)} was replaced, and the one before is still in use")
    engine.dispose()
    replaced(engine).append(f"{place(engine.url)} was replaced by another one while it was in use")
