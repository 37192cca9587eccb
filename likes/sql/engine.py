"""Engines and transactions: every one has a time-out, and a database that is away raises DatabaseUnavailable."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakSet

from sqlalchemy import URL, Connection, Engine, Pool, QueuePool, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from likes.errors import DatabaseRefused, DatabaseUnavailable, SchemaOutdated
from likes.sql.connections import LENT_OPTION, REPLACED_OPTION, connected
from likes.sql.dialects import dialect_of
from likes.sql.urls import parse_url, place
from likes.sql.watchdog import watchdog

TIMEOUT_OPTION = "likes_timeout"  # of an engine: seconds a transaction may take
_GRACE_SECONDS = 1.0  # for the server to end a transaction by its own time-outs before its socket is shut


def open_engine(url: str, *, timeout: float, pool_size: int = 5) -> Engine:
    """An engine whose transactions, by `reading` and `writing`, end within about `timeout` seconds.

    It connects when first used, `pool_size` times at most. Raises SettingsError for a URL that cannot be used.
    """
    parsed = parse_url(url)
    dialect = dialect_of(parsed)
    engine = create_engine(
        parsed,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=timeout,
        hide_parameters=True,
        execution_options={TIMEOUT_OPTION: timeout, REPLACED_OPTION: []},
        **dialect.engine_options(parsed, timeout),
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: DBAPIConnection, _record: object) -> None:
        dialect.set_up(connection)

    @event.listens_for(engine, "handle_error")
    def give_up_connection(context: ExceptionContext) -> None:
        error = context.sqlalchemy_exception
        if isinstance(error, DBAPIError) and dialect.is_away(error):
            context.is_disconnect = True

    dialect.prepare(engine)
    _engines.add(engine)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads. Any failure that may pass, such as a time-out, raises DatabaseUnavailable."""
    with _transaction(engine, write=False) as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction, committed at the end of the block and rolled back when it raises.

    Raises DatabaseUnavailable if the database is away, SchemaOutdated if a table is missing, DatabaseRefused for
    what repeating does not help. Deadlocks, time-outs, rows already there and bad data stay DBAPIError, for the caller
    to look into.
    """
    with _transaction(engine, write=True) as connection:
        yield connection


@contextmanager
def _transaction(engine: Engine, *, write: bool) -> Iterator[Connection]:
    dialect = dialect_of(engine)
    options = engine.get_execution_options()
    timeout: float = options[TIMEOUT_OPTION]
    try:
        with connected(engine) as connection:
            with _watched(connection, timeout), connection.begin():
                if LENT_OPTION in options:
                    dialect.begin_lent(connection, timeout=timeout)
                else:
                    dialect.begin(connection, write=write, timeout=timeout)
                yield connection
            if write and dialect.is_replaced(connection):  # then what was committed is in neither, or will not stay
                raise DatabaseUnavailable(f"{place(engine.url)} was replaced during a transaction")
    except PoolExhausted as error:
        waited = engine.pool.timeout() if isinstance(engine.pool, QueuePool) else timeout
        raise DatabaseUnavailable(f"{place(engine.url)}: no connection was free within {waited:g} s") from error
    except DBAPIError as error:
        if dialect.is_missing_table(error):
            raise SchemaOutdated(f"{place(engine.url)} lacks a table or a column; run `likes migrate`") from error
        if dialect.is_away(error) or (not write and dialect.is_transient(error)):
            why = "only reads: " if dialect.is_read_only(error) else ""
            raise DatabaseUnavailable(f"{place(engine.url)}: {why}{_reason(error, engine.url)}") from error
        if write and (dialect.is_transient(error) or dialect.is_bad_data(error) or isinstance(error, IntegrityError)):
            raise
        raise DatabaseRefused(f"{place(engine.url)}: {_reason(error, engine.url)}") from error


@contextmanager
def _watched(connection: Connection, timeout: float) -> Iterator[None]:
    """Break off from a server that does not answer, where the driver would wait for ever."""
    socket = dialect_of(connection).socket_to_watch(connection)
    if socket is None:
        yield
        return
    with watchdog.watching(socket, timeout + _GRACE_SECONDS) as watch:
        try:
            yield
        except DBAPIError as error:
            if not watch.expired:
                raise
            where = place(connection.engine.url)
            raise DatabaseUnavailable(f"{where} did not finish a transaction within {timeout:g} s") from error
    if watch.expired:  # it committed just before, but its socket is shut
        connection.invalidate()


def _reason(error: DBAPIError, url: URL) -> str:
    """What the driver said, in one line, without the password."""
    said = " ".join(str(error.orig).split())
    return said.replace(url.password, "***") if url.password else said


_engines: WeakSet[Engine] = WeakSet()
_left_to_the_parent: list[Pool] = []


def _leave_connections_to_the_parent() -> None:
    """Connect anew after a fork: two processes on one connection read each other's answers."""
    for engine in _engines:
        _left_to_the_parent.append(engine.pool)  # else the child closes what the parent goes on using
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_leave_connections_to_the_parent)
