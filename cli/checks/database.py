"""The database: its version, its tables, and whether it belongs to this Redis."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cli.checks.finding import Finding, Level
from cli.checks.undecided import check_undecided
from likes.connect import Places
from likes.errors import LikesError
from likes.moments import iso
from likes.sql import schema
from likes.sql.health import read_version, read_weaknesses
from likes.sql.ledger import Ledger

if TYPE_CHECKING:
    from sqlalchemy import Engine

OTHER_SHARDS = timedelta(hours=1)  # so long ago nobody used them any more: LIKES_SHARDS was lowered for good


def check_database(places: Places, namespace: str, shards: int) -> Iterator[Finding]:
    """What is found in the database; one error if it cannot be reached."""
    try:
        engine = places.open_database()
        yield from _version(engine)
        yield from _weaknesses(engine)
        at_head = _schema(engine)
        yield at_head
        if at_head.level is not Level.ERROR:
            yield from _cursors(engine, namespace, shards, places.redis_name())
            yield from check_undecided(engine, namespace)
    except LikesError as error:
        yield Finding(Level.ERROR, "database", str(error), "start it, or correct LIKES_DATABASE_URL and its password")


def _version(engine: Engine) -> Iterator[Finding]:
    database = read_version(engine)
    found = f"{database.where}: version {_dotted(database.version)}"
    if database.version < database.oldest:
        yield Finding(Level.ERROR, "database", found, f"upgrade to version {_dotted(database.oldest)} or later")
        return
    yield Finding(Level.OK, "database", found)
    if database.known_fault:
        yield Finding(Level.INFO, "database version", database.known_fault)


def _weaknesses(engine: Engine) -> Iterator[Finding]:
    for weakness in read_weaknesses(engine):
        level = Level.ERROR if weakness.keeps_from_writing else Level.WARNING
        yield Finding(level, weakness.name, weakness.found, weakness.fix)


def _schema(engine: Engine) -> Finding:
    there, head = schema.revision(engine), schema.head()
    if there is None:
        return Finding(Level.ERROR, "schema", "there are no tables yet", "likes migrate")
    if there < head:
        return Finding(Level.ERROR, "schema", f"at revision {there}, {head} is needed", "likes migrate")
    return Finding(Level.OK, "schema", f"at revision {there}{', ahead of this version' if there > head else ''}")


def _cursors(engine: Engine, namespace: str, shards: int, redis_name: str) -> Iterator[Finding]:
    known = Ledger(engine, namespace, worker="").cursors()
    if not known:
        yield Finding(Level.OK, "first flush", "nothing was flushed yet under this prefix")
        return
    if others := sorted({cursor.redis_name for cursor in known.values()} - {redis_name}):
        found = f"the database belongs to the Redis {', '.join(others)}, not to {redis_name}"
        fix = "correct LIKES_REDIS_URL or LIKES_REDIS_NAME; or, if Redis moved: likes adopt"
        yield Finding(Level.ERROR, "redis name", found, fix)
    else:
        yield Finding(Level.OK, "redis name", redis_name)
    since = datetime.now(UTC) - OTHER_SHARDS
    if beyond := [cursor for cursor in known.values() if cursor.shard >= shards and cursor.updated_at > since]:
        last, at = max(cursor.shard for cursor in beyond), iso(max(cursor.updated_at for cursor in beyond))
        found = f"LIKES_SHARDS is {shards}, but shards up to {last} were in use until {at}"
        fix = "set the same LIKES_SHARDS here, for the worker and for all clients; once it is, this passes in an hour"
        yield Finding(Level.WARNING, "shards", found, fix)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
