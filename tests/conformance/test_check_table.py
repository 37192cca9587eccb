"""`likes check` names what was set up wrongly, with a fix that is typed as it stands and works.

A row plants one misconfiguration in a set-up that has none. It may be typed in as `likes …`, `export …`, `unset …`,
`redis-cli …`, a shell's `sed`, or a statement for the database's owner. Where the fix is a sentence, the row does what
it says by hand.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import alembic.command
import pytest
import redis
from sqlalchemy import Engine, NullPool, create_engine, inspect

from likes.buffer.heartbeat import Doing, Heartbeat
from likes.connect import Places
from likes.items import shard_of
from likes.sql.engine import open_engine
from likes.sql.rights import NEEDED
from likes.sql.schema import _config, alone, migrate
from likes.sql.urls import parse_url
from tests.servers import MariaDB, RedisServer
from tests.shell import Shell
from tests.waiting import wait_until
from worker.checks.database import check_database

WARNING, ERROR = "warning", "error"
SET_FOR_TESTS = {"fsync", "innodb_flush_log_at_trx_commit"}  # tests/servers.py lets them be quicker than they should


@dataclass
class Stage:
    """A set-up with nothing wrong: `likes` is whoever checks, `sql` what the database's owner types."""

    likes: Shell
    redis: redis.Redis
    owner: Engine
    server: RedisServer | None = None

    def sql(self, *statements: str) -> None:
        with self.owner.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def ask(self) -> list[dict[str, Any]]:
        """All findings, from the command."""
        checked = self.likes("check", "--strict", "--json")
        findings: list[dict[str, Any]] = checked.json["findings"]
        assert checked.code == any(finding["level"] in (WARNING, ERROR) for finding in findings)
        return findings

    def check(self) -> dict[str, dict[str, Any]]:
        """What is wrong, by its name."""
        wrong = [finding for finding in self.ask() if finding["level"] in (WARNING, ERROR)]
        return {finding["name"]: finding for finding in reversed(wrong) if finding["name"] not in SET_FOR_TESTS}

    def type_in(self, fix: str) -> None:
        """Do what a fix says, word by word."""
        words = shlex.split(fix.replace("`", ""))
        match words[0]:
            case "likes":
                *before, last = (shlex.split(command)[1:] for command in fix.split("; "))
                for each in before:
                    self.likes(*each)
                answer = ["--yes"] if last[0] in ("adopt", "reshard") else []
                assert self.likes(*last, *answer).code == 0
            case "export":
                name, _, value = words[1].partition("=")
                self.likes.settings[name.removeprefix("LIKES_").lower()] = value
            case "unset":
                del self.likes.settings[words[1].removeprefix("LIKES_").lower()]
            case "redis-cli":
                self.redis.execute_command(*words[1:])
            case "sed":
                subprocess.run(words, cwd=self.likes.folder, check=True)
            case _:
                self.sql(*fix.split("; "))


@dataclass(frozen=True)
class Row:
    """`plant` sets up wrongly what is found under the name `found`; `by_hand` does what a fix in words says.

    leaves: what is found once it is mended, as the fix brings it along; it is mended in turn.
    """

    what: str
    plant: Callable[[Stage], object]
    found: str
    level: str = ERROR
    by_hand: Callable[[Stage], object] | None = None
    leaves: str = ""


def is_found_and_mended(stage: Stage, row: Row) -> None:
    """It is found, and nothing else; and once its fix was typed in, nothing is."""
    row.plant(stage)
    wrong = stage.check()
    assert {name: finding["level"] for name, finding in wrong.items()} == {row.found: row.level}, row.what
    if row.by_hand:
        row.by_hand(stage)
    else:
        stage.type_in(wrong[row.found]["fix"])
    if row.leaves:
        left = stage.check()
        assert left.keys() == {row.leaves}, row.what
        stage.type_in(left[row.leaves]["fix"])
    try:
        wait_until(lambda: stage.check() == {})
    except TimeoutError:
        raise AssertionError(f"{row.what}: {wrong} was not mended: {stage.check()}") from None


def are_found_and_mended(stage: Stage, rows: list[Row]) -> None:
    """The same for each, one after the other, in a set-up with nothing wrong."""
    assert stage.check() == {}
    for row in rows:
        is_found_and_mended(stage, row)


# Redis.


