"""The rules as pure functions, against the model's words for them, over every small state there is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import NamedTuple

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from likes.batch import FORMAT, Batch, BatchId
from likes.buffer.standing import ShardView, Standing
from likes.sql.cursors import Cursor
from worker.decisions import Do, Step, Verdict, judge, next_step, went_back

EPOCHS = ["e1", "e2", "e3"]
SEQS = [0, 1, 2, 3]
NONCES = ["", "n", "m"]


def cursor_at(epoch: str | None, seq: int, nonce: str) -> Cursor:
    return Cursor(
        shard=0,
        epoch=epoch,
        seq=seq,
        nonce=nonce,
        applied_delta=0,
        redis_name="redis",
        replid="",
        run_id="",
        updated_at=datetime.now(UTC),
    )


def a_batch(epoch: str, seq: int, nonce: str, previous: str) -> Batch:
    return Batch.unpack(msgpack.packb([FORMAT, epoch, 0, seq, nonce, previous, 0, [], [], []]))


# A batch in flight.


def test_the_verdict_on_a_batch_in_every_small_state() -> None:
    """`apply` of the model, written down once more; plus the one thing the model leaves to the order of its steps."""
    yes_or_no = [False, True]
    shards = product(["e1", "e2", None], SEQS, NONCES, ["", "e1", "e2"])
    found = product(*[yes_or_no] * 6)
    for (epoch, seq, nonce, pointer), (recorded, retired, older_in_flight, listed, ancestor, sealed) in product(
        shards, found
    ):
        cursor = cursor_at(epoch, seq, nonce)
        for number, previous in product([1, 2, 3], NONCES):
            batch = a_batch("e1", number, "b", previous)
            older = (BatchId(0, "e1", number - 1, "o"),) if older_in_flight else ()
            in_flight = (*older, batch.id) if listed else older
            redis = Standing(0, "e1", pointer, seq=number, nonce="b", in_flight=in_flight)
            remembers = {place for place, it_does in [(cursor.place, ancestor), (batch.place, sealed)] if it_does}
            verdict = judge(batch, cursor, recorded=recorded, retired=retired, redis=redis, remembers=remembers)

            here = epoch == "e1" and not retired
            follows = (seq, nonce) == (number - 1, previous)
            if here and follows:
                expected = Verdict.NEXT
            elif recorded:
                expected = Verdict.RECORDED
            elif here and older_in_flight:
                expected = Verdict.NOT_YET
            elif here and sealed and not listed:
                expected = Verdict.ACKNOWLEDGED
            elif here and number > seq + 1 and listed and (ancestor or not seq):
                expected = Verdict.SQL_WENT_BACK
            elif here or retired or pointer != "e1":
                expected = Verdict.SUSPECT
            else:
                expected = Verdict.ADOPT
            assert verdict is expected, (cursor, batch.id, redis)


# A shard.


class Seen(NamedTuple):
    """All that a step is decided from."""

    cursor: Cursor
    retired: frozenset[str]
    view: ShardView
    flushed: frozenset[str]


def epoch_views(epoch: str) -> st.SearchStrategy[Standing]:
    ids = st.builds(BatchId, st.just(0), st.just(epoch), st.integers(1, 3), st.just("n"))
    return st.builds(
        Standing,
        st.just(0),
        st.just(epoch),
        st.just(epoch),
        seq=st.sampled_from(SEQS),
        nonce=st.sampled_from(NONCES),
        pending=st.integers(0, 2),
        in_flight=st.lists(ids, max_size=1).map(tuple),
    )


@st.composite
def seen(draw: st.DrawFn) -> Seen:
    """A shard as any history might leave it, and some as none should."""
    pointer = draw(st.sampled_from(["", *EPOCHS]))
    listed = draw(st.sets(st.sampled_from(EPOCHS))) | ({pointer} - {""})
    views = {epoch: draw(epoch_views(epoch)) for epoch in sorted(listed)}
    retired = draw(st.frozensets(st.sampled_from(EPOCHS)))
    current = draw(st.sampled_from([None, *sorted(set(EPOCHS) - retired)]))
    cursor = cursor_at(current, draw(st.sampled_from(SEQS)), draw(st.sampled_from(NONCES)))
    return Seen(cursor, retired, ShardView(0, "", pointer, views), draw(st.frozensets(st.sampled_from(EPOCHS))))


@given(seen())
def test_each_step_is_allowed_by_the_rules(seen: Seen) -> None:
    cursor, retired, view, flushed = seen
    step = next_step(*seen)
    if step is None or step == Step(Do.BEGIN, ""):
        assert step is None or (cursor.epoch and not view.current)
        return
    epoch = view.epochs[step.epoch]
    assert bool(epoch.in_flight) is (step.do is Do.SETTLE), "batches in flight first, and only they are settled"
    match step.do:
        case Do.HAND_OFF:
            assert epoch.pending and epoch.epoch not in flushed
            assert epoch.epoch in retired or (epoch.epoch == cursor.epoch and epoch.place == cursor.place)
        case Do.CATCH_UP:
            assert epoch.epoch == cursor.epoch
            assert epoch.seq > cursor.seq
        case Do.RETIRE:
            left_behind = epoch.epoch not in (cursor.epoch, view.current)
            assert epoch.epoch not in retired
            assert left_behind or (epoch.epoch == cursor.epoch and went_back(epoch, cursor))
        case Do.ADOPT:
            assert epoch.epoch == view.current != cursor.epoch
            assert epoch.epoch not in retired
        case Do.BEGIN:
            assert epoch.epoch == view.current
            assert epoch.epoch in retired
        case Do.DROP:
            assert epoch.epoch in retired
            assert epoch.epoch not in (view.current, cursor.epoch)
            assert not epoch.pending or epoch.epoch in flushed


@given(seen())
def test_the_steps_come_to_an_end_with_one_epoch_that_both_sides_agree_on(seen: Seen) -> None:
    seen = seen._replace(flushed=frozenset())
    for _ in range(30):
        step = next_step(*seen)
        if step is None:
            break
        seen = take(step, seen)
    else:
        raise AssertionError(f"no end in sight: {step}")
    assert seen.view.current == (seen.cursor.epoch or "")
    assert set(seen.view.epochs) <= {seen.view.current}
    assert all(not epoch.pending and not epoch.in_flight for epoch in seen.view.epochs.values())


def take(step: Step, seen: Seen) -> Seen:
    """What the step does to both servers, nobody else being at it."""
    cursor, retired, view, _ = seen
    epochs = dict(view.epochs)
    epoch = epochs.get(step.epoch)
    match step.do:
        case Do.BEGIN:
            fresh = f"fresh {len(retired)}"
            epochs[fresh] = Standing(0, fresh, fresh)
            return seen._replace(view=ShardView(0, "", fresh, epochs))
        case Do.DROP:
            del epochs[step.epoch]
        case Do.CATCH_UP:
            assert epoch
            cursor = cursor_at(step.epoch, epoch.seq, epoch.nonce)
        case Do.RETIRE:
            retired |= {step.epoch}
            cursor = cursor_at(None, 0, "") if cursor.epoch == step.epoch else cursor
        case Do.ADOPT:
            retired |= {cursor.epoch} if cursor.epoch else set()
            cursor = cursor_at(step.epoch, 0, "")
        case Do.SETTLE | Do.HAND_OFF:
            assert epoch
            seq, nonce = (epoch.seq, epoch.nonce) if step.do is Do.SETTLE else (epoch.seq + 1, "new")
            pending = epoch.pending if step.do is Do.SETTLE else 0
            epochs[step.epoch] = replace(epoch, seq=seq, nonce=nonce, pending=pending, in_flight=())
            if cursor.epoch == step.epoch:
                cursor = cursor_at(step.epoch, seq, nonce)
            elif step.do is Do.SETTLE and step.epoch not in retired:
                retired, cursor = settle_unknown(step.epoch, retired, cursor, view.current, seq, nonce)
    return seen._replace(cursor=cursor, retired=retired, view=ShardView(0, "", view.current, epochs))


def settle_unknown(
    epoch: str, retired: frozenset[str], cursor: Cursor, pointer: str, seq: int, nonce: str
) -> tuple[frozenset[str], Cursor]:
    """A batch of an epoch SQL does not know: adopted if Redis points at it, else set aside."""
    if epoch != pointer:
        return retired | {epoch}, cursor
    return retired | ({cursor.epoch} if cursor.epoch else set()), cursor_at(epoch, seq, nonce)
