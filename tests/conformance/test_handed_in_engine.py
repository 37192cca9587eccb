"""An engine of the application's own: totals are read on it, and the application sees no difference."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, NullPool, create_engine, event, text

from likes import AsyncLikeCounter, DatabaseUnavailable, InvalidInput, LikeCounter
from likes.errors import SchemaOutdated
from likes.sql.engine import reading
from likes.sql.lent import lent_engine
from likes.sql.urls import parse_url
from tests.databases import Shelf
from tests.rig import Rig
from tests.servers import MariaDB

ENGINES: dict[str, dict[str, Any]] = {
    "plain": {},
    "autocommit": {"isolation_level": "AUTOCOMMIT"},
    "serializable": {"isolation_level": "SERIALIZABLE"},
    "no pool": {"poolclass": NullPool},
    "one connection": {"pool_size": 1, "max_overflow": 0},
}


@pytest.fixture
def rig(valkey_url: str, engine: Engine) -> Iterator[Rig]:
    """With 3 likes of `a` flushed and 4 pending."""
    with Rig(valkey_url, engine) as rig:
        rig.likes.like("a", 3)
        rig.flush()
        rig.likes.like("a", 4)
        yield rig


@pytest.mark.parametrize("name", ENGINES)
def test_totals_are_read_on_any_engine(rig: Rig, migrated_url: str, name: str) -> None:
    application = create_engine(parse_url(migrated_url), **ENGINES[name])
    with application.connect() as connection:
        level = connection.get_isolation_level()
    with LikeCounter(redis_url=rig.places.redis, engine=application, shards=1) as likes:
        assert likes.live(["a"])["a"] == (7, 3, 0, 4, True, None)
    with application.connect() as connection:
        assert connection.get_isolation_level() == level
    application.dispose()


def test_the_application_goes_on_with_its_connections(rig: Rig, migrated_url: str) -> None:
    application = create_engine(parse_url(migrated_url), pool_size=1, max_overflow=0, echo=False)
    before, options, pool = raw_connection(application), application.get_execution_options(), application.pool
    with LikeCounter(redis_url=rig.places.redis, engine=application, shards=1) as likes:
        assert likes.total("a") == 7
    assert raw_connection(application) is before
    assert (application.get_execution_options(), application.pool) == (options, pool)
    with application.connect() as connection:
        assert connection.execute(text("SELECT total FROM likes_totals")).scalar_one() == 3
    application.dispose()


def test_totals_are_read_on_it_by_asyncio_too(rig: Rig, migrated_url: str) -> None:
    application = create_engine(parse_url(migrated_url))

    async def main() -> None:
        async with AsyncLikeCounter(redis_url=rig.places.redis, engine=application, shards=1) as likes:
            assert await likes.totals(["a", "b"]) == {"a": 7, "b": 0}

    asyncio.run(main())
    application.dispose()


def raw_connection(engine: Engine) -> object:
    with engine.connect() as connection:
        return connection.connection.dbapi_connection


def test_an_engine_of_sqlite_may_begin_its_transactions_by_itself(valkey_url: str, sqlite_engine: Engine) -> None:
    """As SQLAlchemy's documentation proposes, for transactions that hold."""
    application = create_engine(sqlite_engine.url)

    @event.listens_for(application, "connect")
    def leave_it_to_us(connection: Any, _: object) -> None:
        connection.isolation_level = None

    @event.listens_for(application, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    with LikeCounter(redis_url=valkey_url, engine=application) as likes:
        likes.like("a", 2)
        assert likes.total("a") == 2
    application.dispose()


def test_a_schema_that_is_missing_is_said_to_be(valkey_url: str, sqlite_url: str) -> None:
    application = create_engine(sqlite_url)
    with LikeCounter(redis_url=valkey_url, engine=application) as likes:
        likes.like("a")
        with pytest.raises(SchemaOutdated, match="likes migrate"):
            likes.total("a")
    application.dispose()


def test_a_pool_without_a_free_connection_is_named_with_its_own_time_out(
    valkey_url: str, sqlite_engine: Engine
) -> None:
    application = create_engine(sqlite_engine.url, pool_size=1, max_overflow=0, pool_timeout=0.1)
    with (
        application.connect(),
        LikeCounter(redis_url=valkey_url, engine=application) as likes,
        pytest.raises(DatabaseUnavailable, match=r"no connection was free within 0\.1 s"),
    ):
        likes.total("a")
    application.dispose()


def test_a_server_that_is_frozen_is_broken_off_from_without_a_time_out_of_the_drivers(
    mariadb_server: MariaDB, mariadb_shelf: Shelf
) -> None:
    with mariadb_shelf.lent() as url:
        application = create_engine(parse_url(url))
        engine = lent_engine(application, timeout=0.5)
        with reading(engine):
            pass
        mariadb_server.pause()
        try:
            with (
                pytest.raises(DatabaseUnavailable, match=r"did not finish a transaction within 0\.5 s"),
                reading(engine) as connection,
            ):
                connection.execute(text("SELECT 1"))
        finally:
            mariadb_server.resume()
        application.dispose()


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ("sqlite:////likes.db", "is of type str"),
        (create_engine("sqlite://"), "in memory"),
        (create_engine("sqlite:///file:likes?mode=memory&uri=true", poolclass=NullPool), "in memory"),
        (create_engine("postgresql+psycopg_async://u:s3cret@h/d"), "asyncio"),
        (create_engine("mysql+mysqldb://u:s3cret@h/d", module=__import__("pymysql")), r"mysql\+mysqldb"),
    ],
)
def test_an_engine_that_cannot_be_used_is_refused(engine: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=f"engine .*{said}.*; pass a synchronous Engine .*database_url") as refused:
        LikeCounter(redis_url="redis://127.0.0.1:1", engine=engine)
    assert "s3cret" not in str(refused.value)
