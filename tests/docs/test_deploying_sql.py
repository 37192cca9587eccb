"""docs/deploying.md: the rights in a database are enough for all there is to do, none is too many; and joins by key."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine, NullPool, create_engine, delete, text

from likes import LikeCounter, LikesError
from likes.async_session_store import AsyncSessionStore
from likes.connect import Places
from likes.metrics.looking import Look
from likes.reports.overview import OverviewReader
from likes.sessions.session import Life
from likes.sql.engine import open_engine, writing
from likes.sql.ledger import Ledger
from likes.sql.tables import metadata
from likes.sql.urls import parse_url
from tests.docs.everyday import CODES, a_year
from tests.servers import PASSWORD, MariaDB, PostgreSQL
from tests.shell import Ran, Shell
from tests.snippets import DOCS, block

PAGE = DOCS / "deploying.md"
ROLES = ("likes_owner", "likes_worker", "likes_app", "likes_api")
GRANT = re.compile(r"GRANT (?P<rights>[A-Z, ]+) ON (?P<kind>SEQUENCE |SCHEMA )?(?P<objects>\S.*) TO (?P<roles>.+)")


@dataclass(frozen=True)
class Kind:
    """A kind of database, and where its statements stand on the page."""

    server: PostgreSQL | MariaDB
    setting_up: str
    granting: str
    grants_as: str | None  # whose work the granting is; None: the administrator's

    def run(self, statements: str, role: str | None = None) -> None:
        """Run the statements of a block."""
        url = self.url(role) if role else self.server.url_of("likes")
        engine = create_engine(parse_url(url), poolclass=NullPool)
        with engine.begin() as connection:
            for statement in re.sub(r"^--.*", "", statements, flags=re.MULTILINE).split(";"):
                if statement.strip():
                    connection.execute(text(statement))

    def url(self, role: str) -> str:
        """The URL of the database as a role sees it."""
        url = self.server.url_of("likes").replace(PASSWORD, "change-me")
        return re.sub(r"//\w+:", f"//{role}:", url)


@pytest.fixture(params=["postgres", "mariadb"])
def kind(request: pytest.FixtureRequest) -> Iterator[Kind]:
    """A database called `likes` with the three roles, migrated by its owner."""
    server = request.getfixturevalue(f"{request.param}_server")
    after = "after the first migration"
    if request.param == "postgres":
        kind = Kind(
            server, block(PAGE, "sql", "CREATE ROLE"), block(PAGE, "sql", f"likes_owner, {after}"), "likes_owner"
        )
    else:
        kind = Kind(server, block(PAGE, "sql", "CREATE USER"), block(PAGE, "sql", f"administrator, {after}"), None)
    server.create("likes")
    if request.param == "mariadb":  # as mariadb-secure-installation does: it would be taken for any of the roles
        server._execute("DROP USER IF EXISTS ''@localhost")
    try:
        kind.run(kind.setting_up)
        yield kind
    finally:
        server.drop("likes")
        for role in ROLES:
            server._execute(f"DROP {'ROLE' if request.param == 'postgres' else 'USER'} IF EXISTS {role}")


@pytest.fixture
def likes(tmp_path: Path, kind: Kind, valkey_url: str) -> Shell:
    """The worker's commands, after its owner's migration and the grants."""
    likes = Shell(tmp_path, redis_url=valkey_url, database_url=kind.url("likes_worker"), shards=1)
    migrated = likes("migrate", database_url=kind.url("likes_owner"))
    assert migrated.code == 0, migrated
    kind.run(kind.granting, kind.grants_as)
    return likes


@pytest.fixture
def admin(valkey_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey_url) as client:
        yield client


@pytest.fixture
def owners(kind: Kind) -> Iterator[Engine]:
    engine = open_engine(kind.url("likes_owner"), timeout=10)
    yield engine
    engine.dispose()


def test_the_worker_may_do_all_that_it_does(likes: Shell, admin: redis.Redis, owners: Engine) -> None:
    ran = list(a_year(likes, admin, owners))
    assert [each.code for each in ran] == CODES, ran
    assert likes("check").code == 0
    assert likes("migrate").code == 0  # it may look whether there is something to do


@pytest.mark.timeout(240)
def test_the_worker_needs_every_right(likes: Shell, kind: Kind, admin: redis.Redis, owners: Engine) -> None:
    rights = list(each_right(kind.granting, "likes_worker"))
    assert len(rights) > 10
    for right, objects in rights:
        forget_everything(admin, owners)
        kind.run(f"REVOKE {right} ON {objects} FROM likes_worker", kind.grants_as)
        assert any(is_denied(ran) for ran in a_year(likes, admin, owners)), (right, objects)
        kind.run(f"GRANT {right} ON {objects} TO likes_worker", kind.grants_as)


def forget_everything(admin: redis.Redis, engine: Engine) -> None:
    admin.flushall()
    with writing(engine) as connection:
        for table in metadata.sorted_tables:
            connection.execute(delete(table))


def is_denied(ran: Ran) -> bool:
    """True if it ended because the database did not let it."""
    return ran.code in (1, 5) and "denied" in ran.err


def each_right(statements: str, role: str) -> Iterator[tuple[str, str]]:
    """Every single right that is granted to a role, and what on."""
    for grant in GRANT.finditer(statements.replace(";", "")):
        if role in grant["roles"]:
            for name in grant["objects"].split(", "):
                for right in grant["rights"].split(", "):
                    yield right, (grant["kind"] or "") + name


def test_an_application_reads_and_changes_nothing(likes: Shell, kind: Kind, valkey_url: str) -> None:
    likes("post", "video:42")
    likes("flush")
    with LikeCounter(redis_url=valkey_url, database_url=kind.url("likes_app"), shards=1) as counter:
        counter.like("video:42")
        assert counter.total("video:42") == 2
    for statement in ("UPDATE likes_totals SET total = 0", "DELETE FROM likes_cursors", "SELECT 1 FROM likes_batches"):
        with pytest.raises(Exception, match="denied"):
            kind.run(statement, "likes_app")


def does_what_an_api_does(places: Places) -> bool:
    """Begin and end a session, and read what the page and `/metrics` show; False where the database does not let it."""

    async def main() -> None:
        async with AsyncSessionStore(places, "likes", Life(60, 60)) as store:
            token, _ = await store.begin("mary", {"cart": 1}, ["cart"])
            assert await store.end(token)
            assert store.trouble is None

    engine = places.open_database(pool_size=1)
    try:
        asyncio.run(main())
        with places.open_buffer("likes") as buffer:
            overview = OverviewReader(buffer, Ledger(engine, "likes", worker=""), 1).read()
        with closing(Look(places, "likes", 1, 300)) as look:
            return overview.failed is None and "likes_incidents_total" in look()
    except (AssertionError, LikesError):
        return False
    finally:
        places.close_database(engine)


def test_an_api_may_do_all_that_it_does_and_needs_every_right(likes: Shell, kind: Kind, valkey_url: str) -> None:
    likes("post", "video:42")
    assert likes("flush").code == 0
    places = Places(valkey_url, kind.url("likes_api"), None, redis_timeout=5, database_timeout=5)
    assert does_what_an_api_does(places)
    for right, objects in each_right(kind.granting, "likes_api"):
        kind.run(f"REVOKE {right} ON {objects} FROM likes_api", kind.grants_as)
        assert not does_what_an_api_does(places), (right, objects)
        kind.run(f"GRANT {right} ON {objects} TO likes_api", kind.grants_as)
    for statement in ("DELETE FROM likes_sessions", "UPDATE likes_sessions SET hits = 0", "DELETE FROM likes_totals"):
        with pytest.raises(Exception, match="denied"):
            kind.run(statement, "likes_api")


def test_the_worker_changes_no_table(likes: Shell, kind: Kind) -> None:
    for statement in ("DROP TABLE likes_incidents", "CREATE TABLE mine (id INTEGER)", "DELETE FROM likes_totals"):
        with pytest.raises(Exception, match=r"denied|must be owner"):
            kind.run(statement, "likes_worker")
