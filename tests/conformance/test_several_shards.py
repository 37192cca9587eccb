"""Shards flushed side by side, their batches applied in one transaction: what happens to one is no other's business."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import Any

import pytest
from sqlalchemy import Engine

from likes.buffer.calls import Call
from likes.buffer.scripts import ACKNOWLEDGE, HAND_OFF
from likes.deltas import MAX_DELTA
from likes.errors import DatabaseBusy, DatabaseUnavailable, LikesError, RedisRefused, RedisUnavailable
from likes.items import shard_of
from likes.sql import cursors
from likes.sql.engine import open_engine, writing
from likes.sql.tables import batches
from likes.sql.urls import url_of
from tests.rig import Rig
from tests.seams import TappedLink, tap_statements
from tests.stepping import SteppedWorker

SHARDS = 3
IN_A_ROW = 4
ITEMS = [f"video:{number}" for number in range(36)]  # more in each shard than goes in a row
EACH_ONCE = dict.fromkeys(ITEMS, 1)
IN_SHARD = [next(item for item in ITEMS if shard_of(item.encode(), SHARDS) == shard) for shard in range(SHARDS)]


@pytest.fixture(params=[1, 2])
def rig(valkey_url: str, engine: Engine, request: pytest.FixtureRequest) -> Iterator[Rig]:
    with Rig(valkey_url, engine, shards=SHARDS, batch_items=2) as rig:
        rig.worker.threads = request.param
        rig.likes.add(EACH_ONCE)
        rig.flush()
        yield rig


def test_one_transaction_of_each_thread_applies_some_batches_of_its_shards(rig: Rig) -> None:
    first = [batch for batch in rig.ledger() if batch.seq <= IN_A_ROW]
    assert [batch.shard for batch in first].count(0) == IN_A_ROW
    assert {batch.shard for batch in first} == set(range(SHARDS))
    assert len({batch.applied_at for batch in first}) == rig.worker.threads
    second = [batch for batch in rig.ledger() if IN_A_ROW < batch.seq <= 2 * IN_A_ROW]
    assert {batch.shard for batch in second} == {0, 1}  # of one thread; nothing more was pending in the last shard
    assert len({batch.applied_at for batch in second}) == 1


def full(rig: Rig) -> None:
    """The total of an item of shard 1 stands at the limit of 64 bits."""
    with writing(rig.engine) as connection:
        connection.exec_driver_sql(f"UPDATE likes_totals SET total = {MAX_DELTA} WHERE item = '{IN_SHARD[1]}'")


def not_a_number(rig: Rig) -> None:
    """A stranger wrote a word where shard 1 keeps a delta."""
    rig.redis.set(rig.key(f"delta:likes:{IN_SHARD[1]}", shard=1), "word")


@pytest.mark.parametrize("spoil", [full, not_a_number])
def test_an_entry_that_cannot_be_counted_is_the_only_one_set_aside(rig: Rig, spoil: Callable[[Rig], None]) -> None:
    rig.likes.add(EACH_ONCE)
    spoil(rig)
    flushed = rig.flush()
    assert (flushed.items, flushed.dead_letters) == (len(ITEMS) - 1, 1)
    assert [letter.item for letter in rig.dead_letters()] == [IN_SHARD[1]]
    assert {item: total for item, total in rig.totals().items() if item != IN_SHARD[1]} == {
        item: 2 for item in ITEMS if item != IN_SHARD[1]
    }


def test_a_shard_whose_batch_the_database_refuses_stops_no_other(rig: Rig) -> None:
    """A row stands in the ledger where shard 1 wants to write its next one."""
    with writing(rig.engine) as connection:
        connection.execute(batches.update().where(batches.c.shard == 1, batches.c.seq == 1).values(seq=100))
        connection.exec_driver_sql("UPDATE likes_cursors SET seq = 99 WHERE shard = 1")
    rig.redis.hset(rig.key("state", shard=1), "seq", 99)
    rig.likes.add(EACH_ONCE)
    with pytest.raises(LikesError, match="should not be there"):
        rig.flush()
    of_shard_1 = [item for item in ITEMS if shard_of(item.encode(), SHARDS) == 1]
    assert rig.totals() == {item: 1 if item in of_shard_1 else 2 for item in ITEMS}


@pytest.mark.parametrize("migrated_url", ["postgres"], indirect=True)  # whose time-outs may be short
def test_a_shard_whose_cursor_another_transaction_holds_stops_no_other(rig: Rig) -> None:
    of_shard_0 = [item for item in ITEMS if shard_of(item.encode(), SHARDS) == 0]
    hasty, holding = open_engine(url_of(rig.engine), timeout=1), open_engine(url_of(rig.engine), timeout=60)
    patient, rig.worker.ledger.engine = rig.worker.ledger.engine, hasty
    with writing(holding) as connection:
        cursors.lock(connection, "likes", 0)
        for flush in range(2, 4):
            rig.likes.add(EACH_ONCE)
            with pytest.raises(DatabaseBusy):
                rig.flush()
            assert rig.totals() == {item: 1 if item in of_shard_0 else flush for item in ITEMS}
    hasty.dispose()
    holding.dispose()
    rig.worker.ledger.engine = patient
    rig.flush()
    assert rig.totals() == dict.fromkeys(ITEMS, 3)


def test_what_is_too_much_for_one_transaction_goes_in_alone(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_much(*_: object) -> bool:
        raise DatabaseBusy("statement time-out")

    monkeypatch.setattr(rig.worker.ledger, "_apply_whole", too_much)
    rig.likes.add(EACH_ONCE)
    assert rig.flush().items == len(ITEMS)
    assert rig.totals() == dict.fromkeys(ITEMS, 2)


def test_batches_of_many_bytes_go_in_by_several_transactions(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("likes.sql.ledger.BYTES_A_TRANSACTION", 1)
    before = len(rig.ledger())
    rig.likes.add(EACH_ONCE)
    assert rig.flush().items == len(ITEMS)
    new = rig.ledger()[before:]
    of_shard = Counter(row.shard for row in new)
    assert len({row.applied_at for row in new}) == sum(ceil(number / IN_A_ROW) for number in of_shard.values())


def test_an_error_in_the_program_is_not_hidden(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig.worker.ledger, "apply", lambda *_: 1 / 0)
    rig.likes.add(EACH_ONCE)
    with pytest.raises(ZeroDivisionError):
        rig.flush()
    monkeypatch.undo()
    rig.flush()
    assert rig.totals() == dict.fromkeys(ITEMS, 2)


def test_an_error_in_the_program_stops_no_other_group(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.flush.ENTRIES_AT_ONCE", 1)  # each shard is a group
    apply = rig.worker.ledger.apply
    monkeypatch.setattr(rig.worker.ledger, "apply", lambda chains: 1 / 0 if chains[0].shard == 0 else apply(chains))
    rig.likes.add(EACH_ONCE)
    with pytest.raises(ZeroDivisionError):
        rig.flush()
    of_shard_0 = [item for item in ITEMS if shard_of(item.encode(), SHARDS) == 0]
    assert rig.totals() == {item: 1 if item in of_shard_0 else 2 for item in ITEMS}


def test_of_several_errors_a_server_that_is_away_is_told(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what the worker waits for, and what exit code 5 means."""
    link = rig.worker.buffer.link
    send = link.send
    errors = {0: RedisRefused("no"), 1: RedisUnavailable("away"), 2: RedisRefused("no")}

    def fail(calls: Sequence[Call[Any]]) -> list[Any]:
        return [errors[call.shard] for call in calls] if calls[-1].script is HAND_OFF else send(calls)

    monkeypatch.setattr(link, "send", fail)
    rig.likes.add(EACH_ONCE)
    with pytest.raises(RedisUnavailable):
        rig.flush()


