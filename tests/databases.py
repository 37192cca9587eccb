"""Migrated databases that tests use in turn: emptying one takes milliseconds, making one up to half a second."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import NullPool, create_engine, delete, inspect

from likes.sql.engine import open_engine
from likes.sql.schema import VERSION_TABLE, migrate
from likes.sql.tables import metadata
from likes.sql.urls import parse_url
from tests.servers import MariaDB, PostgreSQL

_TABLES = {VERSION_TABLE, *metadata.tables}


class Shelf:
    """The migrated databases of one server that nobody uses now."""

    def __init__(self, server: PostgreSQL | MariaDB) -> None:
        self._server = server
        self._free: list[str] = []

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The URL of a migrated, empty database, which comes back to the shelf unless its tables were changed."""
        name = self._free.pop() if self._free else self._made()
        yield self._server.url_of(name)
        self._server.disconnect(name)  # a process that was left over must not write into another test
        if self._emptied(name):
            self._free.append(name)
        else:
            self._server.drop(name)

    def _made(self) -> str:
        name = f"migrated_{uuid.uuid4().hex}"
        engine = open_engine(self._server.create(name), timeout=30)
        migrate(engine)
        engine.dispose()
        return name

    def _emptied(self, name: str) -> bool:
        engine = create_engine(parse_url(self._server.url_of(name)), poolclass=NullPool)
        with engine.begin() as connection:
            if set(inspect(connection).get_table_names()) != _TABLES:
                return False
            for table in metadata.sorted_tables:
                connection.execute(delete(table))
        return True
