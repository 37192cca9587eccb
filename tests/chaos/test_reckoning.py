"""The reckoning notices: a like lost outside of every window, one counted twice, a live total that is not true."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.chaos.clock import Clock
from tests.chaos.journal import Journal, Pen, Post, Read
from tests.chaos.live_totals import Truth, dips
from tests.chaos.reckoning import Reckoned, Window, accounts_of, reckon

SHARDS = 4
EVERYWHERE = None


def post(at: float, accepted: dict[str, int], unknown: dict[str, int] | None = None) -> Post:
    unknown = unknown or {}
    return Post(at, {**accepted, **unknown}, at + 1, accepted, unknown)


def reckoned(
    posts: list[Post],
    totals: dict[str, int],
    *,
    windows: tuple[Window, ...] = (),
    letters: Sequence[tuple[str, int]] = (),
) -> Reckoned:
    return reckon(accounts_of(posts, windows, SHARDS), totals, letters)


def test_what_was_acknowledged_and_counted_is_right() -> None:
    found = reckoned([post(10, {"a": 2, "b": -1}), post(20, {"a": 1})], {"a": 3, "b": -1})
    assert (found.wrong, found.lost, found.doubled, found.accepted) == ([], 0, 0, 2)


def test_a_like_lost_without_an_incident_is_wrong() -> None:
    found = reckoned([post(10, {"a": 2})], {"a": 1})
    assert (len(found.wrong), found.lost) == (1, 1)


def test_an_unlike_lost_without_an_incident_is_wrong() -> None:
    found = reckoned([post(10, {"a": 2}), post(10, {"a": -1})], {"a": 2})
    assert (len(found.wrong), found.doubled) == (1, 1)


@pytest.mark.parametrize(
    ("window", "is_right"),
    [
        (Window(EVERYWHERE, 5, 15), True),
        (Window(EVERYWHERE, 11, 15), True),  # it may have been accepted at its very end
        (Window(EVERYWHERE, 5, 10), True),
        (Window(EVERYWHERE, 11.1, 15), False),
        (Window(EVERYWHERE, 5, 9.9), False),
        (Window(0, 5, 15), False),  # `a` is in another shard
    ],
)
def test_a_like_may_be_lost_inside_a_window_of_its_shard(window: Window, is_right: bool) -> None:
    found = reckoned([post(10, {"a": 2})], {}, windows=(window,))
    assert (found.wrong == [], found.lost) == (is_right, 2)


def test_no_more_may_be_lost_than_was_accepted_inside_the_window() -> None:
    posts = [post(10, {"a": 1}), post(100, {"a": 1})]
    assert reckoned(posts, {"a": 1}, windows=(Window(EVERYWHERE, 5, 15),)).wrong == []
    assert reckoned(posts, {"a": 0}, windows=(Window(EVERYWHERE, 5, 15),)).wrong != []


@pytest.mark.parametrize("total", [1, 3])
def test_what_nobody_knows_of_may_count_once_or_not(total: int) -> None:
    assert reckoned([post(10, {"a": 1}, {"b": 2})], {"a": 1, "b": total - 1}).wrong == []


def test_an_unlike_that_nobody_knows_of_is_not_lost() -> None:
    found = reckoned([post(10, {"a": 3}), post(10, {}, {"a": -2})], {"a": 1})
    assert (found.wrong, found.lost, found.unknown) == ([], 0, 2)


def test_a_like_counted_twice_is_wrong_whatever_the_window() -> None:
    found = reckoned([post(10, {"a": 1}, {"b": 1})], {"a": 1, "b": 2}, windows=(Window(EVERYWHERE, 5, 15),))
    assert (len(found.wrong), found.doubled) == (1, 1)


def test_a_total_of_an_item_that_nobody_liked_is_wrong() -> None:
    assert reckoned([], {"a": 1}).doubled == 1


def test_what_is_set_aside_is_not_lost() -> None:
    assert reckoned([post(10, {"a": 3})], {"a": 1}, letters=[("a", 2)]).wrong == []
    assert reckoned([post(10, {"a": 3})], {"a": 1}, letters=[("a", 1)]).wrong != []


def test_unlikes_that_are_set_aside_are_not_counted_twice() -> None:
    found = reckoned([post(10, {"a": -3})], {"a": -1}, letters=[("a", -2)])
    assert (found.wrong, found.doubled, found.lost) == ([], 0, 0)
    assert reckoned([post(10, {"a": -3})], {"a": -1}, letters=[("a", -1)]).doubled == 1


def test_what_is_set_aside_may_have_been_counted_before() -> None:
    both = [("a", 3), ("a", -3)]
    for total in (-3, 0, 3):
        assert reckoned([post(10, {"a": 3}), post(20, {"a": -3})], {"a": total}, letters=both).wrong == []
    found = reckoned([post(10, {"a": 1}), post(20, {"a": -2})], {"a": -2}, letters=[("a", 1), ("a", -2)])
    assert (found.wrong, found.lost) == ([], 0)


def test_a_like_whose_process_died_may_count_or_not(tmp_path: Path) -> None:
    pen, journal = Pen(tmp_path / "journal"), Journal(tmp_path / "journal")
    pen.ends(pen.sends({"a": 1}), accepted={"a": 1})
    pen.sends({"a": 5})
    journal.look()
    for total in (1, 6):
        assert reckoned([*journal.posts.values()], {"a": total}).wrong == []
    for total in (0, 7):
        assert reckoned([*journal.posts.values()], {"a": total}).wrong != []


def test_a_line_that_is_half_written_is_read_later(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    (tmp_path / "journal").write_text('["sent", 1.0, 0, {"a": 1}]\n["done", 2.0, 0, {"a"')
    journal.look()
    assert journal.posts[0].done is None
    with (tmp_path / "journal").open("a") as file:
        file.write(': 1}, {}]\n["read", 4.0, 3.0, {"a": 1}]\n')
    journal.look()
    assert (journal.posts[0].accepted, journal.reads) == ({"a": 1}, [Read(3.0, 4.0, {"a": 1})])


def test_a_live_total_that_falls_is_wrong() -> None:
    reads = [Read(1, 2, {"a": 3, "b": 1}), Read(2, 3, {"a": 3}), Read(3, 4, {"a": 2, "b": 1})]
    assert [*dips(reads)] == ["the live total of a fell from 3 to 2"]


@pytest.mark.parametrize(("total", "is_true"), [(1, False), (2, True), (5, True), (6, False)])
def test_a_live_total_holds_what_was_acknowledged_and_no_more_than_was_sent(total: int, is_true: bool) -> None:
    truth = Truth([post(10, {"a": 2}), post(19, {"a": 3}), post(30, {"a": 4})])
    assert ([*truth.denied_by([Read(19.5, 21, {"a": total})])] == []) is is_true


def test_a_clock_that_is_set_shows_both_while_it_is(tmp_path: Path) -> None:
    clock, began = Clock(tmp_path / "clock"), time.time()
    clock.set(3600)
    ended = time.time()
    assert clock.readings(began, ended) == [(began, ended), (began + 3600, ended + 3600)]
    assert clock.readings(ended + 1, ended + 2) == [(ended + 3601, ended + 3602)]
