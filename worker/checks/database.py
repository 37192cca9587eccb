"""The database: its version, its tables, and whether a worker may do there what it does."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

from likes.errors import LikesError
from likes.sql import schema
from likes.sql.health import read_version, read_weaknesses, tables_elsewhere
from likes.sql.rights import missing_rights, read_only
from likes.sql.shape import missing_parts
from worker.checks.finding import Finding, Level

if TYPE_CHECKING:
    from sqlalchemy import Engine


def check_database(engine: Engine) -> Generator[Finding, None, bool]:
    """What is found in the database; one error if it cannot be reached. Returns whether its tables can be read."""
    try:
        yield from _version(engine)
        at_head = _schema(engine)
        yield at_head
        is_ready = at_head.level is not Level.ERROR
        problems = [*_writing(engine, is_ready=is_ready)]
        if is_ready and not any(finding.level is Level.ERROR for finding in problems):
            problems += [*_rights(engine)] or [*_shape(engine)]
        yield from problems
    except LikesError as error:
        yield is_away(error)
        return False
    return is_ready and all(finding.level is not Level.ERROR for finding in problems)


def is_away(error: LikesError) -> Finding:
    """The database cannot be reached."""
    return Finding(
        Level.ERROR, "database", str(error), "start it, make room on its disk, or correct LIKES_DATABASE_URL"
    )


def _version(engine: Engine) -> Iterator[Finding]:
    database = read_version(engine)
    found = f"{database.where}: version {_dotted(database.version)}"
    if database.version < database.oldest:
        yield Finding(Level.ERROR, "database", found, f"upgrade to version {_dotted(database.oldest)} or later")
        return
    yield Finding(Level.OK, "database", found)
    if database.known_fault:
        yield Finding(Level.INFO, "database version", database.known_fault)


def _schema(engine: Engine) -> Finding:
    there, head = schema.revision(engine), schema.head()
    if there is None and (hidden := tables_elsewhere(engine)):
        return Finding(Level.ERROR, "schema", f"this user does not see the tables, which are {hidden[0]}", hidden[1])
    if there is None:
        return Finding(Level.ERROR, "schema", "there are no tables yet", "likes migrate")
    if there < head:
        return Finding(Level.ERROR, "schema", f"at revision {there}, {head} is needed", "likes migrate")
    return Finding(Level.OK, "schema", f"at revision {there}{', ahead of this version' if there > head else ''}")


def _weaknesses(engine: Engine) -> Iterator[Finding]:
    for weakness in read_weaknesses(engine):
        level = Level.ERROR if weakness.keeps_from_writing else Level.WARNING
        yield Finding(level, weakness.name, weakness.found, weakness.fix)


def _writing(engine: Engine, *, is_ready: bool) -> Iterator[Finding]:
    """What the server says that it is set to; and whether it lets us write, where that is not said already."""
    weaknesses = [*_weaknesses(engine)]
    errors = [weakness for weakness in weaknesses if weakness.level is Level.ERROR]
    if is_ready and not errors and (refused := read_only(engine)):
        weaknesses = [weakness for weakness in weaknesses if weakness.name != "read-only"]
        yield Finding(Level.ERROR, "read-only", refused.why, refused.fix)
    yield from weaknesses


def _rights(engine: Engine) -> Iterator[Finding]:
    for missing in missing_rights(engine):
        found = f"a worker may not {missing.right} on {missing.table}"
        yield Finding(Level.ERROR, "database rights", found, missing.statement)


def _shape(engine: Engine) -> Iterator[Finding]:
    for missing in missing_parts(engine):
        level = Level.ERROR if missing.needed else Level.WARNING
        yield Finding(level, "tables", f"{missing.what} is missing", "; ".join(missing.statements))


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
