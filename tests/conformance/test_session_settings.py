"""Whatever a server, a database, a role or the environment sets: what we depend on is set by us."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, text

from likes import LikeCounter
from likes.errors import DatabaseRefused, DatabaseUnavailable
from likes.sql.engine import open_engine, reading, writing
from likes.sql.schema import migrate
from likes.sql.urls import parse_url
from tests.rig import Rig
from tests.servers import MariaDB, PgBouncer, PostgreSQL

ITEMS = {"plain": 1, "é": 2, "😀": 3, "it's": 4, "\\": 5}


@pytest.fixture
def own_postgres(postgres_server: PostgreSQL) -> Iterator[PostgreSQL]:
    """One that waits for its disk, to kill."""
    server = PostgreSQL(durable=True, like=postgres_server)
    yield server.start()
    server.remove()


@contextmanager
def flushed(redis_url: str, database_url: str) -> Iterator[Rig]:
    """A rig on a database that is migrated first, after ITEMS were posted and flushed."""
    with ExitStack() as opened:
        engine = open_engine(database_url, timeout=10)
        opened.callback(engine.dispose)
        migrate(engine)
        rig = opened.enter_context(Rig(redis_url, engine))
        rig.likes.add(ITEMS)
        rig.flush()
        yield rig


def alter(server: PostgreSQL, url: str, **settings: str) -> None:
    """Settings for all sessions on a database that do not set them themselves."""
    name = url.rsplit("/", 1)[1]
    for setting, value in settings.items():
        server._execute(f"ALTER DATABASE \"{name}\" SET {setting} = '{value}'")


def of_encoding(server: PostgreSQL, name: str, encoding: str) -> str:
    """The URL of a new database."""
    server._execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
    return server.url_of(name)


def test_what_was_flushed_survives_a_kill_where_commits_are_not_to_wait_for_the_disk(
    valkey_url: str, own_postgres: PostgreSQL
) -> None:
    own_postgres._execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
    own_postgres._execute("SELECT pg_reload_conf()")
    alter(own_postgres, own_postgres.url, synchronous_commit="off")
    with flushed(valkey_url, own_postgres.url) as rig:
        own_postgres._execute("CHECKPOINT")
        rig.likes.like("plain", 100)
        rig.flush()
        own_postgres.kill()
        own_postgres.start()
        assert rig.totals() == ITEMS | {"plain": 101}


def test_a_stronger_wait_of_the_owner_stays(postgres_server: PostgreSQL, postgres_url: str) -> None:
    alter(postgres_server, postgres_url, synchronous_commit="remote_apply")
    engine = open_engine(postgres_url, timeout=5)
    with writing(engine) as connection:
        assert connection.scalar(text("SHOW synchronous_commit")) == "remote_apply"
    engine.dispose()


SETTINGS = {
    "client_encoding": ("LATIN1", "UTF8"),
    "DateStyle": ("German, DMY", "ISO, DMY"),
    "TimeZone": ("Asia/Kathmandu", "UTC"),
    "default_transaction_isolation": ("serializable", None),
    "synchronous_commit": ("off", "on"),
    "statement_timeout": ("1h", "5s"),
    "lock_timeout": ("1h", "5s"),
    "idle_in_transaction_session_timeout": ("1h", "5s"),
}


def test_postgresql_has_our_settings_in_each_transaction_and_its_own_between_them(
    postgres_server: PostgreSQL, postgres_url: str
) -> None:
    """So a pooler may give us another session each time, and its others see nothing of ours."""
    alter(postgres_server, postgres_url, **{name: value for name, (value, _) in SETTINGS.items()})
    engine = open_engine(postgres_url, timeout=5)
    with writing(engine) as connection:
        found = {name: connection.scalar(text(f"SHOW {name}")) for name in SETTINGS}
        assert connection.scalar(text("SHOW transaction_isolation")) == "read committed"
    assert found == {name: ours or value for name, (value, ours) in SETTINGS.items()}
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW synchronous_commit")) == "off"
        assert connection.scalar(text("SHOW statement_timeout")) == "1h"
    engine.dispose()


def test_settings_cost_no_round_trip(postgres_url: str, tmp_path: Path) -> None:
    """They go with BEGIN."""
    engine = open_engine(postgres_url, timeout=5)
    with writing(engine) as connection:
        raw: Any = connection.connection.dbapi_connection
    with (tmp_path / "trace").open("w") as trace:
        raw.pgconn.trace(trace.fileno())
        with writing(engine):
            pass
        engine.dispose()
    sent = re.findall(r"\tF\t\d+\t(\w+)\s+\"?(\w*)", (tmp_path / "trace").read_text())
    assert sent == [("Query", "BEGIN"), ("Query", "COMMIT"), ("Terminate", "")]


def test_a_session_that_others_left_their_settings_in(valkey_url: str, pgbouncer: PgBouncer, postgres_url: str) -> None:
    url = pgbouncer.url_of(postgres_url.rsplit("/", 1)[1])
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as stranger:
        with flushed(valkey_url, url) as rig:
            for name, (value, _) in SETTINGS.items():
                stranger.execute(f"SET {name} = '{value}'")
            stranger.execute("SET bytea_output = 'escape'; SET IntervalStyle = 'sql_standard'")
            rig.likes.add(ITEMS)
            rig.flush()
            assert rig.totals() == {item: 2 * count for item, count in ITEMS.items()}
            assert rig.ledger()[-1].payload
            with writing(rig.engine) as connection:
                assert connection.scalar(text("SHOW synchronous_commit")) == "on"
                assert connection.scalar(text("SHOW transaction_isolation")) == "read committed"
        assert stranger.execute("SHOW synchronous_commit").fetchone() == ("off",)


@pytest.mark.parametrize("client", ["LATIN1", "SQL_ASCII", "UTF8"])
@pytest.mark.parametrize("server", ["LATIN1", "SQL_ASCII", "UTF8"])
def test_any_encoding_of_a_database_and_of_the_environment(
    valkey_url: str, postgres_server: PostgreSQL, monkeypatch: pytest.MonkeyPatch, server: str, client: str
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", client)
    monkeypatch.setenv("PGDATESTYLE", "SQL, DMY")
    monkeypatch.setenv("PGTZ", "Asia/Kathmandu")
    name = f"test_{server}_{client}".lower()
    url = of_encoding(postgres_server, name, server)
    try:
        with flushed(valkey_url, url) as rig:
            held = {item: count for item, count in ITEMS.items() if server != "LATIN1" or item != "😀"}
            assert rig.totals() == held
            assert rig.set_aside() == ({} if held == ITEMS else {r"\U0001f600": 3})
            assert [letter.raw for letter in rig.dead_letters()] == ([] if held == ITEMS else ["😀".encode()])
            assert rig.likes.totals(ITEMS) == {item: held.get(item, 0) for item in ITEMS}
            assert abs(rig.cursor().updated_at - datetime.now(UTC)) < timedelta(minutes=1)
    finally:
        postgres_server.drop(name)


def test_one_item_the_encoding_cannot_hold_does_not_keep_its_batch_from_being_set_aside(
    valkey_url: str, postgres_server: PostgreSQL
) -> None:
    url = of_encoding(postgres_server, "test_latin1", "LATIN1")
    try:
        with flushed(valkey_url, url) as rig:
            copy = rig.copy_redis()
            rig.flush()
            rig.likes.add(ITEMS)
            rig.flush()
            rig.restore_redis(copy)
            rig.likes.add(ITEMS)
            rig.flush()
            rig.flush()
            assert sum(rig.set_aside().values()) + sum(rig.totals().values()) == 3 * sum(ITEMS.values())
    finally:
        postgres_server.drop("test_latin1")


@pytest.mark.parametrize("options", [{}, {"isolation_level": "AUTOCOMMIT"}], ids=["plain", "autocommit"])
@pytest.mark.parametrize("encoding", ["LATIN1", "UTF8"])
def test_an_engine_of_the_applications_may_have_any_encoding(
    valkey_url: str, postgres_url: str, encoding: str, options: dict[str, Any]
) -> None:
    with flushed(valkey_url, postgres_url) as rig:
        connect = {"client_encoding": encoding, "options": "-c DateStyle=SQL,DMY"}
        application = create_engine(parse_url(postgres_url), connect_args=connect, **options)
        with LikeCounter(redis_url=rig.places.redis, engine=application, shards=1) as likes:
            assert likes.totals(ITEMS) == ITEMS
        with application.connect() as connection:
            assert connection.scalar(text("SHOW client_encoding")) == encoding
        application.dispose()


def test_a_database_that_only_reads_is_named(valkey_url: str, postgres_server: PostgreSQL, postgres_url: str) -> None:
    """That is the owner's will."""
    with flushed(valkey_url, postgres_url) as rig:
        alter(postgres_server, postgres_url, default_transaction_read_only="on")
        rig.engine.dispose()
        said = "only reads: .*read-only transaction"
        with pytest.raises(DatabaseUnavailable, match=said), writing(rig.engine) as connection:
            connection.execute(text("UPDATE likes_totals SET total = 0"))


