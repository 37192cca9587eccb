"""PostgreSQL, through psycopg."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from math import ceil
from typing import Any

from sqlalchemy import TEXT, URL, Connection, DateTime
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.types import TypeEngine

from likes.deltas import Deltas
from likes.sql.dialects.dialect import Dialect, connect_seconds, host_and_port

# Names hold no control characters, so each column goes as one text, joined here and split by the server: psycopg takes
# three times as long to make an array, in Python, while holding up the other flush threads.
_ADD_TO_TOTALS = r"""
INSERT INTO likes_totals AS t (counter, item, total, updated_at)
SELECT counter, item, delta::bigint, %s
FROM unnest(string_to_array(%s, E'\n'), string_to_array(%s, E'\n'), string_to_array(%s, E'\n'))
  AS added (counter, item, delta)
ON CONFLICT (counter, item) DO UPDATE SET total = t.total + excluded.total, updated_at = excluded.updated_at
"""

_LOCK = "likes migrate"

# The statements that end it where a session has it from; without the first, the others are refused, too.
_READ_ONLY_SET_BY = """
SELECT 'SET default_transaction_read_only = off; ALTER ' || CASE source
  WHEN 'user' THEN 'ROLE ' || quote_ident(session_user)
  WHEN 'database' THEN 'DATABASE ' || quote_ident(current_database())
  WHEN 'database user' THEN 'ROLE ' || quote_ident(session_user) || ' IN DATABASE ' || quote_ident(current_database())
  ELSE 'SYSTEM' END || ' SET default_transaction_read_only = off'
  || CASE WHEN source IN ('user', 'database', 'database user') THEN '' ELSE '; SELECT pg_reload_conf()' END
FROM pg_settings WHERE name = 'default_transaction_read_only'
"""
_ELSEWHERE = """
SELECT 'in schema ' || n.nspname, CASE WHEN has_schema_privilege(n.oid, 'USAGE')
  THEN 'ALTER ROLE ' || quote_ident(session_user) || ' IN DATABASE ' || quote_ident(current_database())
    || ' SET search_path = ' || quote_ident(n.nspname)
  ELSE 'GRANT USAGE ON SCHEMA ' || quote_ident(n.nspname) || ' TO ' || quote_ident(current_user) END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = %s AND c.relkind = 'r' ORDER BY n.nspname = 'public' DESC LIMIT 1
"""
_SEQUENCES_NOT_ALLOWED = """
SELECT t.relname, 'GRANT USAGE ON SEQUENCE ' || quote_ident(s.relname) || ' TO ' || quote_ident(current_user)
FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.deptype IN ('a', 'i') JOIN pg_class t ON t.oid = d.refobjid
WHERE left(t.relname, 6) = 'likes_' AND pg_table_is_visible(t.oid)
  AND CASE s.relkind WHEN 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE') END
ORDER BY 1
"""


class PostgreSQL(Dialect):
    OLDEST = (12,)
    # 08 connection, 28 authorization, 3D000 no such database, 53 out of resources, 57P shutting down or starting,
    # 25006 a standby, 25P ended while idle or too long
    AWAY = ("08", "28", "3D000", "53", "57P", "25006", "25P03", "25P04")
    # serialization failure, deadlock, lock time-out, statement time-out
    TRANSIENT = ("40001", "40003", "40P01", "55P03", "57014")
    BAD_DATA = ("22",)
    MISSING_TABLE = ("42P01", "42703")
    NOT_PERMITTED = ("42501",)

    def code(self, error: DBAPIError) -> str:
        state = getattr(error.orig, "sqlstate", None)
        if isinstance(state, str):
            return state
        if isinstance(error, OperationalError | InterfaceError):  # libpq itself says that the connection is gone
            return "08000"
        return "22000" if isinstance(error, DataError) else ""  # psycopg itself refuses a value

    def elsewhere(self, connection: Connection, table: str) -> tuple[str, str] | None:
        row = connection.exec_driver_sql(_ELSEWHERE, (table,)).first()
        return (row[0], row[1]) if row else None

    def make_writable(self, connection: Connection) -> str:
        if connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar():
            return "name the primary in LIKES_DATABASE_URL: this is a standby"
        return str(connection.exec_driver_sql(_READ_ONLY_SET_BY).scalar_one())

    def grant(self, connection: Connection, right: str, table: str) -> str:
        user = connection.exec_driver_sql("SELECT quote_ident(current_user)").scalar_one()
        return f"GRANT {right} ON {table} TO {user}"

    def missing_sequence_rights(self, connection: Connection) -> list[tuple[str, str]]:
        return [(table, statement) for table, statement in connection.exec_driver_sql(_SEQUENCES_NOT_ALLOWED)]

    def add_to_totals(self, connection: Connection, deltas: Deltas, now: datetime) -> None:
        parameters = (now, "\n".join(deltas.counters), "\n".join(deltas.items), "\n".join(map(str, deltas.numbers)))
        connection.exec_driver_sql(_ADD_TO_TOTALS, parameters)

    def name_type(self, size: int) -> TypeEngine[Any]:
        return TEXT(collation="C")

    def moment_type(self) -> TypeEngine[Any]:
        return DateTime(timezone=True)

    def place(self, url: URL) -> str:
        return f"PostgreSQL at {host_and_port(url, 5432)}"

    def engine_options(self, timeout: float) -> dict[str, Any]:
        # PgBouncer: no start-up options, and no prepared statements, which live in another server connection next time.
        connect = {"connect_timeout": connect_seconds(timeout), "prepare_threshold": None}
        return {"isolation_level": "READ COMMITTED", "connect_args": connect}

    def begin(self, connection: Connection, *, write: bool, timeout: float) -> None:
        connection.exec_driver_sql(
            "SELECT set_config('statement_timeout', %(ms)s, true), set_config('lock_timeout', %(ms)s, true),"
            " set_config('idle_in_transaction_session_timeout', %(ms)s, true)",
            {"ms": str(ceil(timeout * 1000))},
        )

    def begin_lent(self, connection: Connection, *, timeout: float) -> None:
        self.begin(connection, write=False, timeout=timeout)

    def socket_to_watch(self, connection: Connection) -> int | None:
        raw: Any = connection.connection.dbapi_connection
        return int(raw.fileno())

    @contextmanager
    def migrating(self, connection: Connection) -> Iterator[None]:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext(%s))", (_LOCK,))
        yield
