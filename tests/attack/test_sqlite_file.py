"""SQLite: the file behind the path is the file that is open; another one in its place is noticed, also none."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text

from likes import LikeCounter
from likes.errors import DatabaseUnavailable
from likes.sql.connections import replaced
from likes.sql.engine import open_engine, reading, writing
from tests.rig import Rig

ITEMS = {f"item {number}": number + 1 for number in range(8)}


@pytest.fixture
def path(sqlite_engine: Engine) -> Path:
    assert sqlite_engine.url.database
    return Path(sqlite_engine.url.database)


@pytest.fixture
def rig(valkey_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    """With ITEMS counted, a backup made, and 100 likes counted after it."""
    with Rig(valkey_url, sqlite_engine) as rig:
        yield rig


def backup(path: Path) -> Path:
    """A whole copy, by SQLite's own means."""
    copy = path.with_name("backup.db")
    with sqlite3.connect(path) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    source.close()
    target.close()
    return copy


def is_sound(path: Path) -> bool:
    with sqlite3.connect(path) as connection:
        found = connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()
    return found == [("ok",)]


def test_a_file_put_in_its_place_is_counted_into_and_told(rig: Rig, path: Path) -> None:
    rig.likes.add(ITEMS)
    rig.flush()
    copy = backup(path)
    rig.likes.like("item 0", 100)
    rig.flush()
    copy.replace(path)
    rig.likes.add(ITEMS)
    rig.flush()
    assert rig.totals() == {item: 2 * count for item, count in ITEMS.items()}
    assert sorted(rig.kinds()) == ["sql_replaced", "sql_went_back"]
    assert is_sound(path)


def test_what_was_replaced_has_all_that_was_committed_to_it(rig: Rig, path: Path) -> None:
    """Its log is not taken for one of the new file, and not lost either."""
    rig.flush()
    copy = backup(path)
    rig.likes.add(ITEMS)
    rig.flush()
    aside = path.with_name("aside.db")
    path.rename(aside)
    copy.replace(path)
    rig.flush()
    with sqlite3.connect(aside) as connection:
        assert dict(connection.execute("SELECT item, total FROM likes_totals")) == ITEMS
    connection.close()
    assert rig.totals() == {}
    assert is_sound(path)
    assert is_sound(aside)


def test_without_a_file_it_waits_and_makes_none(rig: Rig, path: Path) -> None:
    rig.likes.add(ITEMS)
    rig.flush()
    aside = path.with_name("aside.db")
    path.rename(aside)
    rig.likes.add(ITEMS)
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable, match="the file is gone"):
            rig.flush()
    assert rig.redis.llen(rig.key("pending")) == len(ITEMS)
    assert not path.exists()
    aside.rename(path)
    rig.flush()
    assert rig.totals() == {item: 2 * count for item, count in ITEMS.items()}
    assert rig.incidents() == []


def test_a_new_connection_makes_no_new_file_either(sqlite_engine: Engine, path: Path) -> None:
    with reading(sqlite_engine):
        pass
    sqlite_engine.dispose()
    path.unlink()
    with pytest.raises(DatabaseUnavailable, match="the file is gone"), writing(sqlite_engine):
        pass
    assert not path.exists()


@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "UPDATE likes_cursors", "COMMIT"])
def test_replaced_in_the_middle_of_a_transaction_nothing_is_acknowledged(
    rig: Rig, path: Path, valkey_url: str, statement: str
) -> None:
    rig.likes.add(ITEMS)
    rig.flush()
    rig.likes.add(ITEMS)
    copy = backup(path)

    def replace_before(engine: Engine) -> None:
        def once() -> None:
            if copy.exists():
                copy.replace(path)

        @event.listens_for(engine, "before_cursor_execute")
        def before(_c: object, _cursor: object, said: str, *_: object) -> None:
            if said.startswith(statement) and rig.redis.llen(rig.key("in_flight")):
                once()

        @event.listens_for(engine, "commit")
        def commit(_connection: object) -> None:
            if statement == "COMMIT" and rig.redis.llen(rig.key("in_flight")):
                once()

    with rig.new_worker(wrap_engine=replace_before) as worker:
        for _ in range(2):
            try:
                worker.flush(range(1))
            except DatabaseUnavailable:
                continue
        assert not copy.exists()
        worker.flush(range(1))
    rig.flush()
    assert rig.totals() == {item: 2 * count for item, count in ITEMS.items()}
    assert "sql_replaced" in rig.kinds()
    assert is_sound(path)


def test_a_replaced_file_is_not_opened_while_the_one_before_is_in_use(sqlite_engine: Engine, path: Path) -> None:
    """Both would write beside the same path."""
    with reading(sqlite_engine):
        pass
    with reading(sqlite_engine), reading(sqlite_engine):
        pass
    copy = backup(path)
    with reading(sqlite_engine) as holder:
        holder.execute(text("SELECT COUNT(*) FROM likes_totals")).all()
        copy.replace(path)
        with pytest.raises(DatabaseUnavailable, match="still in use"), writing(sqlite_engine):
            pass
    with writing(sqlite_engine) as connection:
        connection.execute(text("SELECT COUNT(*) FROM likes_totals")).all()
    assert is_sound(path)


def test_a_counter_reads_the_file_that_is_there(rig: Rig, path: Path) -> None:
    copy = backup(path)
    rig.likes.add(ITEMS)
    rig.flush()
    application = create_engine(f"sqlite:///{path}")
    with LikeCounter(redis_url=rig.places.redis, engine=application, shards=1) as lent:
        assert rig.likes.totals(ITEMS) == lent.totals(ITEMS) == ITEMS
        rig.engine.dispose()
        copy.replace(path)
        rig.redis.delete(rig.key("total:likes:item 3"))  # which would do until the next flush notices
        assert rig.likes.live(["item 3"])["item 3"].database == 0
        assert lent.live(["item 3"])["item 3"].database == 0
    application.dispose()


def test_a_file_of_a_uri_and_one_behind_a_link(sqlite_engine: Engine, path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(path)
    other = shutil.copy(path, tmp_path / "other.db")
    for url in (f"sqlite:///file:{link}?uri=true", f"sqlite:///{link}"):
        link.unlink()
        link.symlink_to(path)
        engine = open_engine(url, timeout=5)
        with writing(engine) as connection:
            connection.execute(text("DELETE FROM likes_totals"))
        link.unlink()
        link.symlink_to(other)
        with writing(engine) as connection:
            assert connection.execute(text("PRAGMA database_list")).one()[2] == str(other)
        engine.dispose()


def test_a_file_that_changes_while_it_is_opened_is_opened_again(sqlite_engine: Engine, path: Path) -> None:
    """As it does on a layered file system, where the first to write to a file gets a copy of it."""
    copy = backup(path)
    with sqlite3.connect(copy) as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    dialect: Any = sqlite_engine.dialect
    connect = dialect.connect

    def connect_late(*args: Any, **options: Any) -> Any:
        made = connect(*args, **options)
        if copy.exists():
            copy.replace(path)
        return made

    dialect.connect = connect_late
    with writing(sqlite_engine) as one:
        assert one.scalar(text("PRAGMA user_version")) == 7
    assert replaced(sqlite_engine) == []
