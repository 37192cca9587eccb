"""A shard's sums against all that is pending, however much that is, and while likes come in."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event, Thread

import pytest
from sqlalchemy import Engine

from likes.buffer.tally import ENTRIES, Weighed, weigh
from tests.rig import Rig


@pytest.fixture
def rig(valkey_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, sqlite_engine) as rig:
        yield rig


@pytest.mark.parametrize("items", [10, ENTRIES + 200])
def test_what_is_missing_or_too_much_is_told_to_the_like(rig: Rig, items: int) -> None:
    rig.likes.add({f"item:{number}": 3 for number in range(items)})
    assert weigh(rig.worker.buffer, 0, rig.epoch()) == Weighed(0, is_sure=True)
    rig.redis.incrby(rig.key("delta:likes:item:5"), 7)
    assert weigh(rig.worker.buffer, 0, rig.epoch()) == Weighed(-7, is_sure=True)
    rig.redis.delete(rig.key("delta:likes:item:5"))
    assert weigh(rig.worker.buffer, 0, rig.epoch()) == Weighed(3, is_sure=True)


def test_likes_that_come_in_are_neither(rig: Rig) -> None:
    rig.likes.add({f"item:{number}": 1 for number in range(ENTRIES + 200)})
    stop = Event()

    def like() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            rig.likes.add({f"item:{number % 2000}": 1, f"new:{number}": 2})

    thread = Thread(target=like)
    thread.start()
    try:
        for _ in range(20):
            assert weigh(rig.worker.buffer, 0, rig.epoch()).missing == 0
        rig.redis.incrby(rig.key("delta:likes:item:5"), 1_000_000)
        assert weigh(rig.worker.buffer, 0, rig.epoch()).missing < -900_000
    finally:
        stop.set()
        thread.join()