def config(name: str, value: str) -> Callable[[Stage], object]:
    return lambda stage: stage.redis.config_set(name, value)


def fill(stage: Stage, *, part: float) -> None:
    stage.redis.setrange("filling", 20_000_000, "x")
    stage.redis.config_set("maxmemory", int(stage.redis.info("memory")["used_memory"] / part))


def fail_a_snapshot(stage: Stage) -> None:
    stage.redis.config_set("rdb-key-save-delay", 10_000_000)
    stage.redis.set("something", "to save")
    stage.redis.bgsave()
    assert stage.server
    children = Path(f"/proc/{stage.server.pid}/task/{stage.server.pid}/children")
    os.kill(int(wait_until(children.read_text).split()[0]), signal.SIGKILL)
    wait_until(lambda: stage.redis.info("persistence")["rdb_last_bgsave_status"] == "err")
    stage.redis.config_set("rdb-key-save-delay", 0)


REDIS = [
    *(Row(f"evicts {policy}", config("maxmemory-policy", policy), "eviction")
      for policy in ("allkeys-lru", "allkeys-lfu", "allkeys-random")),
    Row("no append-only file", config("appendonly", "no"), "persistence", WARNING),
    Row("append-only file never synced", config("appendfsync", "no"), "persistence", WARNING),
    Row("not synced while rewritten", config("no-appendfsync-on-rewrite", "yes"), "persistence", WARNING),
    Row("full", partial(fill, part=1.1), "memory"),
    Row("nearly full", partial(fill, part=0.95), "memory", WARNING),
    Row("few connections", config("maxclients", "2"), "connections", WARNING),
    Row("too few replicas", config("min-replicas-to-write", "1"), "writes"),
    Row("a snapshot failed", fail_a_snapshot, "snapshots", WARNING),
    Row("away", lambda stage: stage.server.kill(), "redis", by_hand=lambda stage: stage.server.start()),
    Row("another password", config("requirepass", "other"), "redis",
        by_hand=lambda stage: stage.likes.settings.update(
            redis_url=stage.likes.settings["redis_url"].replace("://", "://:other@"))),
]  # fmt: skip


