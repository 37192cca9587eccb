"""When a worker does not wait for the interval."""

from __future__ import annotations

import pytest

from likes.buffer.backlog import Load
from worker.crowding import is_crowded

MIB = 2**20


@pytest.mark.parametrize(
    ("crowded", "loads", "flush_at_items"),
    [
        (False, [], 10),
        (False, [Load(9)], 10),
        (True, [Load(10)], 10),
        (True, [Load(5), Load(5)], 10),
        (False, [Load(10**9)], 0),
        (True, [Load(10_000, 80 * MIB, 100 * MIB * 95 // 100)], 0),
        (False, [Load(11_000, 79 * MIB, 100 * MIB)], 0),
        (True, [Load(0, 1, 100 * MIB), Load(11_000, 80 * MIB, 100 * MIB)], 0),
        (False, [Load(0, 100 * MIB, 100 * MIB)], 0),
        (False, [Load(10_000, 100 * MIB, 100 * MIB)], 0),  # a million bytes: less than a hundredth
        (False, [Load(10**6, 100 * MIB, 0)], 0),
    ],
)
def test_many_items_or_a_server_that_fills_up(crowded: bool, loads: list[Load], flush_at_items: int) -> None:
    assert is_crowded(loads, flush_at_items) is crowded
