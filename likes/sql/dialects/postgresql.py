"""PostgreSQL, through psycopg."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from math import ceil
from typing import Any, ClassVar

from sqlalchemy import TEXT, URL, Connection, DateTime
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.types import TypeEngine

from likes.deltas import Deltas
from likes.sql.dialects.dialect import (
    COUNTING_ROWS,
    Dialect,
    Weakness,
    connect_seconds,
    has_spoken,
    host_and_port,
    require_all,
)

# Names hold no control characters, so each column goes as one text, joined here and split by the server: psycopg takes
# three times as long to make an array, in Python, while holding up the other flush threads.
_ADD_TO_TOTALS = r"""
INSERT INTO likes_totals AS t (counter, item, total, updated_at)
SELECT counter, item, delta::bigint, %s
FROM unnest(string_to_array(%s, E'\n'), string_to_array(%s, E'\n'), string_to_array(%s, E'\n'))
  AS added (counter, item, delta)
ON CONFLICT (counter, item) DO UPDATE SET total = t.total + excluded.total, updated_at = excluded.updated_at
"""

# What our statements, how their results are read, or how long a commit lasts depend on, whatever the server, the
# database, the role or the environment say. In every transaction: a pooler may give us another session each time.
_SETTINGS = """
SELECT set_config('statement_timeout', '{ms}', true), set_config('lock_timeout', '{ms}', true),
  set_config('idle_in_transaction_session_timeout', '{ms}', true),
  set_config('client_encoding', 'UTF8', true), set_config('DateStyle', 'ISO', true), set_config('TimeZone', 'UTC', true)
"""
_DURABLE = """,
  set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply'
    ELSE 'on' END, true)
"""

_LOST = {  # has to be on; else
    "fsync": "commits may be gone and the database damaged",
    "full_page_writes": "pages may be torn",
}

_LOCK = "likes migrate"
_ISOLATION_OPTION = "likes_isolation"

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
    READ_ONLY = ("25006",)
    BAD_DATA = ("22",)
    # not supported, state of the transaction, rights and names, state of an object, of the system, foreign servers
    NOT_OF_A_ROW = ("0A", "25", "42", "55", "58", "F0", "HV", "XX")
    MISSING_TABLE = ("42P01", "42703")
    SNAPSHOT: ClassVar[Mapping[str, Any]] = {_ISOLATION_OPTION: "REPEATABLE READ"}
    NOT_PERMITTED = ("42501",)
    # Where PostgreSQL raises what an owner wrote, whatever code it is given: RAISE, a row's policy, a view's check.
    OF_THE_OWNER = ("exec_stmt_raise", "ExecWithCheckOptions")
    CLOCK = "clock_timestamp()"

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

    def may_be_of_a_row(self, error: DBAPIError) -> bool:
        return super().may_be_of_a_row(error) or _raised_by(error) in self.OF_THE_OWNER

    def is_missing_table(self, error: DBAPIError) -> bool:
        return super().is_missing_table(error) and not getattr(_diagnosis(error), "context", None)  # not in a trigger

    def weaknesses(self, connection: Connection) -> Iterator[Weakness]:
        names = (*_LOST, "server_encoding", "transaction_read_only")
        shown = ", ".join(f"current_setting('{name}')" for name in names)
        *values, is_standby = connection.exec_driver_sql(f"SELECT {shown}, pg_is_in_recovery()").one()
        found = dict(zip(names, values, strict=True))
        for name, loss in _LOST.items():
            if found[name] != "on":
                fix = f"ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf()"
                yield Weakness(name, f"{name} is {found[name]}: after a power cut {loss}", fix)
        if (encoding := found["server_encoding"]) not in ("UTF8", "SQL_ASCII"):
            lost = f"the database's encoding is {encoding}: items it cannot hold become dead letters"
            yield Weakness("encoding", lost, "move to a database made with ENCODING 'UTF8'")
        if is_standby:
            yield Weakness(
                "standby", "it is a standby, which only reads", "name the primary in LIKES_DATABASE_URL", True
            )
        elif found["transaction_read_only"] == "on":
            why = "default_transaction_read_only is on for this role, database or server: nothing can be counted"
            yield Weakness("read-only", why, self.make_writable(connection), True)

    def add_to_totals(self, connection: Connection, deltas: Deltas, now: datetime) -> None:
        parameters = (now, "\n".join(deltas.counters), "\n".join(deltas.items), "\n".join(map(str, deltas.numbers)))
        added = connection.exec_driver_sql(_ADD_TO_TOTALS, parameters, execution_options=COUNTING_ROWS)
        require_all(added.rowcount, deltas)

    def add_nothing(self, connection: Connection) -> None:
        self.add_to_totals(connection, Deltas(), datetime.now(UTC))

    def check_constraints_at_once(self, connection: Connection) -> None:
        connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")

    def name_type(self, size: int) -> TypeEngine[Any]:
        return TEXT(collation="C")

    def moment_type(self) -> TypeEngine[Any]:
        return DateTime(timezone=True)

    def place(self, url: URL) -> str:
        return f"PostgreSQL at {host_and_port(url, 5432)}"

    def engine_options(self, url: URL, timeout: float) -> dict[str, Any]:
        # PgBouncer: no start-up options, and no prepared statements, which live in another server connection next time.
        connect = {
            "client_encoding": "utf8",  # SQLAlchemy reads the version before it lets us set anything
            "connect_timeout": connect_seconds(url, timeout),
            "prepare_threshold": None,
        }
        # As far as psycopg knows: it would send BEGIN by itself, in a round trip of its own.
        return {"isolation_level": "AUTOCOMMIT", "connect_args": connect}

    def begin(self, connection: Connection, *, write: bool, timeout: float) -> None:
        isolation = connection.get_execution_options().get(_ISOLATION_OPTION, "READ COMMITTED")
        _begin(connection, f"BEGIN ISOLATION LEVEL {isolation};", timeout, _DURABLE if write else "")

    def begin_lent(self, connection: Connection, *, timeout: float) -> None:
        raw: Any = connection.connection.dbapi_connection
        _begin(connection, "BEGIN;" if raw.autocommit else "", timeout, "")

    def socket_to_watch(self, connection: Connection) -> int | None:
        raw: Any = connection.connection.dbapi_connection
        return int(raw.fileno())

    def is_over(self, connection: Connection) -> bool:
        raw: Any = connection.connection.dbapi_connection
        return bool(raw.closed) or has_spoken(raw.fileno())

    @contextmanager
    def migrating(self, connection: Connection) -> Iterator[None]:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext(%s))", (_LOCK,))
        yield


def _begin(connection: Connection, begin: str, timeout: float, more: str) -> None:
    settings = _SETTINGS.format(ms=ceil(timeout * 1000)) + more
    connection.exec_driver_sql(begin + settings, execution_options={"no_parameters": True})  # else only one statement


def _diagnosis(error: DBAPIError) -> object:
    return getattr(error.orig, "diag", None)


def _raised_by(error: DBAPIError) -> str:
    """Where in its own code PostgreSQL raised an error."""
    return str(getattr(_diagnosis(error), "source_function", ""))
