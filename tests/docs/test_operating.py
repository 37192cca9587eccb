"""docs/operating.md: its SQL, its restores, its staging and its restart, as they are told there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from likes.sql.engine import writing
from likes.sql.incidents import Kind
from likes.sql.tables import totals
from likes.sql.urls import url_of
from tests.rig import Rig
from tests.servers import RedisServer
from tests.shell import Ran, Shell
from tests.snippets import CHECKOUT, DOCS, block

PAGE = DOCS / "operating.md"


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


def set_one_aside_that_was_not_counted(rig: Rig) -> None:
    """Redis was emptied, then restored from a copy of before."""
    rig.likes.like("before")
    rig.flush()
    rig.likes.like("video:42", 5)
    backup = rig.copy_redis()
    rig.redis.flushall()
    rig.likes.like("since")
    rig.flush()
    now = rig.copy_redis()
    rig.restore_redis(backup)
    rig.flush()
    rig.restore_redis(now)
    rig.flush()


def follow(likes: Shell, text: str, number: int) -> list[tuple[Ran, str]]:
    """Run the commands of a block, for another id than the page's; each with the line that it should print, if any."""
    commands = re.findall(r"^\$ likes (.+)\n(.+)", text.replace(" 17", f" {number}"), re.MULTILINE)
    return [(likes(*shlex.split(command)), expected) for command, expected in commands]


def is_as_told(ran: Ran, expected: str) -> bool:
    pattern = re.escape(expected).replace(re.escape("..."), ".*").replace("…", ".+")
    return ran.code == 0 and re.fullmatch(pattern, (ran.out + ran.err).strip(), re.DOTALL) is not None


def test_dead_letters_are_resolved_as_the_page_says(rig: Rig, likes: Shell) -> None:
    set_one_aside_that_was_not_counted(rig)
    assert [letter["delta"] for letter in likes("dead-letters", "--json").json] == [5]
    for ran, expected in follow(likes, block(PAGE, "console", "dead-letters show"), rig.dead_letters()[0].id):
        assert is_as_told(ran, expected), (ran, expected)
    assert rig.totals() == {"before": 1, "since": 1, "video:42": 5}
    assert likes("status", "--json").json["dead_letters"] == 0
    assert likes("audit").code == 0


def test_incidents_are_resolved_as_the_page_says(rig: Rig, likes: Shell) -> None:
    set_one_aside(rig)
    text = block(PAGE, "console", "incidents resolve").replace("redis_restarted", "redis_went_back in shard 0")
    for ran, expected in follow(likes, text, rig.incidents()[0].id):
        assert is_as_told(ran, expected), (ran, expected)
    assert likes("status", "--json").json["incidents"] == 1


def test_most_restores_are_seen_to_by_applying_all_and_discarding_the_rest(rig: Rig, likes: Shell) -> None:
    rig.likes.like("counted", 5)
    backup = rig.copy_redis()
    rig.flush()
    rig.restore_redis(backup)
    rig.likes.like("meanwhile", 3)
    rig.flush()
    assert PAGE.read_text().count("`likes dead-letters apply --all` and then `discard --all`") == 1
    assert likes("dead-letters", "apply", "--all").code == 3
    assert likes("dead-letters", "discard", "--all").code == 0
    assert rig.totals() == {"counted": 5, "meanwhile": 3}
    assert likes("audit").code == 0


def test_what_is_said_where_one_is_not_applied() -> None:
    said = "".join(path.read_text() for path in (CHECKOUT / "likes/sql").glob("*.py"))
    table = PAGE.read_text().partition("| `not applied: …` |")[2].partition("\n\n")[0]
    causes = re.findall(r"^\| `(.+?)` \|", table, re.MULTILINE)
    assert len(causes) == 6
    for cause in causes:
        assert all(words.strip(" :") in said for words in re.split(r"\d+| …", cause)), cause


def test_incidents_with_a_delta_are_needed_by_the_audit(rig: Rig, likes: Shell) -> None:
    set_one_aside(rig)
    copy = rig.copy_sql()
    rig.likes.like("a", 3)
    rig.flush()
    rig.restore_sql(copy)
    rig.likes.like("a")
    rig.flush()
    assert rig.kinds()[-1] == "sql_went_back"
    assert likes("incidents", "resolve", "--all").code == 0
    assert likes("audit").code == 0
    with writing(rig.engine) as connection:
        connection.execute(text("DELETE FROM likes_incidents"))
    assert likes("audit").code == 1  # so this is why they are not to be deleted


def test_an_item_that_is_off_is_named(rig: Rig, likes: Shell) -> None:
    rig.likes.like("video:42", 7)
    rig.flush()
    with writing(rig.engine) as connection:
        connection.execute(totals.update().values(total=12))
    ran = likes("audit", "--items")
    assert ran.code == 1
    (_, *lines) = block(PAGE, "console", "audit --items").splitlines()
    assert [line for line in lines if line != "..."] == [line for line in ran.out.splitlines() if "total of" in line]


# Backup and restore.


def test_the_database_restored_alone_says_how_much_is_gone_at_the_first_flush(rig: Rig, likes: Shell) -> None:
    rig.likes.like("a", 5)
    rig.flush()
    copy = rig.copy_sql()
    rig.likes.like("a", 70)
    rig.flush()
    rig.restore_sql(copy)
    assert likes("audit").code == 1
    rig.flush()
    assert [(incident.kind, incident.delta) for incident in rig.incidents()] == [("sql_went_back", 70)]
    assert likes("audit").code == 0
    rig.likes.like("a", 300)
    rig.flush()
    assert rig.totals() == {"a": 305}
    assert rig.kinds() == ["sql_went_back"]
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
    told = block(PAGE, "console", "likes adopt --yes")
    for command, expected in re.findall(r"^\$ likes (.+)\n(.+)", told, re.MULTILINE):
        ran = staging(*command.split())
        pattern = re.escape(expected).replace(re.escape("..."), ".*").replace("…", r".+")
        assert re.fullmatch(pattern, (ran.out + ran.err).strip(), re.DOTALL), ran
    assert ran.code == 0
    staging("post", "staged")
    assert staging("flush", "--json").json["delta"] == 1
    kinds = [incident["kind"] for incident in staging("status", "--json").json["newest_incidents"]]
    assert sorted(kinds) == ["redis_adopted", "redis_replaced", "redis_replaced", "redis_restarted"]
    assert staging("audit").code == 0
    (name,) = [each["found"] for each in staging("check", "--json").json["findings"] if each["name"] == "redis name"]
    mistaken = staging("flush", redis_url=production.settings["redis_url"], redis_name=name)
    assert (mistaken.code, "belongs to the database" in mistaken.err) == (1, True)
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


def test_another_number_of_shards_as_the_page_says(rig: Rig, likes: Shell) -> None:
    rig.likes.like("video:42", 5)
    command, *expected = block(PAGE, "console", "likes reshard").splitlines()
    ran = likes(*shlex.split(command.removeprefix("$ likes ")))
    assert (ran.code, (ran.err + ran.out).splitlines()) == (0, expected)
    assert likes("get", "video:42", "--json", shards=32).json[0]["total"] == 5
