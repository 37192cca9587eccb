"""Engines of an application's own: our transactions run on them, and they go on as they are."""

from __future__ import annotations

from sqlalchemy import Engine

from likes.errors import InvalidInput
from likes.sql.connections import LENT_OPTION
from likes.sql.dialects import DRIVERS, dialect_of
from likes.sql.engine import TIMEOUT_OPTION


def lent_engine(engine: object, *, timeout: float) -> Engine:
    """`engine`, for `reading` only, whose transactions are to end within about `timeout` seconds.

    It shares its pool with the engine handed in, whose other users see no difference: nothing is set on a connection
    that outlasts a transaction, and nothing listens for events. The isolation level stays as it is and may be any, also
    none (autocommit): what belongs together is read in one statement. How long a free connection, a new one, or a
    locked SQLite file is waited for is for the application to say.

    Raises InvalidInput for an engine that cannot be used.
    """
    if not isinstance(engine, Engine):
        raise _refused(f"is of type {type(engine).__name__}")
    driver = f"{engine.dialect.name}+{engine.dialect.driver}"
    if engine.dialect.is_async:
        raise _refused(f"is one for asyncio ({driver})")
    if driver not in DRIVERS.values():
        raise _refused(f"is one of {driver}")
    if dialect_of(engine).is_in_memory(engine.url):
        raise _refused("is one of a database in memory, which no worker could write to")
    return engine.execution_options(**{TIMEOUT_OPTION: timeout, LENT_OPTION: True})


def _refused(what: str) -> InvalidInput:
    drivers = ", ".join(dict.fromkeys(DRIVERS.values()))
    return InvalidInput(f"engine {what}; pass a synchronous Engine of SQLAlchemy for {drivers}, or database_url")
