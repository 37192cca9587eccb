"""MySQL and MariaDB, through PyMySQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import chain
from math import ceil
from typing import Any

from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from likes.config.url_options import FLAGS
from likes.deltas import Deltas
from likes.errors import DatabaseRefused
from likes.forks import whole
from likes.sql.dialects.dialect import Dialect, Weakness, connect_seconds, has_spoken, host_and_port

# Each server reads the comment meant for it: MariaDB knows max_statement_time, MySQL max_execution_time.
_SET_UP = (
    "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', completion_type = 0,"
    " sql_select_limit = 18446744073709551615, sql_big_selects = 1, sql_safe_updates = 0,"
    " innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds}"
    " /*M!100300 , max_statement_time = {timeout}, idle_transaction_timeout = {seconds} */"
    " /*!50708 , max_execution_time = {ms} */"
)
_LOCK = "LEFT(CONCAT('likes migrate ', DATABASE()), 64)"

_NO_CONNECTION = (0, 2002, 2003, 2005, 2006, 2013, 2014, 2026, 2055, 1158, 1159, 1160, 1161, 1927, 4031)
_NOT_ADMITTED = (1040, 1042, 1043, 1044, 1045, 1047, 1049, 1053, 1129, 1130, 1203, 1226)
_READ_ONLY = (1290, 1792, 1836)
_FULL = (1021, 1114)  # the disk or the table
# Rights, names, syntax, no such routine, a trigger's own mistakes.
_NOT_OF_A_ROW = (1064, 1142, 1143, 1227, 1305, 1318, 1370, 1422, 1442, 1449, 1665)


_ADD_TO_TOTALS = """
INSERT INTO likes_totals (counter, item, total, updated_at) VALUES {rows}
ON DUPLICATE KEY UPDATE total = total + VALUES(total), updated_at = VALUES(updated_at)
"""
_ADD_NOTHING = """
INSERT INTO likes_totals (counter, item, total, updated_at) SELECT '', '', 0, '2000-01-01' FROM DUAL WHERE 1 = 0
ON DUPLICATE KEY UPDATE total = total + VALUES(total), updated_at = VALUES(updated_at)
"""

_LOST = {  # what has to be 1 or ON; else, after a power cut
    "innodb_flush_log_at_trx_commit": "commits of the last second may be gone",
    "innodb_doublewrite": "pages may be torn",
    "sync_binlog": "replicas and backups may lack commits",
}
_NO_BACKSLASH_ESCAPES = 0x200  # of the status that comes with each answer
_TLS = {  # option of a URL -> what PyMySQL calls it
    "ssl_ca": "ca",
    "ssl_capath": "capath",
    "ssl_cert": "cert",
    "ssl_key": "key",
    "ssl_key_password": "password",
    "ssl_cipher": "cipher",
    "ssl_verify_cert": "verify_mode",
}
_UNSAFE_CHARSETS = ("big5", "cp932", "gb18030", "gbk", "sjis")  # a character may end with the byte of a backslash


class MySQL(Dialect):
    """Both of them; `kind` is the name to show."""

    OLDEST = (5, 7)  # of MySQL; all numbers of MariaDB are larger
    AWAY = tuple(map(str, _NO_CONNECTION + _NOT_ADMITTED + _READ_ONLY + _FULL))
    # changed since read, commit failed, lock time-out, deadlock, interrupted, statement time-outs, group replication
    TRANSIENT = ("1020", "1180", "1205", "1213", "1317", "1969", "3024", "3101")
    READ_ONLY = tuple(map(str, _READ_ONLY))
    BAD_DATA = ("1264", "1265", "1292", "1300", "1366", "1367", "1406", "1690")
    NOT_OF_A_ROW = tuple(map(str, _NOT_OF_A_ROW))
    MISSING_TABLE = ("1146", "1054")
    CLOCK = "UTC_TIMESTAMP(6)"
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

    def weaknesses(self, connection: Connection) -> Iterator[Weakness]:
        asked = (*_LOST, "log_bin", "binlog_format", "read_only", "tx_read_only", "transaction_read_only")
        named = ", ".join(f"'{name}'" for name in asked)
        rows = connection.exec_driver_sql(f"SHOW VARIABLES WHERE Variable_name IN ({named})")
        found = {row[0]: row[1] for row in rows}
        has_log = found.get("log_bin") == "ON"
        for name, loss in _LOST.items():
            if found.get(name, "1") not in ("1", "ON", "DETECT_AND_RECOVER") and (has_log or name != "sync_binlog"):
                fix = f"{name} = 1 in its configuration, and start it again"
                yield Weakness(name, f"{name} is {found[name]}: after a power cut {loss}", fix)
        if has_log and found.get("binlog_format") == "STATEMENT":
            why = "binlog_format is STATEMENT, which refuses all writes of READ COMMITTED"
            yield Weakness(
                "binlog_format", why, "SET GLOBAL binlog_format = 'ROW'; and the same in its configuration", True
            )
        for name in ("read_only", "tx_read_only", "transaction_read_only"):
            if found.get(name, "OFF") not in ("OFF", "0"):
                why = f"{name} is {found[name]}: nothing can be counted without a right to write all the same"
                fix = self.make_writable(connection)
                yield Weakness("read-only", why, fix, keeps_from_writing=name != "read_only")
                break

    def add_to_totals(self, connection: Connection, deltas: Deltas, now: datetime) -> None:
        # The moment stands in the text because PyMySQL takes long to quote one. MariaDB has only VALUES().
        row = f"(%s, %s, %s, '{now:%Y-%m-%d %H:%M:%S.%f}')"
        rows = ", ".join([row] * len(deltas))
        connection.exec_driver_sql(_ADD_TO_TOTALS.format(rows=rows), tuple(chain.from_iterable(deltas)))

    def add_nothing(self, connection: Connection) -> None:
        connection.exec_driver_sql(_ADD_NOTHING)

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

    def engine_options(self, url: URL, timeout: float) -> dict[str, Any]:
        seconds = max(1, ceil(timeout))
        connect: dict[str, Any] = {
            **_tls(url),
            "charset": "utf8mb4",
            "connect_timeout": connect_seconds(url, timeout),
            "read_timeout": seconds + 1,  # after the server's own time-outs
            "write_timeout": seconds + 1,
            "init_command": _SET_UP.format(seconds=seconds, timeout=timeout, ms=ceil(timeout * 1000)),
        }
        return {"isolation_level": "READ COMMITTED", "connect_args": connect}

    def begin_lent(self, connection: Connection, *, timeout: float) -> None:
        raw: Any = connection.connection.dbapi_connection
        if raw.charset in _UNSAFE_CHARSETS:
            raise _quotes_wrongly(f"charset is {raw.charset}")
        if raw.server_status & _NO_BACKSLASH_ESCAPES:
            raise _quotes_wrongly("sql_mode has NO_BACKSLASH_ESCAPES")

    def prepare(self, engine: Engine) -> None:
        import pymysql

        @event.listens_for(engine, "do_connect")
        def connect(_dialect: object, _record: object, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
            with whole:  # OpenSSL has locks of its own, which a child would find taken for ever
                connection = pymysql.connect(*arguments, **options, defer_connect=True)
            connection.connect()
            return connection

    def socket_to_watch(self, connection: Connection) -> int | None:
        raw: Any = connection.connection.dbapi_connection
        # Engines of ours have a read time-out; PyMySQL has no public name for it, nor for the socket.
        return None if raw._read_timeout else int(raw._sock.fileno())  # noqa: SLF001 (see above)

    def is_over(self, connection: Connection) -> bool:
        raw: Any = connection.connection.dbapi_connection
        return not raw.open or has_spoken(raw._sock.fileno())  # noqa: SLF001 (as above)

    @contextmanager
    def migrating(self, connection: Connection) -> Iterator[None]:
        # A lock of the session: every CREATE TABLE commits. A second at a time, within any time-out of a statement.
        while not connection.exec_driver_sql(f"SELECT GET_LOCK({_LOCK}, 1)").scalar():
            pass
        try:
            yield
        finally:
            connection.exec_driver_sql(f"SELECT RELEASE_LOCK({_LOCK})")


def _tls(url: URL) -> dict[str, Any]:
    """The options on TLS, put together: PyMySQL takes the text `false` for true, and SQLAlchemy hands it a part of them
    in a way in which it forgets the others.
    """
    given = {name: value for name, value in url.query.items() if name.startswith("ssl_") and isinstance(value, str)}
    if not given:
        return {}
    alone = dict.fromkeys(("ssl_disabled", "ssl_key_password", "ssl_verify_cert", "ssl_verify_identity"))
    if FLAGS[given.get("ssl_disabled", "no").lower()]:
        return {**alone, "ssl_disabled": True}
    tls: dict[str, Any] = {key: given[name] for name, key in _TLS.items() if name in given}
    named = given.get("ssl_verify_identity", given.get("ssl_check_hostname"))
    if named is not None:
        tls["check_hostname"] = FLAGS[named.lower()]
    if "verify_mode" in tls or tls.get("check_hostname"):
        tls["verify_mode"] = tls.get("check_hostname") or FLAGS[tls["verify_mode"].lower()]
    return {**alone, "ssl": tls}


def _quotes_wrongly(why: str) -> DatabaseRefused:
    return DatabaseRefused(f"the engine's {why}: PyMySQL cannot quote names safely there; change that, or pass a URL")