@pytest.fixture
def hostile_mariadb(mariadb_server: MariaDB) -> Iterator[None]:
    """Settings for all new sessions that break statements, their results or what COMMIT means."""
    settings = {
        "sql_mode": "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,EMPTY_STRING_IS_NULL,PIPES_AS_CONCAT",
        "sql_select_limit": 1,
        "sql_safe_updates": 1,
        "completion_type": "RELEASE",
        "time_zone": "+05:45",
        "tx_isolation": "SERIALIZABLE",
        "lock_wait_timeout": 86400,
        "character_set_server": "latin1",
        "collation_connection": "latin1_swedish_ci",
    }
    with mariadb_server._connect() as connection, connection.cursor() as cursor:
        before = {}
        for name, value in settings.items():
            cursor.execute(f"SELECT @@GLOBAL.{name}")
            before[name] = cursor.fetchone()[0]
            cursor.execute(f"SET GLOBAL {name} = %s", [value])
        yield
        for name, value in before.items():
            cursor.execute(f"SET GLOBAL {name} = %s", [value])


def test_mariadb_with_hostile_settings(valkey_url: str, hostile_mariadb: None, mariadb_url: str) -> None:
    with flushed(valkey_url, mariadb_url) as rig:
        rig.likes.add(ITEMS)
        rig.flush()
        assert rig.totals() == {item: 2 * count for item, count in ITEMS.items()}
        assert rig.likes.totals(ITEMS) == rig.totals()
        assert rig.incidents() == []