@pytest.fixture
def migrated_sqlite(sqlite_engine: Engine) -> Engine:
    return create_engine(sqlite_engine.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")


@pytest.fixture
def own_redis(tmp_path: Path, own_valkey: Callable[..., RedisServer], migrated_sqlite: Engine) -> Iterator[Stage]:
    server = own_valkey()
    likes = Shell(tmp_path, redis_url=server.url, database_url=migrated_sqlite.url, redis_timeout=2)
    with redis.Redis.from_url(server.url) as client:
        yield Stage(likes, client, migrated_sqlite, server)


def test_redis(own_redis: Stage) -> None:
    are_found_and_mended(own_redis, REDIS)


def test_a_replica(own_redis: Stage, own_valkey: Callable[..., RedisServer]) -> None:
    master = own_valkey("--repl-diskless-sync-delay", "0")

    def follow(stage: Stage) -> None:
        stage.redis.replicaof("127.0.0.1", master.port)
        wait_until(lambda: stage.redis.info("replication")["master_link_status"] == "up")

    is_found_and_mended(own_redis, Row("a replica", follow, "redis mode", leaves="durability"))
    assert own_redis.likes.settings["redis_url"] == master.url


# What a batch waits for.


def use(**settings: object) -> Callable[[Stage], object]:
    return lambda stage: stage.likes.settings.update(settings)


def another_worker(stage: Stage) -> None:
    places = Places(stage.likes.settings["redis_url"], None, None, redis_timeout=5, database_timeout=5)
    with places.open_buffer("likes", durability="replicas:7") as buffer:
        Heartbeat(buffer, "other:1", "other").beat(Doing("waiting", datetime.now(UTC)))


def end_another_worker(stage: Stage) -> None:
    stage.redis.delete("{likes:0}:workers")


DURABILITY = [
    Row("a disk that is synced every second", use(durability="aof"), "durability"),
    Row("replicas where there are none", use(durability="replicas:1"), "durability"),
    Row("another worker waits for something else", another_worker, "workers", WARNING, end_another_worker),
]
REPLICAS = [
    Row("replicas that nobody waits for", use(durability="none"), "durability", WARNING),
    Row("more replicas than there are", use(durability="replicas:3"), "durability"),
    Row("the disk, though a replica may be promoted", use(durability="aof"), "durability", WARNING),
]


def test_durability(own_redis: Stage) -> None:
    are_found_and_mended(own_redis, DURABILITY)
    assert own_redis.redis.config_get("appendfsync")["appendfsync"] == "always"


def test_replicas(own_redis: Stage, own_valkey: Callable[..., RedisServer]) -> None:
    replica = own_valkey()
    with redis.Redis.from_url(replica.url) as client:
        client.replicaof("127.0.0.1", own_redis.redis.connection_pool.connection_kwargs["port"])
        wait_until(lambda: client.info("replication")["master_link_status"] == "up", timeout=30)
    own_redis.redis.config_set("appendfsync", "always")
    own_redis.likes.settings["durability"] = "replicas:1"
    own_redis.likes.settings["redis_url"] = own_redis.likes.settings["redis_url"].replace("//", "//limited:any@")
    may_not("reset", "on", ">any", "~{likes:*", "+@all")(own_redis)
    are_found_and_mended(own_redis, [*REPLICAS, Row("no WAIT", may_not("-wait"), "durability")])


# What a user of Redis may not do; tests/integration/test_check_rights.py has every command.


def may_not(*rules: str) -> Callable[[Stage], object]:
    return lambda stage: stage.redis.execute_command("ACL", "SETUSER", "limited", *rules)


RIGHTS_IN_REDIS = [
    Row("no GETDEL, which takes", may_not("-getdel"), "permission"),
    Row("no RPUSH, which adds", may_not("-rpush"), "permission"),
    Row("no SCAN, outside scripts", may_not("-scan"), "permission"),
    Row("no scripts", may_not("-evalsha", "-eval", "-script"), "permission"),
    Row("no commands", may_not("-@all", "+info", "+config|get", "+time"), "permission"),
    Row("other keys", may_not("resetkeys", "~other:*"), "permission"),
]


def test_rights_in_redis(own_redis: Stage) -> None:
    may_not("reset", "on", ">any", "~{likes:*", "+@all")(own_redis)
    own_redis.likes.settings["redis_url"] = own_redis.likes.settings["redis_url"].replace("//", "//limited:any@")
    are_found_and_mended(own_redis, RIGHTS_IN_REDIS)


# Settings, and how they fit together.


def misspell_in_file(stage: Stage) -> None:
    (stage.likes.folder / ".env").write_text("LIKES_SHARDS=16\nLIKES_INTERVALL=5\n")


def flush_some(stage: Stage) -> None:
    assert stage.likes("post", "--file", "-", stdin=b"".join(b"%d\n" % n for n in range(20))).code == 0
    assert stage.likes("flush").code == 0


def post_some(stage: Stage) -> None:
    flush_some(stage)
    assert stage.likes("post", "--file", "-", stdin=b"".join(b"%d\n" % n for n in range(20))).code == 0


SETTINGS = [
    Row("a misspelt variable", use(redis_ulr="x"), "LIKES_REDIS_ULR", WARNING),
    Row("a variable of something else", use(whatever="x"), "LIKES_WHATEVER", WARNING),
    Row("a misspelt variable in .env", misspell_in_file, "LIKES_INTERVALL", WARNING),
    *(Row(f"{shards} shards", use(shards=shards), "shards") for shards in (1, 4, 17, 64)),
    Row("a misspelt prefix", use(prefix="liks"), "prefix", WARNING),
    Row("another Redis's name", use(redis_name="other"), "redis name", leaves="incidents"),
]


@pytest.fixture
def shared_redis(tmp_path: Path, valkey_url: str, migrated_sqlite: Engine) -> Iterator[Stage]:
    likes = Shell(tmp_path, redis_url=valkey_url, database_url=migrated_sqlite.url)
    with redis.Redis.from_url(valkey_url) as client:
        yield Stage(likes, client, migrated_sqlite)


@pytest.mark.parametrize("begin", [flush_some, post_some])
def test_settings(shared_redis: Stage, begin: Callable[[Stage], None]) -> None:
    begin(shared_redis)
    are_found_and_mended(shared_redis, SETTINGS)
    assert shared_redis.likes.settings.get("shards", "16") == "16"
    assert shared_redis.likes.settings.get("prefix", "likes") == "likes"


def test_another_database(shared_redis: Stage, tmp_path: Path) -> None:
    flush_some(shared_redis)
    url = f"sqlite:///{tmp_path / 'other.db'}"
    migrated(url)
    are_found_and_mended(shared_redis, [Row("another database's Redis", use(database_url=url), "owner",
                                         leaves="incidents")])  # fmt: skip


def test_another_number_of_shards_is_right_once_it_was_changed(shared_redis: Stage) -> None:
    post_some(shared_redis)
    shared_redis.likes.settings["shards"] = 4
    assert shared_redis.check().keys() == {"shards"}
    assert shared_redis.likes("reshard", "4", "--yes").code == 0
    assert shared_redis.check() == {}
    shared_redis.likes.settings["redis_url"], url = "redis://127.0.0.1:1", shared_redis.likes.settings["redis_url"]
    assert "shards" not in shared_redis.check()  # what was flushed before says nothing of it
    shared_redis.likes.settings["redis_url"] = url
    post_some(shared_redis)
    assert shared_redis.check() == {}


def break_off_a_change(stage: Stage) -> None:
    for shard in range(16):
        stage.redis.set(f"{{likes:{shard}}}:resharding", 16)


def test_a_change_of_the_number_of_shards_that_was_broken_off(shared_redis: Stage) -> None:
    post_some(shared_redis)
    are_found_and_mended(shared_redis, [Row("shards are closed", break_off_a_change, "resharding", WARNING)])


def forget_a_prefix(stage: Stage) -> None:
    stage.likes.settings["prefix"] = "old"
    post_some(stage)
    stage.likes.settings["prefix"] = "likes"
    flush_some(stage)
    stage.sql("UPDATE likes_cursors SET covered_by = '2000-01-01 00:00:00.000000'")


def test_likes_of_a_prefix_that_nobody_flushes_any_more(shared_redis: Stage) -> None:
    flush_some(shared_redis)
    are_found_and_mended(shared_redis, [Row("a forgotten prefix", forget_a_prefix, "other prefix", WARNING)])


def test_a_prefix_that_is_flushed_now_and_then_is_not_forgotten(shared_redis: Stage) -> None:
    flush_some(shared_redis)
    assert shared_redis.likes("flush", prefix="other").code == 0  # before anything was liked
    assert shared_redis.likes("post", "a", prefix="other").code == 0
    assert shared_redis.check() == {}


# What waits for somebody to decide.


def forget(stage: Stage) -> None:
    flush_some(stage)
    stage.redis.flushall()
    flush_some(stage)


# In the shard of an item that `flush_some` flushes.
NEIGHBOUR = next(item for n in count() if shard_of(item := b"video:%d" % n, 16) == shard_of(b"7", 16))


def go_back_in_redis(stage: Stage, *, counted: bool) -> None:
    """The epoch of before is given up, with likes in it."""
    flush_some(stage)
    stage.likes("post", NEIGHBOUR, "-n", "5")
    copy = {key: stage.redis.dump(key) for key in stage.redis.scan_iter()}
    if counted:
        stage.likes("flush")
    else:
        stage.redis.flushall()
        flush_some(stage)
    now = {key: stage.redis.dump(key) for key in stage.redis.scan_iter()}
    for memory in (copy, now) if not counted else (copy,):
        stage.redis.flushall()
        for key, value in memory.items():
            stage.redis.restore(key, 0, value)
        stage.likes("flush")
    assert stage.likes("incidents", "resolve", "--all").code == 0


def refuse_one(stage: Stage) -> None:
    """The database refused a row, for a reason that is mended by now."""
    stage.sql("CREATE TRIGGER no BEFORE INSERT ON likes_totals BEGIN SELECT RAISE(ABORT, 'no'); END")
    stage.likes("post", "refused")
    stage.likes("flush")
    stage.sql("DROP TRIGGER no")


UNDECIDED = [
    Row("an incident", forget, "incidents", WARNING),
    Row("a dead letter to be applied", partial(go_back_in_redis, counted=False), "dead letters", WARNING),
    Row("a dead letter that was counted", partial(go_back_in_redis, counted=True), "dead letters", WARNING),
    Row("a dead letter that was refused", refuse_one, "dead letters", WARNING),
]


def test_undecided(shared_redis: Stage) -> None:
    flush_some(shared_redis)
    are_found_and_mended(shared_redis, UNDECIDED)
    assert shared_redis.likes("audit").code == 0


# The tables.


@dataclass
class Many(Stage):
    """For rows so many that only one of them is asked of the command."""

    def ask(self) -> list[dict[str, Any]]:
        """The findings in the database, without the command around them."""
        engine = open_engine(self.likes.settings["database_url"], timeout=30, pool_size=1)
        try:
            return [finding._asdict() for finding in check_database(engine)]
        finally:
            engine.dispose()


def the_command_finds_the_same(stage: Stage, row: Row) -> None:
    stage.ask = partial(Stage.ask, stage)
    are_found_and_mended(stage, [row])


def gone(*statements: str) -> Callable[[Stage], object]:
    return lambda stage: stage.sql(*statements)


def drop_unique(stage: Stage) -> None:
    kind = {"postgresql": "CONSTRAINT"}.get(stage.owner.dialect.name, "INDEX")
    stage.sql(f"ALTER TABLE likes_dead_letters DROP {kind} likes_dead_letters_entry")


def drop_index(stage: Stage) -> None:
    on = " ON likes_batches" if stage.owner.dialect.name in ("mysql", "mariadb") else ""
    stage.sql(f"DROP INDEX likes_batches_applied_at{on}")


def drop_primary_key(stage: Stage) -> None:
    kind = "CONSTRAINT likes_totals_pkey" if stage.owner.dialect.name == "postgresql" else "PRIMARY KEY"
    stage.sql(f"ALTER TABLE likes_totals DROP {kind}")


def drop_all(stage: Stage) -> None:
    stage.sql(
        *(f"DROP TABLE {table}" for table in inspect(stage.owner).get_table_names() if table.startswith("likes_"))
    )


def go_back(stage: Stage) -> None:
    config = _config()
    with alone(stage.owner.url.render_as_string(hide_password=False)) as connection:
        config.attributes["connection"] = connection
        alembic.command.downgrade(config, "-1")


TABLES = [
    Row("no tables", drop_all, "schema"),
    Row("an older schema", go_back, "schema"),
    *(Row(f"no table {table}", gone(f"DROP TABLE {table}"), "tables") for table in (
        "likes_totals", "likes_cursors", "likes_retired_epochs", "likes_batches", "likes_dead_letters",
        "likes_incidents", "likes_database", "likes_pruned")),
    *(Row(f"no column {column}", gone(f"ALTER TABLE {table} DROP COLUMN {column}"), "tables") for table, column in (
        ("likes_cursors", "forgot"), ("likes_incidents", "resolved_by"), ("likes_batches", "payload"),
        ("likes_totals", "updated_at"), ("likes_dead_letters", "applied_delta"))),
    Row("no index", drop_index, "tables", WARNING),
]  # fmt: skip
KEYS = [
    Row("no unique key", drop_unique, "tables"),
    Row("no primary key", drop_primary_key, "tables"),
]


@pytest.fixture
def tables(tmp_path: Path, valkey_url: str, database_url: str) -> Iterator[Many]:
    migrated(database_url)
    likes = Shell(tmp_path, redis_url=valkey_url, database_url=database_url)
    with redis.Redis.from_url(valkey_url) as client:
        yield Many(likes, client, owner_of(database_url))


def migrated(url: str) -> None:
    engine = open_engine(url, timeout=30)
    migrate(engine)
    engine.dispose()


def owner_of(url: str) -> Engine:
    return create_engine(parse_url(url), poolclass=NullPool, isolation_level="AUTOCOMMIT")


def test_tables(tables: Many) -> None:
    are_found_and_mended(tables, TABLES if tables.owner.dialect.name == "sqlite" else TABLES + KEYS)
    the_command_finds_the_same(tables, TABLES[-1])


# What a worker may do in the database. ROLE stands for its user, DATABASE for the database.

RIGHTS = [
    Row(f"{right} on {table}", gone(f"REVOKE {right} ON {table} FROM ROLE"), "database rights")
    for table, rights in NEEDED.items()
    for right in rights
    if (right, table) != ("SELECT", "likes_alembic_version")  # without it there is no schema
]
# The wider setting first: the narrower one, which a fix leaves at `off`, wins over it.
POSTGRESQL = [
    Row("a sequence", gone("REVOKE USAGE ON SEQUENCE likes_incidents_id_seq FROM ROLE"), "database rights"),
    Row("its schema", gone("REVOKE USAGE ON SCHEMA public FROM PUBLIC, ROLE"), "schema"),
    Row("a search path", gone("ALTER ROLE ROLE SET search_path = elsewhere"), "schema"),
    Row("a server that is read", gone("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"),
        "read-only"),
    Row("a database that is read", gone("ALTER DATABASE DATABASE SET default_transaction_read_only = on"),
        "read-only"),
    Row("a role that reads", gone("ALTER ROLE ROLE SET default_transaction_read_only = on"), "read-only"),
    Row("a role that reads there", gone("ALTER ROLE ROLE IN DATABASE DATABASE SET default_transaction_read_only = on"),
        "read-only"),
]  # fmt: skip
MARIADB = [
    Row("a server that is read", gone("SET GLOBAL read_only = ON"), "read-only"),
    Row("transactions that read", gone("SET GLOBAL tx_read_only = ON"), "read-only"),
]


@dataclass
class Granted(Many):
    """The worker has a user of its own, with just the rights it needs."""

    role: str = ""

    def sql(self, *statements: str) -> None:
        database = self.owner.dialect.identifier_preparer.quote(str(self.owner.url.database))
        role = self.role if self.owner.dialect.name == "postgresql" else f"{self.role}@localhost"
        super().sql(*(one.replace("ROLE ROLE", f"ROLE {role}").replace("FROM ROLE", f"FROM {role}")
                      .replace(", ROLE", f", {role}").replace("TO ROLE", f"TO {role}")
                      .replace("DATABASE DATABASE", f"DATABASE {database}") for one in statements))  # fmt: skip


def granted(likes: Shell, client: redis.Redis, url: str) -> Iterator[Granted]:
    migrated(url)
    owner = owner_of(url)
    stage = Granted(likes, client, owner, role=f"worker_{uuid4().hex[:8]}")
    is_postgresql = owner.dialect.name == "postgresql"
    word = "ROLE" if is_postgresql else "USER"
    login = "LOGIN PASSWORD" if is_postgresql else "IDENTIFIED BY"
    name = stage.role if is_postgresql else f"{stage.role}@localhost"
    stage.sql(f"CREATE {word} {name} {login} 'x'")
    stage.sql(*(f"GRANT {', '.join(rights)} ON {table} TO ROLE" for table, rights in NEEDED.items()))
    if is_postgresql:
        stage.sql("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ROLE")
    likes.settings["database_url"] = owner.url.set(username=stage.role, password="x").render_as_string(False)
    try:
        yield stage
    finally:
        if is_postgresql:
            stage.sql("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")
            stage.sql("SET default_transaction_read_only = off", f"DROP OWNED BY {name}", f"DROP ROLE {name}")
        else:
            stage.sql("SET GLOBAL read_only = OFF", "SET GLOBAL tx_read_only = OFF", f"DROP USER {name}")
        owner.dispose()


@pytest.fixture
def on_postgres(tmp_path: Path, valkey_url: str, postgres_url: str) -> Iterator[Granted]:
    with redis.Redis.from_url(valkey_url) as client:
        yield from granted(Shell(tmp_path, redis_url=valkey_url), client, postgres_url)


@pytest.fixture
def on_mariadb(tmp_path: Path, valkey_url: str, mariadb_server: MariaDB) -> Iterator[Granted]:
    name = f"checked_{uuid4().hex}"  # in one called test_… everybody may do everything
    with redis.Redis.from_url(valkey_url) as client:
        yield from granted(Shell(tmp_path, redis_url=valkey_url), client, mariadb_server.create(name))
    mariadb_server.drop(name)


def test_rights_in_postgresql(on_postgres: Granted) -> None:
    are_found_and_mended(on_postgres, RIGHTS + POSTGRESQL)
    the_command_finds_the_same(on_postgres, POSTGRESQL[-1])


def test_rights_in_mariadb(on_mariadb: Granted) -> None:
    are_found_and_mended(on_mariadb, RIGHTS + MARIADB)
    the_command_finds_the_same(on_mariadb, RIGHTS[-1])


def test_there_are_enough_of_them() -> None:
    rows = [
        *REDIS,
        *RIGHTS_IN_REDIS,
        *SETTINGS,
        *UNDECIDED,
        *DURABILITY,
        *REPLICAS,
        *TABLES,
        *KEYS,
        *RIGHTS,
        *POSTGRESQL,
        *MARIADB,
    ]
    assert len({row.what for row in rows}) >= 40
