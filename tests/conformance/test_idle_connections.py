"""Connections that were closed while nobody used them: by the server, or by a firewall that tells nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from likes import LikeCounter
from likes.sql.dialects import dialect_of
from likes.sql.engine import open_engine, reading, writing
from likes.sql.lent import lent_engine
from likes.sql.schema import migrate
from likes.sql.urls import parse_url, url_of
from tests.rig import Rig
from tests.running_worker import RunningWorker
from tests.servers import MariaDB, PostgreSQL
from tests.shell import Shell
from tests.waiting import wait_until

SESSION = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}

BUSY = {
    "postgresql": """SELECT COUNT(*) FROM pg_stat_activity
                     WHERE pid <> pg_backend_pid() AND datname = current_database()
                     AND (state <> 'idle' OR state_change > now() - interval '1 second')""",
    "mysql": """SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()
                AND (command <> 'Sleep' OR time_ms < 1000)""",
}


@pytest.fixture(params=["postgres", "mariadb"])
def server(request: pytest.FixtureRequest) -> PostgreSQL | MariaDB:
    return request.getfixturevalue(f"{request.param}_server")


@pytest.fixture
def engine(server: PostgreSQL | MariaDB, request: pytest.FixtureRequest) -> Iterator[Engine]:
    kind = "postgres" if isinstance(server, PostgreSQL) else "mariadb"
    engine = open_engine(request.getfixturevalue(f"{kind}_url"), timeout=5)
    migrate(engine)
    yield engine
    engine.dispose()


def session(engine: Engine) -> int:
    """The server's number of the session that serves a read."""
    with reading(engine) as connection:
        number: int = connection.scalar(text(SESSION[engine.dialect.name.replace("mariadb", "mysql")]))
        return number


def close_all(server: PostgreSQL | MariaDB, engine: Engine) -> None:
    """As a server does after its time-out, or when it starts again."""
    name = engine.url.database
    assert name
    server.disconnect(name)
    if isinstance(server, MariaDB):
        with server._connect() as connection, connection.cursor() as cursor:

            def are_gone() -> bool:
                cursor.execute("SELECT COUNT(*) FROM information_schema.processlist WHERE db = %s", [name])
                return cursor.fetchone() == (0,)

            wait_until(are_gone)


def are_idle(engine: Engine) -> bool:
    """True once nobody else on this database has done anything for a second."""
    with reading(engine) as connection:
        busy: int = connection.scalar(text(BUSY[engine.dialect.name.replace("mariadb", "mysql")]))
        return busy == 0


def lent(engine: Engine) -> Engine:
    return lent_engine(create_engine(parse_url(url_of(engine))), timeout=5)


@pytest.mark.parametrize("of", [lambda engine: engine, lent], ids=["ours", "the application's"])
def test_a_connection_the_server_closed_costs_only_a_new_one(
    server: PostgreSQL | MariaDB, engine: Engine, of: Callable[[Engine], Engine]
) -> None:
    used = of(engine)
    before = session(used)
    assert session(used) == before
    close_all(server, used)
    assert session(used) != before
    used.dispose()


def test_all_connections_of_a_pool_may_be_closed(server: PostgreSQL | MariaDB, engine: Engine) -> None:
    with reading(engine), reading(engine), writing(engine):
        pass
    close_all(server, engine)
    with reading(engine) as one, reading(engine) as two, writing(engine) as three:
        assert [connection.scalar(text("SELECT 1")) for connection in (one, two, three)] == [1, 1, 1]


def test_a_connection_idle_for_long_is_not_trusted(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A firewall forgets it without a word, and whoever waits for an answer on it waits for long."""
    before = session(engine)
    monkeypatch.setattr(type(dialect_of(engine)), "IDLE_SECONDS", -1.0)
    assert session(engine) != before


def test_no_flush_and_no_read_fails(valkey_url: str, server: PostgreSQL | MariaDB, engine: Engine) -> None:
    with Rig(valkey_url, engine, shards=4) as rig:
        for count in (1, 2, 3):
            rig.likes.like("a")
            rig.flush()
            assert rig.likes.total("a") == count
            close_all(server, engine)
        assert rig.totals() == {"a": 3}


def test_nor_does_a_last_flush(valkey_url: str, server: PostgreSQL | MariaDB, engine: Engine, tmp_path: Path) -> None:
    shell = Shell(tmp_path, redis_url=valkey_url, database_url=url_of(engine), interval=300, flush_at_items=0)
    with LikeCounter(redis_url=valkey_url) as likes, RunningWorker(shell) as worker:
        likes.like("a")
        worker.wait_for("flushed")
        wait_until(lambda: are_idle(engine))
        likes.like("a")
        close_all(server, engine)
        assert worker.stop() == 0
        assert worker.said("trouble") == []
    with reading(engine) as connection:
        assert connection.scalar(text("SELECT total FROM likes_totals")) == 2


def test_a_forgotten_connection_of_an_application_is_left_to_its_pool(engine: Engine, monkeypatch: Any) -> None:
    used = lent(engine)
    before = session(used)
    monkeypatch.setattr(type(dialect_of(engine)), "IDLE_SECONDS", -1.0)
    assert session(used) == before
    used.dispose()
