"""SQLite, through the standard library."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from itertools import repeat
from math import inf
from typing import Any, ClassVar

from sqlalchemy import TEXT, URL, Connection, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from likes.deltas import Deltas
from likes.sql.dialects import sqlite_file
from likes.sql.dialects.dialect import COUNTING_ROWS, Dialect, Weakness, require_all

_ADD_TO_TOTALS = """
INSERT INTO likes_totals (counter, item, total, updated_at) VALUES (?, ?, ?, ?)
ON CONFLICT (counter, item) DO UPDATE SET total = total + excluded.total, updated_at = excluded.updated_at
"""

_ADD_NOTHING = """
INSERT INTO likes_totals (counter, item, total, updated_at) SELECT '', '', 0, '' WHERE 0
ON CONFLICT (counter, item) DO UPDATE SET total = total + excluded.total, updated_at = excluded.updated_at
"""

_CONSTRAINT_DATATYPE = 3091  # Python has no name for it


class SQLite(Dialect):
    OLDEST = (3, 37)  # STRICT
    SOUND_SINCE = (3, 51, 3)
    SNAPSHOT: ClassVar[Mapping[str, Any]] = {}  # in WAL mode they do anyway
    AWAY = ("SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_NOTADB", "SQLITE_READONLY")
    TRANSIENT = ("SQLITE_BUSY", "SQLITE_LOCKED")
    READ_ONLY = ("SQLITE_READONLY",)
    BAD_DATA = ("SQLITE_CONSTRAINT_DATATYPE", "SQLITE_MISMATCH", "SQLITE_TOOBIG", "integer overflow")
    NOT_OF_A_ROW = (
        "SQLITE_AUTH",
        "SQLITE_CORRUPT",
        "SQLITE_INTERNAL",
        "SQLITE_INTERRUPT",
        "SQLITE_MISUSE",
        "SQLITE_NOMEM",
    )
    MISSING_TABLE = ("no such table", "no such column", "table likes_")
    IDLE_SECONDS = inf
    CLOCK = "strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')"
    SURVIVES_FORK = False  # its mutexes stay taken in a child, and it takes its parent's locks on the file for its own

    def code(self, error: DBAPIError) -> str:
        if getattr(error.orig, "sqlite_errorcode", None) == _CONSTRAINT_DATATYPE:
            return "SQLITE_CONSTRAINT_DATATYPE"
        name = str(getattr(error.orig, "sqlite_errorname", ""))
        return name if name != "SQLITE_ERROR" else str(error.orig)  # one code for many errors: only their words differ

    def known_fault(self, version: tuple[int, ...]) -> str | None:
        if version >= self.SOUND_SINCE:
            return None
        return (
            "before SQLite 3.51.3, two writers at the end of a checkpoint can, very rarely, damage the file (WAL reset)"
        )

    def make_writable(self, connection: Connection) -> str:
        return f"chmod u+w {shlex.quote(str(connection.engine.url.database))}"

    def weaknesses(self, connection: Connection) -> Iterator[Weakness]:
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        if mode != "wal":
            why = f"journal_mode is {mode}, as the file cannot have a WAL here: reading waits for writing"
            yield Weakness("journal_mode", why, "put the file on a local disk")

    def add_to_totals(self, connection: Connection, deltas: Deltas, now: datetime) -> None:
        moment = self.store_moment(now)
        rows = [*zip(deltas.counters, deltas.items, deltas.numbers, repeat(moment))]
        added = connection.exec_driver_sql(_ADD_TO_TOTALS, rows, execution_options=COUNTING_ROWS)
        require_all(added.rowcount, deltas)

    def add_nothing(self, connection: Connection) -> None:
        connection.exec_driver_sql(_ADD_NOTHING)

    def name_type(self, size: int) -> TypeEngine[Any]:
        return TEXT()

    def moment_type(self) -> TypeEngine[Any]:
        return TEXT()

    def store_moment(self, moment: datetime) -> str:
        return moment.isoformat(timespec="microseconds")  # always of one length: they sort as text

    def place(self, url: URL) -> str:
        return f"SQLite at {url.database}"

    def is_in_memory(self, url: URL) -> bool:
        name = url.database or ":memory:"
        return name == ":memory:" or url.query.get("mode") == "memory" or "mode=memory" in name

    def engine_options(self, url: URL, timeout: float) -> dict[str, Any]:
        # No isolation level: the module then begins no transaction by itself, and `begin` does.
        return {"connect_args": {"timeout": timeout, "isolation_level": None}}

    def prepare(self, engine: Engine) -> None:
        sqlite_file.watch(engine)

    def set_up(self, connection: DBAPIConnection) -> None:
        with closing(connection.cursor()) as cursor:
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = EXTRA")  # FULL loses a commit where there is no WAL
            cursor.execute("PRAGMA fullfsync = ON")  # of macOS

    def begin(self, connection: Connection, *, write: bool, timeout: float) -> None:
        # A reader that turns into a writer fails at once when another wrote in between, so writers say so first.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    def is_replaced(self, connection: Connection) -> bool:
        return sqlite_file.is_replaced(connection)

    def let_go(self, connection: Connection) -> bool:
        # The log lies beside the path, and would be taken for one of the file that is there now.
        with connection.begin():  # of SQLAlchemy alone
            is_busy, _, _ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        return not is_busy

    @contextmanager
    def migrating(self, connection: Connection) -> Iterator[None]:
        yield  # nobody else writes in the meantime
