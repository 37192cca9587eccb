"""What differs between the databases. Only this folder names them; all else asks a `Dialect` for what it can do."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.engine import Dialect as Driver

from likes.sql.dialects.dialect import Dialect, Weakness
from likes.sql.dialects.mysql import MySQL
from likes.sql.dialects.postgresql import PostgreSQL
from likes.sql.dialects.sqlite import SQLite
from likes.sql.dialects.variants import BIG_INTEGER, BLOB, EVERY_TABLE, KEYED_TABLE, UPDATED_TABLE

__all__ = [
    "BIG_INTEGER",
    "BLOB",
    "DRIVERS",
    "EVERY_TABLE",
    "KEYED_TABLE",
    "UPDATED_TABLE",
    "Dialect",
    "Weakness",
    "dialect_of",
]

_DIALECTS: Mapping[str, Dialect] = {
    "postgresql": PostgreSQL(),
    "mysql": MySQL("MySQL"),
    "mariadb": MySQL("MariaDB"),
    "sqlite": SQLite(),
}

# What a database URL may begin with -> what SQLAlchemy calls the driver.
DRIVERS: Mapping[str, str] = {
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mysql+pymysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "mariadb+pymysql": "mariadb+pymysql",
    "sqlite": "sqlite+pysqlite",
    "sqlite+pysqlite": "sqlite+pysqlite",
}


def dialect_of(database: URL | Engine | Connection | Driver) -> Dialect:
    """The dialect of a URL, an engine, a connection, or of SQLAlchemy's own `dialect` of them."""
    if isinstance(database, URL):
        return _DIALECTS[database.get_backend_name()]
    return _DIALECTS[(database if isinstance(database, Driver) else database.dialect).name]