def test_once_a_server_is_away_nothing_more_is_handed_off(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    link = rig.worker.buffer.link
    send = link.send

    def fail(calls: Sequence[Call[Any]]) -> list[Any]:
        away = RedisUnavailable("away")
        return [away if call.shard == 1 and call.script is HAND_OFF else send([call])[0] for call in calls]

    before = rig.cursor(0).seq
    monkeypatch.setattr(link, "send", fail)
    rig.likes.add(EACH_ONCE)
    with pytest.raises(RedisUnavailable):
        rig.flush()
    assert rig.cursor(0).seq == before + IN_A_ROW  # of the thread that has shard 1, too; more is pending


def test_after_redis_is_gone_no_shard_asks_a_server_again(rig: Rig) -> None:
    """Else each would wait for a time-out of its own."""
    asked: list[str] = []
    in_vain: list[str] = []

    def around(call: str, make: Callable[[], Any]) -> Any:
        if "hand_off" in asked and "COMMIT" in asked[asked.index("hand_off") :]:
            in_vain.append(call)
            raise RedisUnavailable("gone since the first batches were applied")
        asked.append(call)
        return make()

    rig.likes.add(EACH_ONCE)
    tapped = rig.new_worker(lambda link: TappedLink(link, around), lambda engine: tap_statements(engine, around))
    with tapped as worker, pytest.raises(RedisUnavailable):
        worker.flush(range(SHARDS))
    assert in_vain == ["acknowledge"]
    rig.flush()
    assert rig.totals() == dict.fromkeys(ITEMS, 2)


def test_a_shard_whose_acknowledgements_are_refused_stops_no_other(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    link = rig.worker.buffer.link
    send = link.send

    def refuse(calls: Sequence[Call[Any]]) -> list[Any]:
        refused = [call.shard == 1 and call.script is ACKNOWLEDGE for call in calls]
        return [RedisRefused("no") if no else reply for no, reply in zip(refused, send(calls), strict=True)]

    monkeypatch.setattr(link, "send", refuse)
    rig.likes.add(EACH_ONCE)
    with pytest.raises(RedisRefused):
        rig.flush()
    of_shard_1 = {item for item in ITEMS if shard_of(item.encode(), SHARDS) == 1}
    assert {item for item, total in rig.totals().items() if total == 2} >= set(ITEMS) - of_shard_1
    monkeypatch.undo()
    rig.flush()
    assert rig.totals() == dict.fromkeys(ITEMS, 2)


def test_a_database_that_is_away_is_tried_by_one_shard_alone(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def away(shard: int, _: object) -> None:
        tried.append(shard)
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(rig.worker.ledger, "apply", lambda _: [])
    monkeypatch.setattr(rig.worker.ledger, "locked", away)
    rig.likes.add(EACH_ONCE)
    with pytest.raises(DatabaseUnavailable):
        rig.flush()
    assert len(tried) <= rig.worker.threads
    monkeypatch.undo()
    rig.flush()
    assert rig.totals() == dict.fromkeys(ITEMS, 2)


def test_a_worker_paused_anywhere_while_another_flushes_some_shards(rig: Rig) -> None:
    """So its transaction finds some batches applied already, and the others not."""
    posted, calls = 1, 0
    while True:
        rig.likes.add(EACH_ONCE)
        posted += 1
        calls += 1
        with SteppedWorker(rig) as paused:
            for _ in range(calls):
                if paused.at is not None:
                    paused.step()
            done = paused.at is None
            rig.worker.flush([1])
            paused.finish()
        rig.flush()
        assert rig.totals() == dict.fromkeys(ITEMS, posted), f"paused after {calls} calls"
        if done:
            break
    assert calls > 10
    assert (rig.kinds(), rig.dead_letters()) == ([], [])
