"""What a database says of itself, to find out whether it is set up as it should be."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Engine

from likes.sql.dialects import Weakness, dialect_of
from likes.sql.engine import reading
from likes.sql.urls import describe, url_of


class Version(NamedTuple):
    """Which database, where; the oldest version that has all that is used here; what may go wrong with this one."""

    where: str
    version: tuple[int, ...]
    oldest: tuple[int, ...]
    known_fault: str | None


def read_version(engine: Engine) -> Version:
    """Connect and ask which version it is. Raises DatabaseUnavailable."""
    dialect = dialect_of(engine)
    with reading(engine) as connection:
        version = tuple(int(part) for part in connection.dialect.server_version_info or () if isinstance(part, int))
    return Version(describe(url_of(engine)), version, dialect.OLDEST, dialect.known_fault(version))


def read_weaknesses(engine: Engine) -> list[Weakness]:
    """How it is set where no session of ours can change that: what may lose commits or items, or keeps from writing."""
    with reading(engine) as connection:
        return [*dialect_of(connection).weaknesses(connection)]
