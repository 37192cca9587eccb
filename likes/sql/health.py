"""What a database says of itself and of who uses it, to find out whether it is set up as it should be."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import Engine, select

from likes.batch import Batch
from likes.sql import identity
from likes.sql.dialects import Weakness, dialect_of
from likes.sql.engine import reading
from likes.sql.schema import VERSION_TABLE
from likes.sql.tables import batches, cursors
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


def tables_elsewhere(engine: Engine) -> tuple[str, str] | None:
    """Where our tables are that this user does not see, and the statement that lets it; None if they are nowhere."""
    with reading(engine) as connection:
        return dialect_of(engine).elsewhere(connection, VERSION_TABLE)


def database_id(engine: Engine) -> str:
    """The database's own id; "" before it has one."""
    with reading(engine) as connection:
        return identity.read(connection)


def namespaces(engine: Engine) -> set[str]:
    """Under which prefixes something was flushed here."""
    with reading(engine) as connection:
        return set(connection.scalars(select(cursors.c.namespace).distinct()))


def flushed_samples(engine: Engine, namespace: str, most: int = 50) -> dict[int, list[bytes]]:
    """Shard -> items of it that were flushed, of the `most` batches applied last."""
    newest = (
        select(batches.c.shard, batches.c.payload)
        .where(batches.c.namespace == namespace, batches.c.payload.is_not(None))
        .order_by(batches.c.applied_at.desc())
        .limit(most)
    )
    with reading(engine) as connection:
        rows = connection.execute(newest).all()
    samples: dict[int, list[bytes]] = {}
    for shard, payload in rows:
        with suppress(ValueError):  # of a later version
            samples.setdefault(shard, []).extend(item.encode() for item in Batch.unpack(payload).deltas.items)
    return samples


def read_weaknesses(engine: Engine) -> list[Weakness]:
    """How it is set where no session of ours can change that: what may lose commits or items, or keeps from writing."""
    with reading(engine) as connection:
        return [*dialect_of(connection).weaknesses(connection)]
