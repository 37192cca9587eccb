"""Fingerprints are equal for equal sums, differ for others, and tell which item is off."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from likes.deltas import MAX_DELTA, MIN_DELTA
from likes.sql.fingerprint import Fingerprint, place_of

Changes = list[tuple[str, int]]
CHANGES = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(MIN_DELTA, MAX_DELTA)))


def of(*changes: tuple[str, int]) -> Fingerprint:
    fingerprint = Fingerprint()
    assert fingerprint.fold(("likes", item, delta) for item, delta in changes) == len(changes)
    return fingerprint


@given(CHANGES, CHANGES)
def test_it_is_that_of_the_sums_in_whatever_parts_they_came(
    one: list[tuple[str, int]], other: list[tuple[str, int]]
) -> None:
    sums = {item: sum(delta for name, delta in one + other if name == item) for item, _ in one + other}
    whole, parts = of(*sums.items()), Fingerprint(of(*one).pack())
    parts += of(*other)
    assert [*parts.off_from(whole)] == []
    assert Fingerprint(parts.pack()).pack() == whole.pack()
    assert not parts.differs_by(sum(sums.values()))
    assert parts.differs_by(sum(sums.values()) + 1)


@given(st.integers(-(2**60) + 1, 2**60 - 1).filter(bool), CHANGES)
def test_one_item_that_is_off_is_known_by_its_number(amount: int, changes: Changes) -> None:
    ((index, off),) = of(*changes, ("odd", amount)).off_from(of(*changes))
    assert off.amount == amount
    assert (index, True) == (place_of("likes", "odd")[0], off.is_of(place_of("likes", "odd")[1]))
    assert not any(off.is_of(place_of(counter, item)[1]) for counter, item in (("likes", "a"), ("views", "odd")))


def test_what_only_the_sums_hide_is_seen() -> None:
    assert len([*of(("a", 5), ("b", -5)).off_from(Fingerprint())]) == 2
    assert [*of(("a", 5), ("a", -5)).off_from(Fingerprint())] == []


def test_two_items_of_one_slice_are_not_taken_for_a_third() -> None:
    names = [f"item {n}" for n in range(1000)]
    by_slice: dict[int, list[str]] = {}
    for name in names:
        by_slice.setdefault(place_of("likes", name)[0], []).append(name)
    first, second, *_ = next(same for same in by_slice.values() if len(same) > 1)
    ((_, off),) = of((first, 5), (second, -5)).off_from(Fingerprint())
    assert off.amount == 0
    ((_, off),) = of((first, 5), (second, 7)).off_from(Fingerprint())
    assert not any(off.is_of(place_of("likes", name)[1]) for name in names)
