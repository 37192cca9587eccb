"""What no session of ours can set is named: what may lose commits or items, and what keeps from writing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from likes.sql.dialects import Weakness
from likes.sql.engine import open_engine, writing
from likes.sql.health import read_weaknesses
from tests.servers import MariaDB, PostgreSQL
from tests.shell import Shell


@pytest.fixture
def own_postgres(postgres_server: PostgreSQL) -> Iterator[PostgreSQL]:
    server = PostgreSQL(durable=True, like=postgres_server)
    yield server.start()
    server.remove()


def weaknesses(url: str) -> dict[str, Weakness]:
    engine = open_engine(url, timeout=5)
    found = {weakness.name: weakness for weakness in read_weaknesses(engine)}
    engine.dispose()
    return found


def test_a_server_as_it_should_be_has_none(own_postgres: PostgreSQL, sqlite_url: str) -> None:
    assert weaknesses(own_postgres.url) == weaknesses(sqlite_url) == {}


def test_a_standby_and_torn_pages(own_postgres: PostgreSQL) -> None:
    own_postgres._execute("ALTER SYSTEM SET full_page_writes = off")
    own_postgres.stop()
    (own_postgres.data / "standby.signal").touch()
    own_postgres.start()
    found = weaknesses(own_postgres.url)
    assert found.keys() == {"full_page_writes", "standby"}
    assert "pages may be torn" in found["full_page_writes"].found
    assert found["standby"].keeps_from_writing
    engine = open_engine(own_postgres.url, timeout=5)
    with pytest.raises(Exception, match="only reads"), writing(engine) as connection:
        connection.execute(text("CREATE TABLE a (a int)"))
    engine.dispose()


def test_postgresql(postgres_server: PostgreSQL, postgres_url: str) -> None:
    assert weaknesses(postgres_url).keys() == {"fsync"}
    name = postgres_url.rsplit("/", 1)[1]
    postgres_server._execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    assert weaknesses(postgres_url)["read-only"].keeps_from_writing


def test_an_encoding_that_cannot_hold_all_items(postgres_server: PostgreSQL) -> None:
    postgres_server._execute("CREATE DATABASE weak_latin1 TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    try:
        assert "LATIN1" in weaknesses(postgres_server.url_of("weak_latin1"))["encoding"].found
    finally:
        postgres_server.drop("weak_latin1")


@pytest.mark.parametrize(
    ("setting", "value", "name", "keeps"),
    [
        ("innodb_flush_log_at_trx_commit", "2", "innodb_flush_log_at_trx_commit", False),
        ("read_only", "1", "read-only", False),
        ("tx_read_only", "1", "read-only", True),
    ],
)
def test_mariadb(mariadb_server: MariaDB, mariadb_url: str, setting: str, value: str, name: str, keeps: bool) -> None:
    with mariadb_server._connect() as connection, connection.cursor() as cursor:

        def set_all(**settings: Any) -> None:
            for each, it in settings.items():
                cursor.execute(f"SET GLOBAL {each} = {it}")

        set_all(innodb_flush_log_at_trx_commit=1)
        try:
            assert weaknesses(mariadb_url) == {}
            set_all(**{setting: value})
            assert {weak.name: weak.keeps_from_writing for weak in weaknesses(mariadb_url).values()} == {name: keeps}
        finally:
            set_all(innodb_flush_log_at_trx_commit=2, read_only=0, tx_read_only=0)


def test_sqlite_without_a_wal(tmp_path: Path) -> None:
    url = f"sqlite:///file:{tmp_path}/likes.db?uri=true&vfs=unix-dotfile"
    assert weaknesses(url).keys() == {"journal_mode"}


def test_check_says_so(postgres_server: PostgreSQL, postgres_url: str, valkey_url: str, tmp_path: Path) -> None:
    name = postgres_url.rsplit("/", 1)[1]
    postgres_server._execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    checked = Shell(tmp_path, redis_url=valkey_url, database_url=postgres_url)("check", "--json")
    levels = {finding["name"]: finding["level"] for finding in json.loads(checked.out)["findings"]}
    assert (levels["fsync"], levels["read-only"]) == ("warning", "error")
    assert checked.code == 1
