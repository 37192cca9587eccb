"""A worker of one version dies with a batch in flight, and one of the other version goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from sqlalchemy import NullPool, create_engine, text

from likes.sql.urls import parse_url, url_of
from tests.rig import Rig
from tests.running_worker import RunningWorker
from tests.shell import Shell
from tests.upgrades.previous import Previous
from tests.waiting import wait_until

ITEMS = {f"video:{number}": number + 1 for number in range(6)}
OTHER = {"old": "new", "new": "old"}


@pytest.fixture
def shells(new: Shell, old: Previous) -> dict[str, Shell]:
    return {"old": old, "new": new}


@contextmanager
def totals_locked(rig: Rig) -> Iterator[None]:
    """Who applies a batch waits until the end of the block."""
    engine = create_engine(parse_url(url_of(rig.engine)), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE likes_totals IN EXCLUSIVE MODE"))  # reading goes on
        yield


def times(number: int) -> dict[str, int]:
    return {item: number * count for item, count in ITEMS.items()}


def in_flight(rig: Rig) -> int:
    return sum(len(rig.views(shard)[rig.epoch(shard)].in_flight) for shard in range(rig.shards))


def die_with_batches_in_flight(rig: Rig, shell: Shell, *, applied: bool) -> None:
    """A worker is killed after the hand-off; `applied`: after COMMIT, before it could acknowledge."""
    with ExitStack() as opened:
        worker = opened.enter_context(RunningWorker(shell, database_timeout=60))
        rig.likes.add(ITEMS)
        wait_until(lambda: rig.totals() == times(2), 30)
        before = len(rig.ledger())
        locked = opened.enter_context(ExitStack())
        locked.enter_context(totals_locked(rig))
        rig.likes.add(ITEMS)
        wait_until(lambda: in_flight(rig) == rig.shards, 30)
        if applied:
            rig.redis.client_pause(60_000, all=False)
            opened.callback(rig.redis.client_unpause)
            locked.close()
            wait_until(lambda: len(rig.ledger()) == before + rig.shards, 30)
        worker.kill()
        rig.redis.client_kill_filter(_type="normal", skipme=True)  # what it had sent meanwhile is not to be done
    assert in_flight(rig) == rig.shards


def totals_seen(shell: Shell) -> dict[str, int]:
    return {row["item"]: row["total"] for row in shell("get", "--json", *ITEMS).json}


@pytest.mark.parametrize("migrated_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("dies", ["old", "new"])
def test_what_is_in_flight_is_counted_once_and_no_cached_total_is_wrong(
    rig: Rig, shells: dict[str, Shell], dies: str, applied: bool
) -> None:
    goes_on = OTHER[dies]
    rig.likes.add(ITEMS)
    assert shells[goes_on]("flush").code == 0
    assert rig.likes.totals([*ITEMS]) == ITEMS  # which are cached now
    die_with_batches_in_flight(rig, shells[dies], applied=applied)
    assert rig.likes.totals([*ITEMS]) == totals_seen(shells["old"]) == times(3)
    assert shells[goes_on]("flush").code == 0
    assert in_flight(rig) == 0
    assert rig.totals() == rig.likes.totals([*ITEMS]) == times(3)
    rig.likes.add(ITEMS)
    assert shells[dies]("flush").code == 0
    assert rig.likes.totals([*ITEMS]) == rig.totals() == times(4)
    assert (rig.kinds(), rig.dead_letters(), len(rig.retired())) == ([], [], 0)
    assert shells["new"]("audit").code == 0
