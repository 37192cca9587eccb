"""`audit --items`: each total is compared with all that was ever added to it, also by rows that were pruned since."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Engine, delete, func, insert, select, update

from likes.deltas import MAX_DELTA
from likes.reports.audit import Audit, audit
from likes.reports.items import ItemsAudit, with_items
from likes.sql import retention
from likes.sql.decision import Decision
from likes.sql.engine import reading, writing
from likes.sql.fingerprint import place_of
from likes.sql.resolving import Resolving
from likes.sql.retention import prune_ledger
from likes.sql.tables import batches, cursors, dead_letters, pruned, totals
from likes.sql.urls import url_of
from tests.rig import Rig
from tests.shell import Shell

ITEMS = {f"item {n}": n - 20 for n in range(100) if n != 20}


@pytest.fixture
def rig(valkey_url: str, engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, engine, shards=2, batch_items=30) as rig:
        yield rig


def change(rig: Rig, statement: Any) -> None:
    with writing(rig.engine) as connection:
        connection.execute(statement)


def flush_some(rig: Rig) -> None:
    """Several batches, with an entry that the database refuses, and one that was refused and applied later."""
    for number in range(3):
        full = {"counter": "likes", "item": f"full {number}", "total": MAX_DELTA, "updated_at": datetime.now(UTC)}
        change(rig, insert(totals).values(full))
        rig.likes.add({**ITEMS, f"full {number}": 5})
        rig.flush()
        change(rig, delete(totals).where(totals.c.item == f"full {number}"))
    assert rig.set_aside() == {"full 0": 5, "full 1": 5, "full 2": 5}
    first = rig.dead_letters()[0].id
    (outcome,) = Resolving(rig.engine, rig.prefix, Decision.now("mary")).apply([first], choose=True)
    assert outcome.ok


def prune(rig: Rig) -> int:
    long_ago = datetime.now(UTC) - timedelta(days=40)
    change(rig, update(batches).values(applied_at=long_ago))
    return prune_ledger(rig.engine, rig.prefix, long_ago + timedelta(days=1), newest=4, seconds=30)


@pytest.fixture(params=["all in the ledger", "pruned"])
def flushed(request: pytest.FixtureRequest, rig: Rig) -> Rig:
    flush_some(rig)
    if request.param == "pruned":
        assert prune(rig) >= 2
    return rig


def look(rig: Rig) -> tuple[Audit, ItemsAudit]:
    return with_items(audit(rig.worker.buffer, rig.worker.ledger, rig.shards), rig.worker.ledger)


def problems(rig: Rig) -> list[str]:
    found, items = look(rig)
    assert items.compared
    return [*found.problems]


def test_all_in_order(flushed: Rig, valkey_url: str) -> None:
    with Rig(valkey_url, flushed.engine, shards=2, prefix="others") as other:
        other.likes.add(ITEMS)
        other.flush()
    found, items = look(flushed)
    assert (found.ok, [*found.problems], items.compared) == (True, [], True)
    with reading(flushed.engine) as connection:
        in_ledger = connection.scalar(select(func.count()).select_from(batches))
        gone = connection.scalar(select(pruned.c.batches)) or 0
    assert (items.batches, items.pruned, items.resolutions) == (in_ledger, gone, 1)
    assert items.totals == len(flushed.totals())
    assert items.words == (
        f"items: each of {items.totals} totals compared with {in_ledger} batches in the ledger, {gone} pruned from it"
        " and 1 dead letters applied"
    )


def test_two_totals_changed_by_as_much_up_and_down_are_named(flushed: Rig) -> None:
    change(flushed, update(totals).where(totals.c.item == "item 7").values(total=totals.c.total + 5))
    change(flushed, update(totals).where(totals.c.item == "item 30").values(total=totals.c.total - 5))
    assert audit(flushed.worker.buffer, flushed.worker.ledger, 2).ok  # their sum is as it was
    assert sorted(problems(flushed)) == [
        "the total of 'item 30' (likes) is 25, but 30 was applied to it",
        "the total of 'item 7' (likes) is -34, but -39 was applied to it",
    ]


def test_a_total_that_went_to_another_item(flushed: Rig) -> None:
    change(flushed, update(totals).where(totals.c.item == "item 7").values(item="item 7 ", counter="views"))
    found, items = look(flushed)
    assert items.compared
    assert "the total of 'item 7 ' (views) is -39, but 0 was applied to it" in found.problems
    named = "'item 7' (likes) has no total, but -39 was applied to it"
    assert named in found.problems or any("1 of 1,024 slices, by +39 altogether" in text for text in found.problems)


def test_a_total_made_by_hand(flushed: Rig) -> None:
    change(flushed, insert(totals).values(counter="likes", item="new", total=12, updated_at=datetime.now(UTC)))
    assert "the total of 'new' (likes) is 12, but 0 was applied to it" in problems(flushed)


def test_items_that_cannot_be_told_apart_are_off_together(flushed: Rig) -> None:
    places: dict[int, str] = {}
    for item in sorted(ITEMS):
        if (slice_ := place_of("likes", item)[0]) in places:
            break
        places[slice_] = item
    change(flushed, update(totals).where(totals.c.item == item).values(total=totals.c.total + 5))
    change(flushed, update(totals).where(totals.c.item == places[slice_]).values(total=totals.c.total - 5))
    assert problems(flushed) == ["totals that cannot be told apart are off in 1 of 1,024 slices, by +0 altogether"]


def test_a_dead_letter_said_to_be_applied_that_was_not(flushed: Rig) -> None:
    change(flushed, update(dead_letters).where(dead_letters.c.item == "full 1").values(applied_delta=5))
    change(flushed, update(totals).where(totals.c.item == "item 7").values(total=totals.c.total + 5))
    found = problems(flushed)
    assert "'full 1' (likes) has no total, but +5 was applied to it" in found
    assert "the total of 'item 7' (likes) is -34, but -39 was applied to it" in found


def test_many_are_named_up_to_twenty(flushed: Rig) -> None:
    change(flushed, update(totals).where(totals.c.item.in_([f"item {n}" for n in range(30, 55)])).values(total=1))
    found, items = look(flushed)
    assert len(items.off) >= 23  # but for those that fell into one slice
    assert sum(text.startswith("the total of 'item ") for text in found.problems) == 20
    assert any(f"{len(items.off) - 20} more totals are not what was applied" in text for text in found.problems)


# What cannot be compared.


def test_rows_pruned_without_a_trace_are_said_to_be_missing(flushed: Rig) -> None:
    """By a version that kept no fingerprint."""
    change(flushed, delete(batches).where(batches.c.seq <= 2))
    change(flushed, delete(pruned))
    change(flushed, update(totals).where(totals.c.item == "item 7").values(total=totals.c.total + 5))
    change(flushed, update(totals).where(totals.c.item == "item 30").values(total=totals.c.total - 5))
    found, items = look(flushed)
    assert (found.ok, items.compared) == (True, False)
    assert items.words.startswith("items: not compared, as what was applied is not all on record: rows of the ledger")


@pytest.mark.parametrize("payload", [None, b"of a later version"])
def test_batches_without_content_are_said_to_be_missing(rig: Rig, payload: bytes | None) -> None:
    flush_some(rig)
    change(rig, update(batches).where(batches.c.seq == 1).values(payload=payload))
    _, items = look(rig)
    assert not items.compared
    assert "not compared, as the content of 2 batches was not kept" in items.words
    prune(rig)
    assert look(rig)[1].words.startswith("items: not compared, as the content of 2 batches")


def test_sums_past_64_bits(rig: Rig) -> None:
    flush_some(rig)
    change(rig, update(cursors).where(cursors.c.shard == 0).values(applied_delta=MAX_DELTA))
    _, items = look(rig)
    assert not items.compared
    assert "reached the limits of 64 bits" in items.words


# While others write, prune and die.


def test_a_running_system_is_in_order(rig: Rig) -> None:
    stop = Event()

    def keep_going(work: Callable[[], object]) -> None:
        while not stop.is_set():
            work()

    with ThreadPoolExecutor() as pool, rig.new_worker() as another:
        likes = {f"item {n}": n for n in range(1, 60)}
        running = [pool.submit(keep_going, work) for work in (rig.flush, another.flush, lambda: rig.likes.add(likes))]
        try:
            for _ in range(4):
                with_all = with_items(audit(rig.worker.buffer, rig.worker.ledger, rig.shards), rig.worker.ledger)
                assert ([*with_all[0].problems], with_all[1].compared) == ([], True)
                long_ago = datetime.now(UTC) + timedelta(days=1)
                prune_ledger(rig.engine, rig.prefix, long_ago, newest=4, seconds=0.2)
        finally:
            stop.set()
        for each in running:
            each.result()
    assert problems(rig) == []
    assert look(rig)[1].pruned > 0


def test_of_two_who_prune_at_once_each_row_is_kept_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "CHUNK", 2)
    flush_some(rig)
    with ThreadPoolExecutor(3) as pool:
        deleted = sum(pool.map(lambda _: prune(rig), range(3)))
    with reading(rig.engine) as connection:
        assert connection.scalar(select(pruned.c.batches)) == deleted
    assert problems(rig) == []


def test_large_batches_are_pruned_one_at_a_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "ENTRIES_A_CHUNK", 10)
    flush_some(rig)
    assert prune_ledger(rig.engine, rig.prefix, datetime.now(UTC), newest=4, seconds=0) == 0
    assert prune(rig) >= 2
    assert problems(rig) == []


def test_the_command(rig: Rig, tmp_path: Path) -> None:
    flush_some(rig)
    places = {"redis_url": rig.places.redis, "database_url": url_of(rig.engine)}
    likes = Shell(tmp_path, **places, redis_name="redis", shards=rig.shards, batch_items=30)
    ran = likes("audit", "--items")
    assert ran.code == 0
    assert "items: each of 100 totals compared with " in ran.out
    change(rig, update(totals).where(totals.c.item == "item 7").values(total=totals.c.total + 5))
    change(rig, update(totals).where(totals.c.item == "item 30").values(total=totals.c.total - 5))
    assert likes("audit").code == 0
    ran = likes("audit", "--items", "--json")
    assert (ran.code, ran.json["ok"], ran.json["items"]["compared"]) == (1, False, True)
    off = [(each["item"], each["total"], each["amount"]) for each in ran.json["items"]["off"]]
    assert sorted(off) == [("item 30", 25, -5), ("item 7", -34, 5)]
    assert "the total of 'item 7' (likes) is -34, but -39 was applied to it" in likes("audit", "--items").out
