"""docs/operating.md: its SQL, its restores, its staging and its restart, as they are told there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from likes.sql.engine import writing
from likes.sql.incidents import Kind
from likes.sql.tables import dead_letters
from likes.sql.urls import url_of
from tests.rig import Rig
from tests.servers import RedisServer
from tests.shell import Shell
from tests.snippets import DOCS, block, blocks

PAGE = DOCS / "operating.md"
KINDS = {"postgresql": "-- PostgreSQL", "mysql": "-- MariaDB", "mariadb": "-- MariaDB", "sqlite": "-- SQLite"}


def run(engine: Engine, statements: str, row: int) -> None:
    """Run the statements of a block in one transaction, for another row than the page's."""
    statements = re.sub(r"^--.*", "", statements, flags=re.MULTILINE).replace("id = 17", f"id = {row}")
    with writing(engine) as connection:
        for statement in statements.split(";"):
            if statement.strip():
                connection.exec_driver_sql(statement)


def test_every_kind_of_incident_is_explained() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)) == set(Kind)


@pytest.fixture
def rig(valkey_url: str, engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, engine) as rig:
        yield rig


@pytest.fixture
def likes(rig: Rig, tmp_path: Path) -> Shell:
    places = {"redis_url": rig.places.redis, "database_url": url_of(rig.engine)}
    return Shell(tmp_path, **places, redis_name="redis", shards=rig.shards)


def set_one_aside(rig: Rig) -> int:
    """The dead letter of five likes that were counted before Redis went back; its id."""
    rig.likes.like("video:42", 5)
    backup = rig.copy_redis()
    rig.flush()
    rig.restore_redis(backup)
    rig.flush()
    (letter,) = rig.dead_letters()
    return letter.id


def test_a_dead_letter_is_applied_once(rig: Rig, likes: Shell) -> None:
    letter = set_one_aside(rig)
    (statements,) = blocks(PAGE, "sql", holding=KINDS[rig.engine.dialect.name])
    for _ in range(2):
        run(rig.engine, statements, letter)
        assert rig.totals() == {"video:42": 10}
        assert likes("audit").code == 0
    assert likes("status", "--json").json["dead_letters"] == 0
    (resolved,) = rig.dead_letters()
    assert (resolved.resolution, resolved.applied_delta, resolved.resolved_at.tzinfo) == (
        "applied",
        5,
        resolved.at.tzinfo,
    )


def test_a_dead_letter_for_an_item_without_a_total(rig: Rig, likes: Shell) -> None:
    letter = set_one_aside(rig)
    with writing(rig.engine) as connection:
        connection.execute(dead_letters.update().values(item="new"))
    run(rig.engine, *blocks(PAGE, "sql", holding=KINDS[rig.engine.dialect.name]), row=letter)
    assert rig.totals() == {"video:42": 5, "new": 5}
    assert likes("audit").code == 0


def test_a_dead_letter_is_discarded_and_not_applied_afterwards(rig: Rig, likes: Shell) -> None:
    letter = set_one_aside(rig)
    run(rig.engine, block(PAGE, "sql", "'discarded'"), letter)
    run(rig.engine, *blocks(PAGE, "sql", holding=KINDS[rig.engine.dialect.name]), row=letter)
    assert rig.totals() == {"video:42": 5}
    assert likes("status", "--json").json["dead_letters"] == 0
    assert likes("audit").code == 0
    assert [letter.resolution for letter in rig.dead_letters()] == ["discarded"]


def test_what_is_open_is_listed(rig: Rig) -> None:
    letter = set_one_aside(rig)
    with writing(rig.engine) as connection:
        letters = connection.execute(text(block(PAGE, "sql", "WHERE resolved_at IS NULL ORDER BY id"))).all()
        incidents = connection.execute(text(block(PAGE, "sql", "FROM likes_incidents ORDER"))).all()
    assert [row.id for row in letters] == [letter]
    assert len(incidents) == 2


def test_incidents_are_deleted_unless_the_audit_needs_them(rig: Rig, likes: Shell) -> None:
    set_one_aside(rig)
    copy = rig.copy_sql()
    rig.likes.like("a", 3)
    rig.flush()
    rig.restore_sql(copy)
    rig.likes.like("a")
    rig.flush()
    assert rig.kinds()[-1] == "sql_went_back"
    for incident in rig.incidents():
        run(rig.engine, block(PAGE, "sql", "DELETE FROM likes_incidents"), incident.id)
    assert rig.kinds() == ["sql_went_back"]
    assert likes("audit").code == 0
    with writing(rig.engine) as connection:
        connection.execute(text("DELETE FROM likes_incidents"))
    assert likes("audit").code == 1  # so this is why