def lent(url: str, **connect: Any) -> Engine:
    return create_engine(parse_url(url), connect_args=connect)


def test_names_on_an_engine_where_pymysql_cannot_quote_them_are_refused_not_injected(
    valkey_url: str, mariadb_url: str
) -> None:
    with flushed(valkey_url, mariadb_url) as rig:
        for engine, said in (
            (lent(mariadb_url, sql_mode="NO_BACKSLASH_ESCAPES"), "NO_BACKSLASH_ESCAPES"),
            (lent(mariadb_url, charset="gbk"), "charset is gbk"),
        ):
            with (
                LikeCounter(redis_url=rig.places.redis, engine=engine, shards=1) as likes,
                pytest.raises(DatabaseRefused, match=said),
            ):
                likes.total("€' OR 1=1 -- ")
            engine.dispose()


def test_names_on_an_engine_of_another_encoding_are_read_as_they_are(valkey_url: str, mariadb_url: str) -> None:
    with flushed(valkey_url, mariadb_url) as rig:
        engine = lent(mariadb_url, charset="latin1", init_command="SET sql_mode = 'ANSI_QUOTES'")
        with LikeCounter(redis_url=rig.places.redis, engine=engine, shards=1) as likes:
            assert likes.totals(ITEMS) == ITEMS
        engine.dispose()


def test_reading_what_the_database_refuses_is_an_error_of_ours(postgres_url: str, mariadb_url: str) -> None:
    for url, statement in ((postgres_url, "SELECT 1 / 0"), (mariadb_url, "SELECT 9223372036854775807 + 1")):
        engine = open_engine(url, timeout=5)
        with pytest.raises(DatabaseRefused), reading(engine) as connection:
            connection.execute(text(statement))
        engine.dispose()
