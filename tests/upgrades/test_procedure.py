"""docs/operating.md, Upgrading: the tables first, then workers, then clients; and what a downgrade may do."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from likes.sql.engine import open_engine, reading
from likes.sql.schema import head
from likes.sql.tables import totals
from tests.running_worker import RunningWorker
from tests.shell import Shell
from tests.upgrades.conftest import SHARDS
from tests.upgrades.previous import Previous
from tests.waiting import wait_until

ITEM = "video:42"


def total_in(engine: Engine) -> int:
    with reading(engine) as connection:
        return int(connection.scalar(select(totals.c.total)) or 0)


def live(shell: Shell) -> int:
    return int(shell("get", ITEM, "--json").json[0]["total"])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
def test_tables_then_workers_then_clients(
    previous_tree: Path, valkey_url: str, database_url: str, tmp_path: Path
) -> None:
    new = Shell(
        tmp_path, redis_url=valkey_url, database_url=database_url, redis_name="redis", shards=SHARDS, interval=0.2
    )
    old = Previous(previous_tree, new)
    assert old("migrate").code == 0
    with ExitStack() as opened:
        engine = open_engine(database_url, timeout=30)
        opened.callback(engine.dispose)

        def is_counted(expected: int) -> None:
            wait_until(lambda: total_in(engine) == expected, 60)

        old_worker = opened.enter_context(RunningWorker(old))
        assert old("post", ITEM).code == 0
        is_counted(1)

        for command in ("worker", "flush", "status"):  # before the tables are there
            refused = new(command)
            assert refused.code == 1 and "run `likes migrate`" in refused.err, refused
        assert new("post", ITEM).code == 0  # a client needs Redis alone
        is_counted(2)

        assert f"now at revision {head()}" in new("migrate").out  # with the old worker running
        assert old("post", ITEM).code == 0
        is_counted(3)
        assert f"at revision {head()}, ahead of this version" in old("check").out

        new_worker = opened.enter_context(RunningWorker(new))
        assert old_worker.stop() == 0
        for shell, expected in ((old, 4), (new, 5)):  # clients of both versions go on
            assert shell("post", ITEM).code == 0
            is_counted(expected)
            assert live(old) == live(new) == expected
        assert new_worker.stop() == 0

        opened.enter_context(RunningWorker(old))  # back again, on the tables of the new version
        for shell, expected in ((new, 6), (old, 7)):
            assert shell("post", ITEM).code == 0
            is_counted(expected)
            assert live(old) == live(new) == expected
    assert f"already at revision {head()}" in new("migrate").out
    assert [shell("audit").code for shell in (old, new)] == [0, 0]
    assert new("incidents", "--json").json == new("dead-letters", "--json").json == []
