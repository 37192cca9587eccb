"""Dead letters are listed, applied and discarded: each once, whoever else does it, however it ends."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, delete, insert, update

from likes.deltas import MAX_DELTA
from likes.sql.applying import Outcome
from likes.sql.decision import Decision
from likes.sql.engine import open_engine, writing
from likes.sql.letters import Wanted
from likes.sql.resolving import Resolving
from likes.sql.schema import migrate
from likes.sql.tables import batches, dead_letters, totals
from likes.sql.urls import url_of
from tests.rig import Rig
from tests.seams import tap_statements
from tests.servers import PostgreSQL
from tests.shell import Shell


@pytest.fixture
def rig(valkey_url: str, engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, engine) as rig:
        yield rig


@pytest.fixture
def likes(rig: Rig, tmp_path: Path) -> Shell:
    places = {"redis_url": rig.places.redis, "database_url": url_of(rig.engine)}
    return Shell(tmp_path, **places, redis_name="redis", shards=rig.shards)


def change(rig: Rig, statement: Any) -> None:
    with writing(rig.engine) as connection:
        connection.execute(statement)


def ids(rig: Rig) -> list[int]:
    return [letter.id for letter in rig.dead_letters()]


def set_aside(rig: Rig, posted: dict[str, int]) -> Callable[[], None]:
    """Likes of an epoch that was given up before they were counted; the epoch comes back with each call of what is
    returned, and they are set aside again.
    """
    rig.likes.like("before")
    rig.flush()
    rig.likes.add(posted)
    copy = rig.copy_redis()
    rig.redis.flushall()
    rig.flush()  # adopts nothing yet: there is no epoch
    rig.likes.like("since")
    rig.flush()

    def come_back() -> None:
        now = rig.copy_redis()
        rig.restore_redis(copy)
        rig.flush()
        rig.restore_redis(now)
        rig.flush()

    come_back()
    assert rig.set_aside() == posted
    assert rig.totals() == {"before": 1, "since": 1}
    return come_back


def refuse(rig: Rig, item: str, delta: int) -> None:
    """The total of `item` is full, so that the database refuses to add `delta`."""
    change(rig, insert(totals).values(counter="likes", item=item, total=MAX_DELTA, updated_at=datetime.now(UTC)))
    rig.likes.like(item, delta)
    rig.flush()
    change(rig, update(totals).where(totals.c.item == item).values(total=0))


def apply(rig: Rig, *chosen: int, engine: Engine | None = None, choose: bool = True, **how: Any) -> list[Outcome]:
    resolving = Resolving(engine or rig.engine, rig.prefix, Decision.now("mary", **how))
    return [*resolving.apply(chosen, choose=choose)]


# The commands.


def test_a_letter_is_listed_and_shown(rig: Rig, likes: Shell) -> None:
    set_aside(rig, {"video:42": 5, "-odd": -2})
    rig.likes.like("no number")
    rig.redis.set(rig.key("delta:likes:no number"), b"\xffmany")
    rig.flush()
    listed = likes("dead-letters", "list", "--json").json
    assert [(each["item"], each["delta"], each["counter"], each["shard"]) for each in listed] == [
        ("video:42", 5, "likes", 0),
        ("-odd", -2, "likes", 0),
        ("no number", None, "likes", 0),
    ]
    assert b64decode(listed[2]["raw"]) == b"\xffmany"
    assert set(listed[0]) >= {
        *("id", "shard", "epoch", "seq", "counter", "item", "delta", "raw", "reason", "at"),
        *("resolved_at", "resolved_by", "resolution"),
    }
    assert likes("dead-letters", "--json").json == listed
    assert likes("dead-letters", "--reason", "Given UP", "--item", "-odd", "--json").json == listed[1:2]
    assert likes("dead-letters", "list", "--epoch", listed[2]["epoch"], "--json").json == listed[2:]
    text = likes("dead-letters")
    assert text.out.split()[:2] == ["id", "at"]
    assert "video:42" in text.out
    shown = likes("dead-letters", "show", str(listed[0]["id"]), "--json").json
    assert {name: shown[name] for name in listed[0]} == listed[0]
    assert (shown["if_applied"], shown["would_close"]) == ("applied", [])
    assert "\\xffmany" in likes("dead-letters", "show", str(listed[2]["id"])).out
    assert likes("dead-letters", "--json").json == listed  # none was touched


def test_it_is_applied_once_with_who_and_when(rig: Rig, likes: Shell) -> None:
    set_aside(rig, {"video:42": 5})
    (letter,) = ids(rig)
    began = datetime.now(UTC)
    applied = likes("dead-letters", "apply", str(letter), "--by", "mary", "--note", "not counted before")
    assert (applied.code, applied.err) == (0, "")
    assert f"dead letter {letter} (likes of video:42, +5): applied: not counted before" in applied.out
    for _ in range(2):
        again = likes("dead-letters", "apply", str(letter), "--by", "tom")
        assert again.code == 0
        assert "already applied: not counted before by mary at " in again.out
        assert rig.totals()["video:42"] == 5
    (row,) = rig.dead_letters()
    assert (row.resolved_by, row.resolution, row.applied_delta) == ("mary", "applied: not counted before", 5)
    assert began - timedelta(seconds=1) < row.resolved_at < datetime.now(UTC)
    assert likes("audit").code == 0
    assert likes("dead-letters", "--json").json == []
    assert [each["resolved_by"] for each in likes("dead-letters", "--all", "--json").json] == ["mary"]
    refused = likes("dead-letters", "discard", str(letter))
    assert refused.code == 1
    assert "not discarded: applied: not counted before by mary" in refused.out
    assert likes("audit").code == 0


def test_it_is_discarded_and_not_applied_afterwards(rig: Rig, likes: Shell) -> None:
    set_aside(rig, {"video:42": 5})
    letter = str(ids(rig)[0])
    assert likes("dead-letters", "discard", letter).code == 0
    assert "already discarded by" in likes("dead-letters", "discard", letter).out
    refused = likes("dead-letters", "apply", letter)
    assert (refused.code, rig.totals().get("video:42")) == (1, None)
    assert "not applied: discarded by" in refused.out
    (row,) = rig.dead_letters()
    assert (row.resolution, row.applied_delta) == ("discarded", None)
    assert row.resolved_by
    assert likes("audit").code == 0


@pytest.mark.parametrize("command", ["apply", "discard"])
def test_a_dry_run_changes_nothing(rig: Rig, likes: Shell, command: str) -> None:
    set_aside(rig, {"video:42": 5})
    before = rig.copy_sql()
    ran = likes("dead-letters", command, str(ids(rig)[0]), "--dry-run")
    assert (ran.code, rig.copy_sql()) == (0, before)
    assert "would be " in ran.out


def test_all_of_them_but_those_that_cannot_be(rig: Rig, likes: Shell) -> None:
    set_aside(rig, {f"item {n}": n for n in range(1, 8)})
    rig.likes.like("no number")
    rig.redis.set(rig.key("delta:likes:no number"), "many")
    rig.flush()
    ran = likes("dead-letters", "apply", "--all")
    assert ran.code == 3
    assert "not applied: it has no number" in ran.out
    assert "applied: 7; before: 0; not applied: 1" in ran.out
    assert rig.totals() == {"before": 1, "since": 1, **{f"item {n}": n for n in range(1, 8)}}
    assert likes("dead-letters", "apply", "--all").code == 1
    ran = likes("dead-letters", "discard", "--all", "--json")
    assert [(each["item"], each["ok"], each["changed"]) for each in ran.json] == [("no number", True, True)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["apply"], "say which: ids, or --all"),
        (["apply", "1", "--all"], "give ids or --all, not both"),
        (["discard", "1", "--item", "a"], "--item and --reason choose among --all"),
        (["apply", "99"], "there is no dead letter 99 under the prefix likes"),
        (["list", "--item", b"\xff"], "is not text of one line"),
        (["discard", "--all", "--reason", "a\nb"], "is not text of one line"),
        (["show", "99"], "there is no dead letter 99"),
        (["apply", "1", "--by", ""], "--by '' is not a name"),
        (["apply", "1", "--note", "a\nb"], "is not text of one line"),
        (["apply", str(2**63)], "9223372036854775807"),
        (["apply", "x"], "valid integer"),
    ],
)
def test_a_wrong_call_is_refused_before_anything_is_done(
    tmp_path: Path, sqlite_engine: Engine, words: list[str | bytes], said: str
) -> None:
    likes = Shell(tmp_path, database_url=url_of(sqlite_engine))
    ran = likes("dead-letters", *words)
    assert ran.code == 2
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1


# What the database says.


def test_what_the_database_refuses_again_changes_nothing(rig: Rig, likes: Shell) -> None:
    refuse(rig, "full", 5)
    change(rig, update(totals).where(totals.c.item == "full").values(total=MAX_DELTA - 4))
    before = rig.copy_sql()
    ran = likes("dead-letters", "apply", str(ids(rig)[0]))
    assert (ran.code, rig.copy_sql()) == (1, before)
    assert "not applied: the database refused it" in ran.out
    change(rig, update(totals).where(totals.c.item == "full").values(total=0))
    assert likes("dead-letters", "apply", str(ids(rig)[0])).code == 0
    assert rig.totals()["full"] == 5


def test_two_letters_that_are_too_much_together_are_applied_as_far_as_they_go(rig: Rig) -> None:
    for _ in range(2):
        refuse(rig, "full", 5)
        change(rig, update(totals).where(totals.c.item == "full").values(item="other"))
        change(rig, delete(totals).where(totals.c.item == "other"))
    change(rig, insert(totals).values(counter="likes", item="full", total=MAX_DELTA - 7, updated_at=datetime.now(UTC)))
    first, second = apply(rig, *ids(rig))
    assert (first.ok, second.ok) == (True, False)
    assert rig.totals()["full"] == MAX_DELTA - 2


def test_an_item_the_database_could_not_hold_is_applied_by_its_bytes(rig: Rig, likes: Shell) -> None:
    set_aside(rig, {"x": 3})
    change(rig, update(dead_letters).values(item="\\U0001f389 #0a1b2c3d", raw="🎉".encode()))
    ran = likes("dead-letters", "apply", str(ids(rig)[0]))
    assert ran.code == 0
    assert "\\U0001f389 #0a1b2c3d" in ran.out
    assert rig.totals()["🎉"] == 3
    assert likes("audit").code == 0


def test_an_encoding_that_still_cannot_hold_it_refuses_it_again(postgres_server: PostgreSQL) -> None:
    postgres_server._execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    engine = open_engine(postgres_server.url_of("latin") + "?client_encoding=utf8", timeout=10)
    try:
        migrate(engine)
        row = {
            "namespace": "likes",
            "shard": 0,
            "epoch": "e",
            "seq": 1,
            "nonce": "n",
            "counter": "likes",
            "item": "\\U0001f389",
            "delta": 3,
            "raw": "🎉".encode(),
            "reason": "r",
            "at": datetime.now(UTC),
        }
        with writing(engine) as connection:
            (letter,) = connection.execute(insert(dead_letters).values(row)).inserted_primary_key or ()
        (outcome,) = Resolving(engine, "likes", Decision.now("mary")).apply([letter], choose=True)
        assert (outcome.ok, outcome.changed) == (False, False)
        assert "the database refused it" in outcome.words
        with writing(engine) as connection:
            assert connection.execute(totals.select()).all() == []
    finally:
        engine.dispose()
        postgres_server.drop("latin")


# The same likes twice.


def test_what_was_counted_before_redis_went_back_is_not_applied(rig: Rig, likes: Shell) -> None:
    rig.likes.like("counted", 5)
    copy = rig.copy_redis()
    rig.flush()
    rig.restore_redis(copy)
    rig.likes.like("posted since", 3)
    rig.flush()
    assert rig.set_aside() == {"counted": 5, "posted since": 3}
    ran = likes("dead-letters", "apply", "--all")
    assert ran.code == 3
    assert "not applied: batch 1 of its epoch, which held this item too, was counted" in ran.out
    assert rig.totals() == {"counted": 5, "posted since": 3}
    assert likes("dead-letters", "discard", "--all").code == 0
    assert likes("audit").code == 0


@pytest.mark.parametrize(("before", "after"), [(1, 10), (10, 1)])
def test_what_was_counted_under_another_number_is_not_applied(rig: Rig, before: int, after: int) -> None:
    """The size of the batches was changed in between."""
    rig.worker.buffer.batch_items = before
    rig.likes.add({"a": 5, "b": 2, "c": 1})
    copy = rig.copy_redis()
    rig.flush()
    rig.restore_redis(copy)
    rig.likes.like("posted since", 3)
    rig.worker.buffer.batch_items = after
    rig.flush()
    assert rig.set_aside() == {"a": 5, "b": 2, "c": 1, "posted since": 3}
    applied = {outcome.letter.item: outcome.ok for outcome in apply(rig, *ids(rig), choose=False)}
    assert applied == {"a": False, "b": False, "c": False, "posted since": True}


def test_what_was_counted_before_the_copy_keeps_nothing_from_being_applied(rig: Rig) -> None:
    """Nor does an entry of it that was refused."""
    refuse(rig, "full", 5)
    rig.likes.like("a", 2)
    rig.flush()
    rig.likes.like("a", 3)
    copy = rig.copy_redis()
    rig.likes.like("b")
    rig.redis.delete(rig.key("delta:likes:a"))
    rig.flush()
    rig.restore_redis(copy)
    rig.flush()
    refused, set_aside = rig.dead_letters()
    assert (refused.seq, set_aside.item, set_aside.seq) == (1, "a", 3)
    assert [outcome.ok for outcome in apply(rig, refused.id, set_aside.id)] == [True, True]
    assert rig.totals() == {"full": 5, "a": 5, "b": 1}


def test_an_entry_that_was_refused_and_came_back_is_applied_once(rig: Rig) -> None:
    rig.likes.like("full", 5)
    copy = rig.copy_redis()
    change(rig, insert(totals).values(counter="likes", item="full", total=MAX_DELTA, updated_at=datetime.now(UTC)))
    rig.flush()
    rig.restore_redis(copy)
    rig.flush()
    change(rig, update(totals).values(total=0))
    refused, came_back = rig.dead_letters()
    assert (refused.seq, refused.delta) == (came_back.seq, came_back.delta) == (1, 5)
    assert not apply(rig, refused.id, choose=False)[0].ok
    (outcome,) = apply(rig, refused.id)
    assert (outcome.ok, [*outcome.closed]) == (True, [came_back.id])
    assert rig.totals() == {"full": 5}


def test_where_the_ledger_does_not_tell_it_is_not_applied(rig: Rig) -> None:
    rig.likes.like("counted", 5)
    copy = rig.copy_redis()
    rig.flush()
    rig.restore_redis(copy)
    rig.flush()
    change(rig, update(batches).values(payload=None))
    (outcome,) = apply(rig, *ids(rig))
    assert not outcome.ok
    assert "batches 1 to 1 of its epoch were counted, and the ledger does not tell any more" in outcome.words


def test_an_entry_refused_long_ago_is_applied_whatever_was_counted_since(rig: Rig) -> None:
    refuse(rig, "full", 5)
    rig.likes.like("full", 2)
    rig.flush()
    change(rig, delete(batches).where(batches.c.seq == 1))
    (outcome,) = apply(rig, *ids(rig))
    assert outcome.ok
    assert rig.totals()["full"] == 7


def test_of_an_epoch_that_came_back_twice_one_letter_is_applied_and_the_other_closed(rig: Rig, likes: Shell) -> None:
    come_back = set_aside(rig, {"a": 5, "b": 2})
    come_back()
    first, other_item, second, _ = rig.dead_letters()
    assert (first.item, first.seq, other_item.item) == (second.item, second.seq, "b")
    assert first.nonce != second.nonce

    ran = likes("dead-letters", "apply", "--all")
    assert ran.code == 1
    assert f"dead letter {second.id} may hold the same likes: name the one to apply" in ran.out
    ran = likes("dead-letters", "apply", str(second.id))
    assert ran.code == 0
    assert f"applied; closed {first.id}, with the same likes" in ran.out
    refused = likes("dead-letters", "apply", str(first.id))
    assert refused.code == 1
    assert f"closed: dead letter {second.id} with the same likes was applied by" in refused.out
    assert rig.totals() == {"before": 1, "since": 1, "a": 5}

    come_back()
    third = rig.dead_letters()[-2]
    assert third.item == "a"
    refused = likes("dead-letters", "apply", str(third.id))
    assert refused.code == 1
    assert f"dead letter {second.id}, which may hold the same likes, was applied by" in refused.out
    assert rig.totals() == {"before": 1, "since": 1, "a": 5}
    assert likes("audit").code == 0


def test_both_named_in_one_call_the_first_is_applied(rig: Rig) -> None:
    set_aside(rig, {"a": 5})()
    first, second = ids(rig)
    taken, closed = apply(rig, second, first)
    assert (taken.ok, taken.letter.id, [*taken.closed]) == (True, second, [first])
    assert not closed.ok
    assert rig.totals()["a"] == 5


@pytest.mark.parametrize(("before", "after"), [(1, 10), (10, 1)])
def test_the_same_likes_under_another_number_are_known_for_what_they_are(rig: Rig, before: int, after: int) -> None:
    """The size of the batches was changed in between."""
    rig.worker.buffer.batch_items = before
    come_back = set_aside(rig, {"a": 5, "b": 2, "c": 1})
    rig.worker.buffer.batch_items = after
    come_back()
    letters = {(letter.item, n // 3): letter for n, letter in enumerate(rig.dead_letters())}
    early, late = letters["c", 0], letters["c", 1]
    assert early.seq != late.seq
    (outcome,) = apply(rig, late.id)
    assert [*outcome.closed] == [early.id]
    assert not apply(rig, early.id)[0].ok
    assert rig.totals()["c"] == 1


def test_the_same_item_in_two_batches_of_one_draining_is_applied_twice(rig: Rig) -> None:
    rig.likes.like("before")
    rig.flush()
    rig.likes.like("a", 5)
    copy = rig.copy_redis()
    rig.redis.flushall()
    rig.likes.like("since")
    rig.flush()
    rig.restore_redis(copy)
    rig.flush()
    old = rig.dead_letters()[0].epoch
    later = {"namespace": "likes", "shard": 0, "epoch": old, "seq": 3, "nonce": "n3", "counter": "likes"}
    change(rig, insert(dead_letters).values(**later, item="a", delta=2, reason="r", at=datetime.now(UTC)))
    assert [outcome.ok for outcome in apply(rig, *ids(rig))] == [True, True]
    assert rig.totals()["a"] == 7


# Whoever else does it, however it ends.


def test_many_operators_at_once_apply_it_once(rig: Rig) -> None:
    set_aside(rig, {f"item {n}": n for n in range(1, 30)})
    chosen, together = ids(rig), Barrier(4)

    def operate(number: int) -> list[Outcome]:
        engine = open_engine(url_of(rig.engine), timeout=10)
        together.wait()
        try:
            return apply(rig, *(chosen if number % 2 else reversed(chosen)), engine=engine)
        finally:
            engine.dispose()

    with ThreadPoolExecutor(4) as pool:
        outcomes = [outcome for found in pool.map(operate, range(4)) for outcome in found]
    assert all(outcome.ok for outcome in outcomes)
    assert sum(outcome.changed for outcome in outcomes) == len(chosen)
    assert rig.totals() == {"before": 1, "since": 1, **{f"item {n}": n for n in range(1, 30)}}


def test_two_operators_who_take_one_alternative_each_apply_one(rig: Rig) -> None:
    set_aside(rig, {f"item {n}": n for n in range(1, 20)})()
    chosen, together = ids(rig), Barrier(2)
    halves = chosen[: len(chosen) // 2], chosen[len(chosen) // 2 :]

    def operate(half: list[int]) -> list[Outcome]:
        engine = open_engine(url_of(rig.engine), timeout=10)
        together.wait()
        try:
            return [outcome for letter in half for outcome in apply(rig, letter, engine=engine)]
        finally:
            engine.dispose()

    with ThreadPoolExecutor(2) as pool:
        outcomes = [outcome for found in pool.map(operate, halves) for outcome in found]
    assert sum(outcome.changed for outcome in outcomes) == len(chosen) // 2
    assert rig.totals() == {"before": 1, "since": 1, **{f"item {n}": n for n in range(1, 20)}}
    assert sum(letter.applied_delta is not None for letter in rig.dead_letters()) == len(chosen) // 2
    assert all(letter.resolved_at for letter in rig.dead_letters())


class Killed(BaseException):
    """Ends an operator where it stands."""


def test_killed_before_any_statement_or_after_the_commit_and_repeated_it_is_applied_once(rig: Rig) -> None:
    set_aside(rig, {"a": 5, "b": 2})()
    start, chosen = rig.copy_sql(), ids(rig)[:2]
    for call in count(1):
        rig.restore_sql(start)
        left = [call]

        def die(left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise Killed

        def around(name: str, make: Callable[[], Any], die: Callable[[], None] = die) -> Any:
            die()
            result = make()
            if name == "COMMIT":
                die()
            return result

        engine = open_engine(url_of(rig.engine), timeout=10)
        tap_statements(engine, around)
        try:
            apply(rig, *chosen, engine=engine)
        except Killed:
            pass
        else:
            break
        finally:
            engine.dispose()
        state = {(letter.id, letter.applied_delta is None) for letter in rig.dead_letters() if letter.id in chosen}
        assert rig.totals().get("a", 0) == (0 if (chosen[0], True) in state else 5)
        assert all(outcome.ok for outcome in apply(rig, *chosen))
        assert rig.totals() == {"before": 1, "since": 1, "a": 5, "b": 2}
    assert call > 8


def test_a_lost_reply_to_commit_is_told_as_what_it_was(rig: Rig) -> None:
    set_aside(rig, {"a": 5})
    engine = open_engine(url_of(rig.engine), timeout=10)
    lost = iter([True])

    def around(name: str, make: Callable[[], Any]) -> Any:
        result = make()
        if name == "COMMIT" and rig.totals().get("a") and next(lost, False):
            raise engine.dialect.dbapi.OperationalError(2013, "lost") if engine.name != "sqlite" else _busy()
        return result

    def _busy() -> Exception:
        error = engine.dialect.dbapi.OperationalError("busy")
        error.sqlite_errorname = "SQLITE_BUSY"
        return error

    tap_statements(engine, around)
    (outcome,) = apply(rig, *ids(rig), engine=engine)
    engine.dispose()
    assert (outcome.ok, outcome.changed, outcome.words) == (True, True, "applied")
    assert next(lost, "none") == "none"
    assert rig.totals()["a"] == 5


def test_those_of_another_namespace_are_not_touched(rig: Rig) -> None:
    set_aside(rig, {"a": 5})
    other = Resolving(rig.engine, "others", Decision.now("mary"))
    assert [*other.apply(ids(rig), choose=True)] == []
    assert [*other.open_ids(Wanted())] == []
    assert "a" not in rig.totals()
