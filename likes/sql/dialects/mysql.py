"""MySQL and MariaDB, through PyMySQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from inspect import signature
from itertools import chain
from math import ceil
from typing import Any

from sqlalchemy import URL, Connection
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from likes.deltas import Deltas
from likes.sql.dialects.dialect import Dialect, connect_seconds, host_and_port

# Each server reads the comment meant for it: MariaDB knows max_statement_time, MySQL max_execution_time.
_SET_UP = (
    "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', innodb_lock_wait_timeout = {seconds}"
    " /*M!100300 , max_statement_time = {timeout}, idle_transaction_timeout = {seconds} */"
    " /*!50708 , max_execution_time = {ms} */"
)
_LOCK = "LEFT(CONCAT('likes migrate ', DATABASE()), 64)"

_NO_CONNECTION = (0, 2002, 2003, 2005, 2006, 2013, 2014, 2026, 2055, 1158, 1159, 1160, 1161, 1927, 4031)
_NOT_ADMITTED = (1040, 1042, 1043, 1044, 1045, 1047, 1049, 1053, 1129, 1130, 1203, 1226)
_NO_WRITES = (1021, 1114, 1290, 1792, 1836)  # disk or table full, read-only


_ADD_TO_TOTALS = """
INSERT INTO likes_totals (counter, item, total, updated_at) VALUES {rows}
ON DUPLICATE KEY UPDATE total = total + VALUES(total), updated_at = VALUES(updated_at)
"""


class MySQL(Dialect):
    """Both of them; `kind` is the name to show."""

    OLDEST = (5, 7)  # of MySQL; all numbers of MariaDB are larger
    AWAY = tuple(map(str, _NO_CONNECTION + _NOT_ADMITTED + _NO_WRITES))
    # changed since read, commit failed, lock time-out, deadlock, interrupted, statement time-outs, group replication
    TRANSIENT = ("1020", "1180", "1205", "1213", "1317", "1969", "3024", "3101")
    BAD_DATA = ("1264", "1265", "1292", "1300", "1366", "1367", "1406", "1690")
    MISSING_TABLE = ("1146", "1054")
    NOT_PERMITTED = ("1142", "1143", "1227")

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def code(self, error: DBAPIError) -> str:
        arguments = error.orig.args if error.orig else ()
        return str(arguments[0]) if arguments else "0"

    def make_writable(self, connection: Connection) -> str:
        names = "('read_only', 'super_read_only', 'tx_read_only', 'transaction_read_only')"
        query = f"SHOW GLOBAL VARIABLES WHERE Variable_name IN {names} AND Value <> 'OFF'"
        on = [row[0] for row in connection.exec_driver_sql(query)]
        return (
            "; ".join(f"SET GLOBAL {name} = OFF" for name in on) or "see what makes it read-only, such as a full disk"
        )

    def grant(self, connection: Connection, right: str, table: str) -> str:
        user, host, database = connection.exec_driver_sql(
            "SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', 1), SUBSTRING_INDEX(CURRENT_USER(), '@', -1), DATABASE()"
        ).one()
        return f"GRANT {right} ON `{database}`.{table} TO '{user}'@'{host}'"

    def add_to_totals(self, connection: Connection, deltas: Deltas, now: datetime) -> None:
        # The moment stands in the text because PyMySQL takes long to quote one. MariaDB has only VALUES().
        row = f"(%s, %s, %s, '{now:%Y-%m-%d %H:%M:%S.%f}')"
        rows = ", ".join([row] * len(deltas))
        connection.exec_driver_sql(_ADD_TO_TOTALS.format(rows=rows), tuple(chain.from_iterable(deltas)))

    def name_type(self, size: int) -> TypeEngine[Any]:
        return mysql.VARBINARY(size)  # any collation of text folds something: trailing spaces, if not case

    def store_name(self, name: str) -> bytes:
        return name.encode()

    def moment_type(self) -> TypeEngine[Any]:
        return mysql.DATETIME(fsp=6)

    def store_moment(self, moment: datetime) -> datetime:
        return moment.replace(tzinfo=None)

    def place(self, url: URL) -> str:
        return f"{self.kind} at {url.query.get('unix_socket') or host_and_port(url, 3306)}"

    def unknown_parameters(self, url: URL) -> set[str]:
        import pymysql

        return {*url.query} - {*signature(pymysql.connect).parameters, "ssl_capath", "ssl_cipher", "ssl_check_hostname"}

    def engine_options(self, timeout: float) -> dict[str, Any]:
        seconds = max(1, ceil(timeout))
        connect = {
            "charset": "utf8mb4",
            "connect_timeout": connect_seconds(timeout),
            "read_timeout": seconds + 1,  # after the server's own time-outs
            "write_timeout": seconds + 1,
            "init_command": _SET_UP.format(seconds=seconds, timeout=timeout, ms=ceil(timeout * 1000)),
        }
        return {"isolation_level": "READ COMMITTED", "connect_args": connect}

    def socket_to_watch(self, connection: Connection) -> int | None:
        raw: Any = connection.connection.dbapi_connection
        # Engines of ours have a read time-out; PyMySQL has no public name for it, nor for the socket.
        return None if raw._read_timeout else int(raw._sock.fileno())  # noqa: SLF001 (see above)

    @contextmanager
    def migrating(self, connection: Connection) -> Iterator[None]:
        # A lock of the session: every CREATE TABLE commits. A second at a time, within any time-out of a statement.
        while not connection.exec_driver_sql(f"SELECT GET_LOCK({_LOCK}, 1)").scalar():
            pass
        try:
            yield
        finally:
            connection.exec_driver_sql(f"SELECT RELEASE_LOCK({_LOCK})")
