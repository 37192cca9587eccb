"""`likes reshard` dies before or after every single external call: it goes on, or back, and is exact."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import count

import pytest
from sqlalchemy import Engine

from likes import LikeCounter
from likes.errors import Resharding, WrongShards
from likes.sql.urls import url_of
from tests.crash.mortal import Mortals
from tests.rig import Rig

NUMBERS = (1, 2)
ITEMS = {f"video:{number}": number for number in range(1, 7)}  # in all shards under both numbers


@pytest.fixture(scope="module")
def mortals() -> Iterator[Mortals]:
    with Mortals("tests.crash.mortal_resharding") as mortals:
        yield mortals


class Changing:
    """Likes of clients of both numbers, and what of them must be there."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.places = {"redis_url": rig.places.redis, "database_url": url_of(rig.engine)}
        self.counted = dict.fromkeys(ITEMS, 0)

    def like(self, shards: int) -> bool:
        """One more of each, by a client of this number; False if it was refused."""
        with LikeCounter(**self.places, shards=shards, redis_timeout=0.5) as likes:
            try:
                likes.add(ITEMS)
            except (WrongShards, Resharding):
                return False
            self.counted = {item: before + ITEMS[item] for item, before in self.counted.items()}
            return True

    def is_true(self, shards: int) -> bool:
        """True if a client of this number reads what was counted, False if it is told that it cannot."""
        with LikeCounter(**self.places, shards=shards) as likes:
            try:
                assert likes.totals(ITEMS) == self.counted
            except WrongShards:
                return False
            return True


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_it_dies_at_any_call_and_goes_on_or_back(
    valkey_url: str, engine: Engine, mortals: Mortals, moment: str
) -> None:
    """Where one of the two deaths is followed by going on, the other is by going back: the servers are left alike."""
    now, other = NUMBERS
    with Rig(valkey_url, engine, shards=now, batch_items=2) as rig:
        changing = Changing(rig)
        for call in count(1):
            assert changing.like(now)
            died = mortals.obeys([rig.places.redis, rig.places.database, moment, call, other, now])
            for shards in NUMBERS:
                changing.is_true(shards)
            if (call % 2 == 0) is (moment == "before"):
                now, other = other, now
            rig.reshard(now)
            assert changing.like(now), f"died {moment} call {call}"
            assert (changing.is_true(now), changing.is_true(other)) == (True, False)
            if not died:
                break
        assert call > 30
        with rig.new_worker(any_number=True) as worker:
            worker.flush()
        assert rig.totals() == changing.counted
        assert (rig.kinds(), rig.dead_letters()) == ([], [])


@pytest.mark.parametrize("migrated_url", ["postgres"], indirect=True)
def test_a_worker_flushes_whatever_it_leaves(valkey_url: str, engine: Engine, mortals: Mortals) -> None:
    """Between its death and the next run, workers of both numbers flush, or are refused."""
    before, to = NUMBERS
    with Rig(valkey_url, engine, shards=before, batch_items=2) as rig, Rig(valkey_url, engine, shards=to) as other:
        changing = Changing(rig)
        for call in count(1, 3):
            assert changing.like(before)
            died = mortals.obeys([rig.places.redis, rig.places.database, "before", call, to, before])
            for worker in (rig, other):
                with suppress(WrongShards):
                    worker.flush()
            for shards in NUMBERS:
                changing.is_true(shards)
            rig.reshard(before)
            assert changing.like(before)
            if not died:
                break
        rig.flush()
        assert rig.totals() == changing.counted
        assert (rig.kinds(), rig.dead_letters()) == ([], [])
