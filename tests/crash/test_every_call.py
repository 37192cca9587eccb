"""A worker dies before and after every single external call of a flush; the next flush is exact.

In the rarer situations only before each: dying after a call leaves the servers as dying before the next one does. And
on one kind of database each, in turn: how each kind keeps what it has committed, and nothing else, the others show.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from sqlalchemy import Engine

from likes.sql.identity import Claim
from tests.crash.mortal import Mortals
from tests.rig import Rig
from tests.stepping import SteppedWorker

LIKES = {"a": 1, "b": -2, "c": 3, "d": -4, "e": 5}  # a batch each: four in a row, and one more


@pytest.fixture
def rig(valkey_url: str, engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, engine, batch_items=1) as rig:
        yield rig


@pytest.fixture(scope="module")
def mortals() -> Iterator[Mortals]:
    with Mortals() as mortals:
        yield mortals


def on(kind: str) -> pytest.MarkDecorator:
    """On this kind of database alone."""
    return pytest.mark.parametrize("migrated_url", [kind], indirect=True)


def times(number: int) -> dict[str, int]:
    return {item: number * delta for item, delta in LIKES.items()}


@pytest.mark.parametrize("moment", ["before", "after"])
def test_in_the_first_flush_of_all(rig: Rig, mortals: Mortals, moment: str) -> None:
    nothing = rig.copy_sql()
    for call in count(1):
        rig.redis.flushall()
        rig.restore_sql(nothing)
        rig.worker.ledger.claim = Claim()  # as a worker that has just been started
        rig.likes.add(LIKES)
        died = mortals.dies(rig, moment, call)
        rig.flush()
        assert rig.totals() == LIKES, f"died {moment} call {call}"
        assert (rig.kinds(), rig.dead_letters()) == ([], [])
        if not died:
            break
    assert call > 30


@pytest.mark.parametrize("moment", ["before", "after"])
def test_in_an_ordinary_flush(rig: Rig, mortals: Mortals, moment: str) -> None:
    rig.likes.add(LIKES)
    rig.flush()
    for call in count(1):
        rig.likes.add(LIKES)
        died = mortals.dies(rig, moment, call)
        rig.likes.add(LIKES)
        rig.flush()
        assert rig.totals() == times(1 + 2 * call), f"died {moment} call {call}"
        if not died:
            break
    assert call > 15
    assert (rig.kinds(), rig.dead_letters()) == ([], [])


def test_in_a_flush_of_several_shards(valkey_url: str, engine: Engine, mortals: Mortals) -> None:
    """One transaction applies batches of each: the next flush finds all of them in SQL or none, and each in flight."""
    likes = {f"video:{number}": number for number in range(1, 10)}
    with Rig(valkey_url, engine, shards=3, batch_items=2) as rig:
        rig.likes.add(likes)
        rig.flush()
        for call in count(1):
            rig.likes.add(likes)
            died = mortals.dies(rig, "after", call)
            rig.flush()
            assert rig.totals() == {item: (1 + call) * n for item, n in likes.items()}, f"died after call {call}"
            if not died:
                break
        assert call >= 18
        assert (rig.kinds(), rig.dead_letters()) == ([], [])


def test_in_finishing_what_a_dead_worker_left(rig: Rig, mortals: Mortals) -> None:
    """Two deaths in a row: the second while the batch of the first is finished."""
    rig.likes.add(LIKES)
    rig.flush()
    for call in count(1):
        rig.likes.add(LIKES)
        with SteppedWorker(rig) as worker:
            worker.go_until("hand_off").step()
            if call % 2:
                worker.step()  # with the batch in SQL already
        died = mortals.dies(rig, "before", call // 2 + 1)
        rig.flush()
        assert rig.totals() == times(1 + call), f"died before call {call // 2 + 1}"
        if not died and call % 2:
            break
    assert (rig.kinds(), rig.dead_letters()) == ([], [])


@on("postgres")
def test_after_redis_went_back(rig: Rig, mortals: Mortals) -> None:
    rig.flush()
    for call in count(1):
        rig.likes.add({"a": 1})
        rig.flush()
        rig.likes.add({"b": 1})
        copy = rig.copy_redis()
        rig.flush()
        rig.restore_redis(copy)
        died = mortals.dies(rig, "before", call)
        rig.flush()
        assert rig.totals() == {"a": call, "b": call}, f"died before call {call}"
        assert rig.set_aside() == {"b": call}
        assert rig.epochs() == {rig.epoch()}
        if not died:
            break
    assert call > 40
    assert rig.kinds() == ["redis_went_back", "set_aside"] * call


@on("sqlite")
def test_after_redis_was_emptied(rig: Rig, mortals: Mortals) -> None:
    rig.likes.add(LIKES)
    rig.flush()
    for call in count(1):
        rig.redis.flushall()
        if call % 2:  # else no client comes before the worker
            rig.likes.add(LIKES)
        died = mortals.dies(rig, "before", call // 2 + 1)
        rig.flush()
        assert rig.totals() == times(1 + (call + 1) // 2), f"died before call {call // 2 + 1}"
        assert rig.kinds() == ["redis_replaced"] * call
        if not died and call % 2:
            break
    assert rig.dead_letters() == []


@on("mariadb")
def test_after_sql_went_back(rig: Rig, mortals: Mortals) -> None:
    rig.likes.add(LIKES)
    rig.flush()
    for call in count(1):
        copy = rig.copy_sql()
        rig.likes.add({"lost": 7})
        rig.flush()
        rig.likes.add(LIKES)
        rig.restore_sql(copy)
        died = mortals.dies(rig, "before", call)
        rig.flush()
        assert rig.totals() == times(1 + call), f"died before call {call}"
        assert [(incident.kind, incident.delta) for incident in rig.incidents()] == [("sql_went_back", 7)] * call
        if not died:
            break
    assert rig.dead_letters() == []


@on("mariadb")
def test_with_entries_that_cannot_be_counted(rig: Rig, mortals: Mortals) -> None:
    rig.likes.add({"full": 1, "good": 1})
    rig.flush()
    for call in count(1):
        rig.likes.add({"good": 1, "bad": 1, "also good": 1})
        rig.redis.set(rig.key("delta:likes:bad"), f"bad {call}")
        died = mortals.dies(rig, "before", call)
        rig.flush()
        assert rig.totals() == {"full": 1, "good": 1 + call, "also good": call}, f"died before call {call}"
        assert [letter.raw for letter in rig.dead_letters()] == [f"bad {n}".encode() for n in range(1, call + 1)]
        if not died:
            break
    assert set(rig.kinds()) == {"deltas_missing"}
    assert sum(incident.delta for incident in rig.incidents()) == call  # what was pending of it when it was overwritten
