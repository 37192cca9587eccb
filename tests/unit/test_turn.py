"""A shard's turn in a flush: what it asks for, row by row, and what it makes of the answers."""

from __future__ import annotations

from typing import Any

from likes.batch import BatchId, Place
from likes.buffer.calls import Call
from likes.buffer.keys import epoch_keys
from likes.buffer.scripts import HandedOff
from likes.buffer.standing import Standing
from likes.buffer.turn import Overtaken, Turn
from likes.errors import RedisRefused
from likes.member import members_of
from tests.ledgers import batch

KEYS = epoch_keys("likes", 3, "e")
A, B, C, D, E = MEMBERS = members_of([b"a", b"b", b"c", b"d", b"e"], b"likes")
STARTED = 1234
REFUSED = RedisRefused("no")


def turn_of(pending: int, *head: Any, seq: int = 0, nonce: str = "") -> Turn:
    turn = Turn(Standing(3, "e", current="e", seq=seq, nonce=nonce, pending=pending), owner="o", started=STARTED)
    turn.see_head(list(head))
    return turn


def arguments(call: Call[Any]) -> dict[str, Any]:
    """What one call of `hand_off` is given, by name; its batch and its members as they stand in the keys."""
    _, _, number, *words = call.words
    keys, (epoch, shard, seq, nonce, fresh, _now, in_flight, next_head, since, owner) = (
        words[: int(number)],
        words[int(number) :],
    )
    members = [key.removeprefix(KEYS.deltas) for key in keys[6:]]
    assert (epoch, shard, call.shard, owner) == ("e", 3, 3, "o")
    assert keys[5] == KEYS.batch(seq + 1)
    return {"after": (seq, nonce), "fresh": fresh, "in_flight": in_flight, "next_head": next_head, "since": since,
            "members": members}  # fmt: skip


def row(turn: Turn, batch_items: int, items_in_a_row: int = 4) -> list[dict[str, Any]]:
    return [arguments(call) for call in turn.hand_offs(KEYS, batch_items, items_in_a_row)]


def test_it_asks_for_as_many_members_as_a_row_takes_and_are_left() -> None:
    def words(left: int) -> tuple[Any, ...]:
        return turn_of(left).look_at_head(KEYS, 4).words

    assert words(2) == ("LRANGE", KEYS.pending, 0, 1)
    assert words(9) == ("LRANGE", KEYS.pending, 0, 3)


def test_each_batch_of_a_row_goes_on_top_of_the_one_before() -> None:
    first, second = row(turn_of(4, A, B, C, D, seq=7, nonce="n"), batch_items=2)
    assert (first["after"], first["members"], first["in_flight"]) == ((7, "n"), [A, B], 0)
    assert (second["after"], second["members"], second["in_flight"]) == ((8, first["fresh"]), [C, D], 1)
    assert len(first["fresh"]) == 32
    assert first["fresh"] != second["fresh"]


def test_only_the_last_call_asks_for_the_next_members_or_says_since_when_the_rest_is_pending() -> None:
    more_is_left = row(turn_of(7, A, B, C, D), batch_items=2)
    assert [(call["next_head"], call["since"]) for call in more_is_left] == [(0, ""), (3, "")]
    nothing_is_left = row(turn_of(3, A, B, C), batch_items=2)
    assert [(call["next_head"], call["since"]) for call in nothing_is_left] == [(0, ""), (0, STARTED)]
    as_many_as_a_row_takes = row(turn_of(9, A, B, C, D), batch_items=4)
    assert [call["next_head"] for call in as_many_as_a_row_takes] == [4]


def test_after_a_row_it_stands_behind_it_and_knows_the_next_members() -> None:
    turn = turn_of(5, A, B, C)
    turn.take([HandedOff(batch(1, ("a", 1)), ()), HandedOff(batch(2, ("b", 1)), (D, E))])
    assert turn.sealed
    assert [one.id for one in turn.sealed.batches] == [BatchId(3, "e", 1, "n1"), BatchId(3, "e", 2, "n2")]
    assert (turn.place, turn.left, turn.head) == (Place("e", 2, "n2"), 2, (D, E))
    assert (turn.error, turn.is_over) == (None, False)
    turn.take([HandedOff(batch(3, ("d", 1)), ())])
    assert (turn.place, turn.left, turn.is_over) == (Place("e", 3, "n3"), 0, True)


def test_it_is_over_when_nothing_more_is_pending_however_much_was_at_the_start() -> None:
    turn = turn_of(5, A)
    turn.take([HandedOff(batch(1, ("a", 1)), ())])
    assert (turn.left, turn.is_over) == (4, True)


def test_where_nothing_is_pending_any_more_it_was_overtaken() -> None:
    """Who took it need not have brought it into SQL."""
    turn = turn_of(5)
    assert row(turn, batch_items=2) == []
    turn.take([])
    assert turn.sealed is None
    assert isinstance(turn.error, Overtaken)


def test_a_row_that_is_not_known_whole_is_left_in_flight() -> None:
    for answers, error in (([None], Overtaken), ([HandedOff(batch(1, ("a", 1)), (B,)), REFUSED], RedisRefused)):
        turn = turn_of(2, A, B)
        turn.take(answers)
        assert isinstance(turn.error, error)
        assert turn.sealed is None
        assert turn.place == Place("e", 0, "")


def test_members_that_cannot_be_read_are_an_error_of_the_shard() -> None:
    turn = turn_of(2)
    turn.see_head(REFUSED)
    turn.take([])
    assert turn.error is REFUSED


def test_an_acknowledgement_that_is_refused_is_an_error_of_the_shard() -> None:
    turn = turn_of(2, A)
    turn.hear([True, False])
    assert turn.error is None
    turn.hear([True, REFUSED])
    assert turn.error is REFUSED