# Backup and restore.


def test_the_database_restored_alone_says_how_much_is_gone_with_the_next_likes(rig: Rig, likes: Shell) -> None:
    rig.likes.like("a", 5)
    rig.flush()
    copy = rig.copy_sql()
    rig.likes.like("a", 70)
    rig.flush()
    rig.restore_sql(copy)
    rig.flush()
    assert (rig.kinds(), likes("audit").code) == ([], 1)
    rig.likes.like("a", 300)
    rig.flush()
    assert rig.totals() == {"a": 305}
    assert [(incident.kind, incident.delta) for incident in rig.incidents()] == [("sql_went_back", 70)]
    assert likes("audit").code == 0


def test_both_restored_with_redis_copied_first_lose_nothing(rig: Rig, likes: Shell) -> None:
    rig.likes.like("a", 5)
    rig.flush()
    rig.likes.like("a", 70)
    redis_copy = rig.copy_redis()
    rig.flush()  # a worker goes on
    sql_copy = rig.copy_sql()
    rig.likes.like("a", 300)  # after the backup
    rig.flush()
    rig.restore_redis(redis_copy)
    rig.restore_sql(sql_copy)
    rig.flush()
    assert rig.totals() == {"a": 75}
    assert rig.set_aside() == {"a": 70}  # what both had
    assert likes("audit").code == 0


def test_both_restored_with_no_flush_between_the_copies_are_exact(rig: Rig, likes: Shell) -> None:
    rig.likes.like("a", 5)
    rig.flush()
    rig.likes.like("a", 70)
    redis_copy, sql_copy = rig.copy_redis(), rig.copy_sql()
    rig.flush()
    rig.restore_redis(redis_copy)
    rig.restore_sql(sql_copy)
    rig.flush()
    assert rig.totals() == {"a": 75}
    assert rig.kinds() == []
    assert likes("audit").code == 0


# Staging and restarts.


def test_staging_from_a_dump(tmp_path: Path, own_valkey: Callable[..., RedisServer], sqlite_engine: Engine) -> None:
    production = Shell(tmp_path, redis_url=own_valkey().url, database_url=url_of(sqlite_engine), shards=2)
    posted = production("post", "--file", "-", stdin=b"a\nb\nc\nd\ne\nf\n")
    assert posted.code == 0, posted
    assert production("flush").code == 0
    production("post", "a")
    dump = tmp_path / "dump.db"
    with sqlite_engine.connect() as connection:
        connection.exec_driver_sql(f"VACUUM INTO '{dump}'")
    staging = Shell(tmp_path, redis_url=own_valkey().url, database_url=f"sqlite:///{dump}", shards=2)
    for command, expected in re.findall(r"^\$ likes (.+)\n(.+)", block(PAGE, "console", "likes adopt"), re.MULTILINE):
        ran = staging(*command.split())
        pattern = re.escape(expected).replace(re.escape("..."), ".*").replace("…", r"\S+")
        assert re.fullmatch(pattern, (ran.out + ran.err).strip()), ran
    assert ran.code == 0
    staging("post", "staged")
    assert staging("flush", "--json").json["delta"] == 1
    kinds = [incident["kind"] for incident in staging("status", "--json").json["newest_incidents"]]
    assert sorted(kinds) == ["redis_adopted", "redis_replaced", "redis_replaced", "redis_restarted"]
    assert staging("audit").code == 0
    assert production("flush", "--json").json["delta"] == 1  # was not touched


def test_a_planned_restart_of_redis(
    tmp_path: Path, own_valkey: Callable[..., RedisServer], sqlite_engine: Engine
) -> None:
    server = own_valkey()
    likes = Shell(tmp_path, redis_url=server.url, database_url=url_of(sqlite_engine))
    likes("post", "a")
    likes("flush")
    likes("post", "a", "-n", "5")
    server.stop()
    assert likes("post", "a").code == 5
    server.start()
    assert likes("get", "a", "--json").json[0]["total"] == 6
    assert likes("flush", "--json").json["delta"] == 5
    (incident,) = likes("status", "--json").json["newest_incidents"]
    assert incident["kind"] == "redis_restarted"
    assert "written to disk may have been lost" in incident["detail"]
    assert likes("audit").code == 0
