"""Deltas as columns: they are rows, slices, and are joined."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from likes.deltas import Delta, Deltas


def test_columns_are_rows_and_slices() -> None:
    rows = [Delta("likes", name, number) for number, name in enumerate("abcd")]
    columns = Deltas.of(rows)
    assert list(columns) == rows
    assert columns[1] == rows[1]
    assert list(columns[1:3]) == rows[1:3]
    assert len(columns[:2]) == 2


_names = st.tuples(st.sampled_from(["likes", "views"]), st.text("ab", min_size=1, max_size=2))


@given(st.lists(st.dictionaries(_names, st.integers(-9, 9), max_size=5), max_size=4))
def test_joined_deltas_are_in_order_and_add_up(parts: list[dict[tuple[str, str], int]]) -> None:
    sums: dict[tuple[str, str], int] = {}
    for part in parts:
        for name, number in part.items():
            sums[name] = sums.get(name, 0) + number
    columns = [
        Deltas.of([Delta(*name, number) for name, number in part.items()]) if part else Deltas() for part in parts
    ]
    assert list(Deltas.joined(columns)) == [Delta(*name, sums[name]) for name in sorted(sums)]
