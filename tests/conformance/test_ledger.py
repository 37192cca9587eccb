"""What applying a batch promises, on every database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, delete, event, select, text
from sqlalchemy.exc import DBAPIError

from likes.batch import Batch, BatchId
from likes.counted import Counted
from likes.deltas import MAX_DELTA, MIN_DELTA
from likes.errors import DatabaseUnavailable, LikesError, SchemaOutdated
from likes.sql import cursors, epochs
from likes.sql.engine import open_engine, writing
from likes.sql.ledger import Ledger
from likes.sql.tables import batches, dead_letters, totals
from likes.sql.tables import cursors as cursor_table
from likes.sql.transaction import ATTEMPTS, transact
from likes.sql.urls import url_of
from tests.ledgers import (
    OTHER_SHARD,
    SEALED_AT,
    SHARD,
    all_totals,
    another_namespace,
    another_worker,
    apply_locked,
    apply_whole,
    batch,
    cursor,
    everything,
    new_ledger,
    rows,
    start_total,
)
from tests.waiting import wait_until

Apply = Callable[[Ledger, Batch], Counted | None]


@pytest.fixture
def ledger(engine: Engine) -> Ledger:
    return new_ledger(engine)


@pytest.fixture(params=["whole", "locked"])
def apply(request: pytest.FixtureRequest) -> Apply:
    """Both ways in which a batch is applied."""
    return apply_whole if request.param == "whole" else apply_locked


# Counting.


def test_the_next_batch_on_the_chain_is_counted(ledger: Ledger, apply: Apply) -> None:
    before = datetime.now(UTC)
    first = batch(1, ("a", 3), ("b", -1))
    assert apply(ledger, first) == Counted(1, 2, 2, 0)
    assert all_totals(ledger) == {"a": 3, "b": -1}
    here = cursor(ledger)
    assert (here.epoch, here.seq, here.nonce, here.applied_delta) == ("e", 1, "n1", 2)
    assert here.updated_at >= before
    (row,) = rows(ledger, batches)
    assert (row.namespace, row.shard, row.epoch, row.seq, row.nonce) == ("likes", SHARD, "e", 1, "n1")
    assert (row.items, row.delta, row.worker, row.payload) == (2, 2, "worker 1", first.payload)
    assert row.sealed_at.timestamp() * 1000 == SEALED_AT
    assert before <= row.applied_at <= datetime.now(UTC)
    assert row.duration_ms >= 0


def test_totals_add_up_over_batches(ledger: Ledger, apply: Apply) -> None:
    for seq, delta in enumerate((5, -7, 0, 2**40), 1):
        assert apply(ledger, batch(seq, ("a", delta), (f"only in {seq}", 1)))
    assert all_totals(ledger) == {"a": 2**40 - 2} | {f"only in {seq}": 1 for seq in range(1, 5)}
    assert cursor(ledger).applied_delta == 2**40 + 2


def test_an_empty_batch_moves_the_cursor(ledger: Ledger, apply: Apply) -> None:
    assert apply(ledger, batch(1)) == Counted(1, 0, 0, 0)
    assert (cursor(ledger).seq, len(rows(ledger, batches)), rows(ledger, totals)) == (1, 1, [])


REFUSED: dict[str, Callable[[], Batch]] = {
    "a repeat": lambda: batch(2, ("a", 9)),
    "an older one": lambda: batch(1, ("a", 9)),
    "a gap": lambda: batch(4, ("a", 9)),
    "a gap on top of the nonce applied": lambda: batch(4, ("a", 9), previous="n2"),
    "another nonce at the number applied": lambda: batch(2, ("a", 9), nonce="other"),
    "on top of another nonce": lambda: batch(3, ("a", 9), previous="other"),
    "on top of none": lambda: batch(3, ("a", 9), previous=""),
    "another epoch": lambda: batch(3, ("a", 9), epoch="f"),
    "the first of another epoch": lambda: batch(1, ("a", 9), epoch="f"),
    "with a misfit": lambda: batch(4, ("a", 9), ("b", b"abc")),
    "with an overflow": lambda: batch(4, ("a", MAX_DELTA)),
}


@pytest.mark.parametrize("which", REFUSED)
def test_any_other_batch_is_not_counted_and_changes_nothing(ledger: Ledger, apply: Apply, which: str) -> None:
    apply(ledger, batch(1, ("a", 1)))
    apply(ledger, batch(2, ("a", 1)))
    before = everything(ledger)
    assert apply(ledger, REFUSED[which]()) is None
    assert everything(ledger) == before


def test_a_shard_without_an_epoch_counts_nothing(ledger: Ledger, apply: Apply) -> None:
    with writing(ledger.engine) as connection:
        epochs.retire(connection, "likes", cursors.lock(connection, "likes", SHARD), "e", "test", datetime.now(UTC))
    assert apply(ledger, batch(1, ("a", 1))) is None
    assert all_totals(ledger) == {}


def test_namespaces_and_shards_have_cursors_of_their_own(ledger: Ledger, apply: Apply) -> None:
    europe = another_namespace(ledger, "europe")
    assert apply(europe, batch(1, ("a", 1))) is None
    assert apply(ledger, batch(1, ("a", 1)))


def test_a_cursor_of_another_namespace_at_the_same_place_stays(ledger: Ledger, apply: Apply) -> None:
    europe = another_namespace(ledger, "europe")
    with writing(ledger.engine) as connection:
        here = cursors.lock(connection, "europe", SHARD)
        cursors.move(connection, "europe", here._replace(epoch="e"), datetime.now(UTC))
    assert apply(ledger, batch(1, ("a", 1)))
    assert (cursor(ledger).seq, cursor(europe).seq) == (1, 0)


def test_a_number_is_not_skipped_on_the_right_nonce(ledger: Ledger, apply: Apply) -> None:
    assert apply(ledger, batch(2, ("a", 1), previous="")) is None
    assert all_totals(ledger) == {}


def test_only_the_very_batch_is_recorded(ledger: Ledger, apply: Apply) -> None:
    assert apply(ledger, batch(1, ("a", 1)))
    counted = BatchId(SHARD, "e", 1, "n1")
    assert ledger.has(counted)
    assert not Ledger(ledger.engine, "europe", "w").has(counted)
    for other in [
        counted._replace(shard=OTHER_SHARD),
        counted._replace(epoch="f"),
        counted._replace(seq=2),
        counted._replace(nonce="n2"),
    ]:
        assert not ledger.has(other)


def test_items_are_told_apart_byte_by_byte(ledger: Ledger, apply: Apply) -> None:
    names = ["A", "a", "x", "x ", "é", "e\u0301", "😀", "%s", "'", "{}", ":", "*", "-1", "\\n", "a" * 255]
    apply(ledger, batch(1, *((name, number) for number, name in enumerate(names, 1))))
    apply(ledger, batch(2, *((name, 100) for name in names)))
    assert all_totals(ledger) == {name: number + 100 for number, name in enumerate(names, 1)}


# All or nothing.


@pytest.mark.parametrize("breaks", ["likes_cursors", "likes_totals", "likes_batches", "likes_dead_letters"])
def test_an_error_anywhere_in_between_leaves_no_trace(ledger: Ledger, breaks: str) -> None:
    apply_locked(ledger, batch(1, ("a", 1)))
    before = everything(ledger)

    def fail(_c: object, _u: object, statement: str, *_: object) -> None:
        if breaks in statement and not statement.startswith("SELECT"):
            raise RuntimeError("broken from outside")

    event.listen(ledger.engine, "after_cursor_execute", fail)
    with pytest.raises(RuntimeError, match="broken from outside"):
        apply_locked(ledger, batch(2, ("a", 1), ("b", b"abc")))
    event.remove(ledger.engine, "after_cursor_execute", fail)
    assert everything(ledger) == before
    assert apply_locked(ledger, batch(2, ("a", 1), ("b", b"abc"))) == Counted(1, 1, 1, 1)


def test_a_missing_table_is_not_taken_for_bad_data(ledger: Ledger) -> None:
    with writing(ledger.engine) as connection:
        connection.execute(text("DROP TABLE likes_totals"))
    with pytest.raises(SchemaOutdated, match="likes migrate"):
        apply_locked(ledger, batch(1, ("a", 1)))
    assert (cursor(ledger).seq, rows(ledger, dead_letters)) == (0, [])


# Entries that cannot be counted.


def test_a_total_past_64_bits_is_a_dead_letter_and_the_rest_commits(ledger: Ledger) -> None:
    start_total(ledger, "full", MAX_DELTA - 1)
    start_total(ledger, "empty", MIN_DELTA)
    full = batch(1, ("a", 1), ("b", 2), ("empty", -1), ("full", 5), ("z", 3))
    assert apply_locked(ledger, full) == Counted(1, 3, 6, 2)
    assert all_totals(ledger) == {"a": 1, "b": 2, "z": 3, "full": MAX_DELTA - 1, "empty": MIN_DELTA}
    assert cursor(ledger).applied_delta == 6
    letters = {letter.item: letter for letter in rows(ledger, dead_letters)}
    assert {item: (letter.delta, letter.raw) for item, letter in letters.items()} == {
        "full": (5, None),
        "empty": (-1, None),
    }
    assert letters["full"].reason.startswith("the database refused it: ")
    assert (letters["full"].epoch, letters["full"].seq, letters["full"].nonce) == ("e", 1, "n1")
    (row,) = rows(ledger, batches)
    assert (row.items, row.delta) == (3, 6)
    assert apply_locked(ledger, full) is None
    assert len(rows(ledger, dead_letters)) == 2


def test_misfits_are_dead_letters_with_what_was_there(ledger: Ledger) -> None:
    assert apply_locked(ledger, batch(1, ("a", 1), ("b", b"1.5"), ("\x01", 2), ("c", b"\xff\x00"))) == Counted(
        1, 1, 1, 3
    )
    assert all_totals(ledger) == {"a": 1}
    found = {letter.raw: letter for letter in rows(ledger, dead_letters)}
    assert {raw: (letter.item, letter.delta) for raw, letter in found.items() if raw != b"2"} == {
        b"1.5": ("b", None),
        b"\xff\x00": ("c", None),
    }
    assert found[b"2"].item.startswith("\\x01")


@pytest.mark.parametrize("names", [("x" * 300, "x" * 301), ("\x01", "\\x01"), ("", "\n"), ("é" * 200, "é" * 201)])
def test_misfits_whose_names_look_alike_stay_apart(ledger: Ledger, names: tuple[str, str]) -> None:
    """What no client of ours would write must not stand in the way of the rest."""
    applied = apply_locked(ledger, batch(1, ("a", 1), (names[0], b"bad"), (names[1], b"bad too")))
    assert applied == Counted(1, 1, 1, 2)
    assert len({letter.item for letter in rows(ledger, dead_letters)}) == 2


def test_entries_of_the_largest_numbers_are_counted_and_the_sums_stop_at_64_bits(ledger: Ledger) -> None:
    largest = batch(1, ("a", MAX_DELTA), ("b", MAX_DELTA), ("c", 1))
    assert apply_locked(ledger, largest) == Counted(1, 3, MAX_DELTA, 0)
    assert all_totals(ledger) == {"a": MAX_DELTA, "b": MAX_DELTA, "c": 1}
    assert cursor(ledger).applied_delta == MAX_DELTA
    assert apply_locked(ledger, batch(2, ("d", 5))) == Counted(1, 1, 5, 0)
    assert cursor(ledger).applied_delta == MAX_DELTA
    assert apply_locked(ledger, batch(3, ("e", MIN_DELTA), ("f", MIN_DELTA))) == Counted(1, 2, MIN_DELTA, 0)
    assert cursor(ledger).applied_delta == -1
    assert apply_locked(ledger, batch(4, ("g", MIN_DELTA))) == Counted(1, 1, MIN_DELTA, 0)
    assert cursor(ledger).applied_delta == MIN_DELTA


# Repeating.


def test_two_workers_apply_one_batch_at_once(ledger: Ledger, apply: Apply) -> None:
    others = [another_worker(ledger) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for seq in range(1, 11):
            both = batch(seq, ("a", 1), ("b", 2))
            outcomes = list(pool.map(lambda other, both=both: apply(other, both), others))
            assert [outcome for outcome in outcomes if outcome] == [Counted(1, 2, 3, 0)]
    for other in others:
        other.engine.dispose()
    assert all_totals(ledger) == {"a": 10, "b": 20}


@pytest.mark.parametrize("migrated_url", ["postgres", "mariadb"], indirect=True)  # SQLite has one writer at a time
def test_a_deadlock_repeats_the_whole_transaction(ledger: Ledger) -> None:
    """A stranger holds the total that the batch wants second, and then wants the one it took first."""
    apply_locked(ledger, batch(1, ("a", 0), ("b", 0), *((f"heavy {n}", 0) for n in range(50))))
    begun = count_transactions(ledger.engine)
    stranger, probe = (open_engine(url_of(ledger.engine), timeout=10) for _ in range(2))
    with ThreadPoolExecutor(1) as pool:
        with writing(stranger) as connection:
            # Much changed, so that the database would rather end the other transaction.
            connection.execute(totals.update().where(totals.c.item > "a").values(total=1000))
            assert not is_locked(probe, "a")
            applying = pool.submit(apply_locked, ledger, batch(2, ("a", 1), ("b", 1)))
            wait_until(lambda: is_locked(probe, "a"))
            connection.execute(totals.update().where(totals.c.item == "a").values(total=2000))
        assert applying.result(30) == Counted(1, 2, 2, 0)
    stranger.dispose()
    probe.dispose()
    assert len(begun) == 2
    assert (all_totals(ledger)["a"], all_totals(ledger)["b"]) == (2001, 1001)
    assert (cursor(ledger).seq, len(rows(ledger, batches)), rows(ledger, dead_letters)) == (2, 2, [])


def is_locked(engine: Engine, item: str) -> bool:
    try:
        with writing(engine) as connection:
            its_row = (totals.c.counter == "likes") & (totals.c.item == item)  # by the key: no other row is looked at
            connection.execute(select(totals).where(its_row).with_for_update(nowait=True)).all()
    except DBAPIError:
        return True
    return False


def count_transactions(engine: Engine) -> list[object]:
    """A list that grows by one with every transaction begun."""
    begun: list[object] = []
    event.listen(engine, "begin", begun.append)
    return begun


def test_a_lock_held_too_long_by_another_is_waited_for_again(ledger: Ledger) -> None:
    apply_locked(ledger, batch(1, ("a", 0)))
    hasty = another_worker(ledger, timeout=1)
    stranger = open_engine(url_of(ledger.engine), timeout=30)
    begun = count_transactions(hasty.engine)
    with ThreadPoolExecutor(1) as pool, writing(stranger) as connection:
        connection.execute(totals.update().values(total=totals.c.total))
        applying = pool.submit(apply_locked, hasty, batch(2, ("a", 1)))
        wait_until(lambda: len(begun) == 2)  # it tried, and tries again
        connection.rollback()
        assert applying.result(30) == Counted(1, 1, 1, 0)
    stranger.dispose()
    hasty.engine.dispose()
    assert all_totals(ledger) == {"a": 1}


def test_a_database_that_refuses_for_good_is_given_up_after_some_attempts(ledger: Ledger) -> None:
    attempts = 0

    def work(_: object) -> None:
        nonlocal attempts
        attempts += 1
        raise DatabaseUnavailable("away")

    with pytest.raises(DatabaseUnavailable):
        transact(ledger.engine, work)
    assert attempts == ATTEMPTS


def test_bad_data_is_not_tried_again_in_vain(ledger: Ledger, apply: Apply) -> None:
    """What is refused once is refused always: one transaction tells, or finds the entry at fault."""
    start_total(ledger, "full", MAX_DELTA)
    begun = count_transactions(ledger.engine)
    assert apply(ledger, batch(1, ("full", 1))) in (Counted(1, 0, 0, 1), None)
    assert len(begun) == 1


def test_a_lost_reply_to_commit_is_recognised(ledger: Ledger) -> None:
    """The connection breaks after the server has committed; repeating finds the cursor moved."""
    dialect: Any = ledger.engine.dialect
    commit = dialect.do_commit

    def commit_and_break(connection: Any) -> None:
        dialect.do_commit = commit
        commit(connection)
        raise DatabaseUnavailable("the connection broke")

    dialect.do_commit = commit_and_break
    assert apply_locked(ledger, batch(1, ("a", 5))) is None
    assert all_totals(ledger) == {"a": 5}


@pytest.fixture(autouse=True)
def pools_are_closed(engine: Engine) -> Iterator[None]:
    yield
    assert engine.pool.checkedout() == 0, "a connection was not given back"  # type: ignore[attr-defined]


def test_where_the_database_got_another_id_nothing_is_applied_or_noted(ledger: Ledger) -> None:
    def note_server() -> None:
        ledger.note_server([cursor(ledger)], "run id", "replid", durable=False)

    before = everything(ledger)
    ledger.claim = ledger.claim._replace(database="another")
    for write in (lambda: apply_locked(ledger, batch(1, ("a", 1))), note_server):
        with pytest.raises(DatabaseUnavailable, match="another id"):
            write()
    assert apply_whole(ledger, batch(1, ("a", 1))) is None
    assert everything(ledger) == before


def test_a_cursor_that_is_gone_is_said_to_be(ledger: Ledger) -> None:
    """As when the database is restored, in the middle of a flush, to before it was first used."""
    with writing(ledger.engine) as connection:
        connection.execute(delete(cursor_table))
    with pytest.raises(LikesError, match="lost its cursor: the database was restored"):
        apply_locked(ledger, batch(1, ("a", 1)))
