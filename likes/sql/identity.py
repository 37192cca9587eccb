"""The database's own id, by which Redis knows whose it is; random, made when it is first needed."""

from __future__ import annotations

import secrets
from typing import NamedTuple

from sqlalchemy import Connection, Engine, insert, select, update

from likes.errors import DatabaseUnavailable
from likes.sql.tables import database
from likes.sql.transaction import transact
from likes.sql.urls import place

_ID = select(database.c.id).where(database.c.only == 1)


class Claim(NamedTuple):
    """What a flush was begun for: the id of the database, "" before the first, and the name of its Redis."""

    database: str = ""
    redis_name: str = ""


def read(connection: Connection) -> str:
    """The database's id; "" before it has one."""
    return connection.scalar(_ID) or ""


def make_id(engine: Engine) -> str:
    """The database's id, made if it has none."""

    def work(connection: Connection) -> str:
        return read(connection) or _write(connection)

    return transact(engine, work)


def make_fresh_id(engine: Engine) -> str:
    """Another id than before, as for a copy of a database; what is being applied comes before it, or fails."""

    def work(connection: Connection) -> str:
        if not connection.scalar(_ID.with_for_update()):
            return _write(connection)
        fresh = secrets.token_hex(16)
        connection.execute(update(database).values(id=fresh))
        return fresh

    return transact(engine, work)


def require(connection: Connection, claim: Claim) -> None:
    """Raise DatabaseUnavailable unless the database still has the id it was claimed for; it keeps it until the end.

    Whose it is now, the next claim finds out. Where the id was away only while rows were put back, to repeat is enough.
    """
    now = connection.scalar(_ID.with_for_update(read=True))
    if now != claim.database:
        what = "it was restored, made anew or given another id in the middle of this; try again"
        raise DatabaseUnavailable(f"{place(connection.engine.url)}: {what}")


def _write(connection: Connection) -> str:
    fresh = secrets.token_hex(16)
    connection.execute(insert(database).values(only=1, id=fresh))
    return fresh
