"""The schema: brought to head by Alembic, and checked before use without loading Alembic.

Revisions are numbers of four digits in one line: `0001_tables.py`, `0002_…`. A change that would break the release
before is made in two steps: what adds comes with the release that needs it, what removes with a later one. So a
database that is ahead of this release is fine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, text

from likes.errors import SchemaOutdated
from likes.installation import COMMAND
from likes.sql.dialects import dialect_of
from likes.sql.engine import open_engine, reading, writing
from likes.sql.urls import describe, parse_url, url_of

if TYPE_CHECKING:
    from alembic.config import Config

VERSION_TABLE = "likes_alembic_version"
MIGRATION_SECONDS = 3600.0  # an index on a large table takes its time, and so does waiting for whoever builds it


def migrate(engine: Engine) -> None:
    """Bring the tables to head. Of several processes at once one does it, the others wait and find it done."""
    from alembic import command

    config = _config()
    with alone(url_of(engine)) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def migration_sql(url: str) -> str:
    """The SQL that `migrate` would run on an empty database of this kind; nothing is connected to."""
    from alembic import command

    written = StringIO()
    config = _config(written)
    config.attributes["url"] = parse_url(url)
    command.upgrade(config, "head", sql=True)
    return written.getvalue()


def revision(engine: Engine) -> str | None:
    """The revision the database is at; None before the first."""
    try:
        with reading(engine) as connection:
            query = f"SELECT version_num FROM {VERSION_TABLE}"  # noqa: S608 (a constant)
            row = connection.execute(text(query)).first()
    except SchemaOutdated:
        return None
    return str(row.version_num) if row else None


def head() -> str:
    """The newest revision this release knows."""
    return max(path.name[:4] for path in (_folder() / "versions").glob("[0-9][0-9][0-9][0-9]_*.py"))


def require_head(engine: Engine) -> None:
    """Raise SchemaOutdated if the database is behind this release."""
    there, wanted = revision(engine), head()
    if there is None or there < wanted:
        state = "has no tables yet" if there is None else f"is at revision {there}, {wanted} is needed"
        raise SchemaOutdated(f"{describe(url_of(engine))} {state}; run `likes migrate`")


@contextmanager
def alone(url: str) -> Iterator[Connection]:
    """A write transaction with ample time, in which no other process migrates this database."""
    engine = open_engine(url, timeout=MIGRATION_SECONDS, pool_size=1)
    try:
        with writing(engine) as connection, dialect_of(engine).migrating(connection):
            yield connection
    finally:
        engine.dispose()


def _config(output: StringIO | None = None) -> Config:
    from alembic.config import Config

    config = Config(output_buffer=output)
    config.set_main_option("script_location", str(_folder()).replace("%", "%%"))
    return config


def _folder() -> Path:
    return Path(COMMAND) / "alembic"
