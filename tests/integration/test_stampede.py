"""Four processes with fifty readers each on the same items: how often they ask the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from likes.sql.engine import open_engine, reading, writing
from likes.sql.urls import url_of
from tests.databases import Shelf
from tests.reading_process import READERS, Read, ReadingProcess, all_read
from tests.rig import Rig
from tests.shell import Shell
from tests.waiting import wait_until

PROCESSES = 4
HOT = "video:hot"
DAY_MS = 86_400_000
LONG_SECONDS = 20  # a fill lease for a machine that has other things to do: nobody may ask because he waited in vain


@pytest.fixture
def rig(valkey_url: str, postgres_shelf: Shelf) -> Iterator[Rig]:
    with postgres_shelf.lent() as url:
        engine = open_engine(url, timeout=10)
        with Rig(valkey_url, engine, shards=16) as rig:
            yield rig
            if mine := rig.redis.keys("naive:*"):
                rig.redis.delete(*mine)
        engine.dispose()


@pytest.fixture(scope="module")
def started() -> Iterator[list[ReadingProcess]]:
    """Four processes that have everything imported."""
    processes = [ReadingProcess() for _ in range(PROCESSES)]
    yield processes
    for process in processes:
        process.close()


@pytest.fixture
def processes(rig: Rig, started: list[ReadingProcess], request: pytest.FixtureRequest) -> list[ReadingProcess]:
    rig.likes.like(HOT, 7)
    rig.flush()
    for process in started:
        process.connect(rig.places.redis_url(), url_of(rig.engine), lease=LONG_SECONDS, **getattr(request, "param", {}))
    return started


def asked(reads: list[Read], item: str = HOT) -> int:
    """How many statements asked the database for an item."""
    return sum(read.asked.get(item, 0) for read in reads)


def statements(reads: list[Read]) -> int:
    """How many statements asked it for any."""
    return sum(read.statements for read in reads)


def key_of(rig: Rig, kind: str) -> bytes:
    (key,) = rig.redis.keys(f"*:{kind}:likes:{HOT}")
    return bytes(key)


def expire_in(rig: Rig, milliseconds: int) -> None:
    """The hot total is cached, and reaches its greatest age then."""
    assert rig.likes.total(HOT) == 7
    seconds, microseconds = rig.redis.time()
    ends = seconds * 1000 + microseconds // 1000 + milliseconds
    total, cursor, generation, _, _, cost = rig.redis.get(key := key_of(rig, "total")).split()
    value = b"%s %s %s %d %d %s" % (total, cursor, generation, ends - DAY_MS, ends, cost)
    rig.redis.set(key, value, px=milliseconds)


@contextmanager
def held_up(rig: Rig) -> Iterator[None]:
    """Whoever asks the database for totals waits until the end of the block."""
    with writing(rig.engine) as connection:
        connection.execute(text("LOCK TABLE likes_totals IN ACCESS EXCLUSIVE MODE"))
        yield


def waiting_queries(rig: Rig) -> int:
    """How many are held up."""
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with reading(rig.engine) as connection:
        return int(connection.execute(text(blocked)).scalar_one())


def calls(rig: Rig, command: str) -> int:
    """How often Redis carried a command out."""
    return int(rig.redis.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0))


def test_a_cold_item_costs_one_query_and_hundreds_without_protection(rig: Rig, processes: list[ReadingProcess]) -> None:
    with held_up(rig):
        before = calls(rig, "evalsha")
        for process in processes:
            process.begin([HOT])
        wait_until(lambda: calls(rig, "evalsha") >= before + 4 * PROCESSES and waiting_queries(rig))
    reads = [process.end() for process in processes]
    assert [read.totals for read in reads] == [{HOT: [7]}] * PROCESSES
    assert asked(reads) == 1

    with held_up(rig):
        before = calls(rig, "get")
        for process in processes:
            process.begin([HOT], naive=True)
        wait_until(lambda: calls(rig, "get") >= before + PROCESSES * READERS)
    reads = [process.end() for process in processes]
    assert [read.totals for read in reads] == [{HOT: [7]}] * PROCESSES
    assert asked(reads) == PROCESSES * READERS


@pytest.mark.parametrize("processes", [{"early_refresh": each} for each in ("per", "gap", "off")], indirect=True)
def test_an_item_that_expires_while_it_is_read_costs_one_query(rig: Rig, processes: list[ReadingProcess]) -> None:
    expire_in(rig, 700)
    reads = all_read(processes, [HOT], seconds=1.2)
    assert [read.totals for read in reads] == [{HOT: [7]}] * PROCESSES
    assert asked(reads) == 1
    _, _, _, filled, ends, _ = rig.redis.get(key_of(rig, "total")).split()
    assert int(ends) > int(filled)


@pytest.mark.parametrize("written", ["through", "drop"])
def test_hot_items_just_flushed_cost_no_query_unless_they_are_dropped(
    rig: Rig, processes: list[ReadingProcess], tmp_path: Path, written: str
) -> None:
    items = {f"video:{n}": n + 1 for n in range(1000)}
    worker = Shell(tmp_path, redis_url=rig.places.redis_url(), redis_name="redis", database_url=url_of(rig.engine))
    assert worker("flush", cache_on_flush=written).code == 0
    rig.likes.add(items)
    assert worker("flush", cache_on_flush=written).code == 0
    warm = all_read(processes, [*items])
    assert {item: asked(warm, item) for item in items} == dict.fromkeys(items, 1)
    rig.likes.add(items)
    assert worker("flush", cache_on_flush=written).code == 0
    reads = all_read(processes, [*items])
    assert [read.totals for read in reads] == [{item: [2 * count] for item, count in items.items()}] * PROCESSES
    if written == "through":
        assert statements(reads) == 0
    else:
        assert {item: asked(reads, item) for item in items} == dict.fromkeys(items, 1)


def test_where_a_reader_dies_that_fills_another_goes_on(rig: Rig, processes: list[ReadingProcess]) -> None:
    """Its lease ends by itself, after half a second."""
    first = ReadingProcess()
    try:
        for process in (first, *processes):
            process.connect(rig.places.redis_url(), url_of(rig.engine))
        with held_up(rig):
            first.begin([HOT])
            wait_until(lambda: waiting_queries(rig) and rig.redis.pttl(key_of(rig, "fill")) > 0)
            first.process.kill()
            first.process.wait()
    finally:
        first.close()
    reads = all_read(processes, [HOT])
    assert [read.totals for read in reads] == [{HOT: [7]}] * PROCESSES
    assert 1 <= asked(reads) <= PROCESSES
