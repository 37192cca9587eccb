"""How long a total stays cached, and who reads it anew before that is over."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from likes.batch import BatchId
from likes.buffer import scripts
from likes.buffer.scripts import Cached, Caching, Fill
from tests.conformance.test_buffer import NONCES, OURS, Shard, members

TTL, MAX_AGE = 100_000, 1_000_000  # milliseconds
TAKES_LEASES = Caching(OURS, 0, TTL, MAX_AGE, jitter=0.5, gap=0, factor=0.0, lease=60_000)
LATE = 2_000  # a command may come so much later than the one before


@pytest.fixture
def shard(redis_url: str) -> Iterator[Shard]:
    shard = Shard(redis_url)
    shard.begin()
    shard.claim()
    yield shard
    shard.close()


class Kept(NamedTuple):
    """A cached total as it stands in Redis. left: ms until it is gone."""

    total: int
    cursor: int
    filled: int
    ends: int
    cost: int
    left: int


def key(item: str) -> str:
    return shard_key("total", item)


def shard_key(kind: str, item: str) -> str:
    return f"{{likes:3}}:e:{kind}:likes:{item}"


def now(shard: Shard) -> int:
    seconds, microseconds = shard.redis.time()
    return int(seconds * 1000 + microseconds // 1000)


def kept(shard: Shard, item: str = "a") -> Kept:
    total, cursor, _, filled, ends, cost = shard.redis.get(key(item)).split()
    return Kept(int(total), int(cursor), int(filled), int(ends), int(cost), shard.redis.pttl(key(item)))


def fill(shard: Shard, *items: str, caching: Caching = TAKES_LEASES, cost: int = 10) -> None:
    """SQL said 7 of each."""
    told = Fill([7] * len(items), 0, 0, cost)
    shard.call(scripts.look(shard.keys, members(*items), caching, told))


def craft(shard: Shard, *, left: int, age: int, cost: int = 10, item: str = "a") -> None:
    """Let a cached total have been filled so long ago, and end so soon (ms)."""
    total, cursor, generation, *_ = shard.redis.get(key(item)).split()
    moment = now(shard)
    shard.redis.set(key(item), f"{total} {cursor} {generation} {moment - age} {moment + left} {cost}", px=left)


def look(shard: Shard, caching: Caching = TAKES_LEASES, item: str = "a") -> Any:
    (cached,) = shard.call(scripts.look(shard.keys, members(item), caching)).cached
    return cached


HIT, CHOSEN = Cached(7, 0, refresh=False), Cached(7, 0, refresh=True)


def test_what_is_filled_together_does_not_end_together(shard: Shard) -> None:
    items = [f"item {n}" for n in range(200)]
    fill(shard, *items)
    left = sorted(kept(shard, item).left for item in items)
    assert left[0] >= 0.9 * TTL - LATE and left[-1] <= TTL
    assert left[-1] - left[0] > 0.09 * TTL
    gaps = [after - before for before, after in itertools.pairwise(left)]
    assert max(gaps) < 0.1 * TTL / 20  # evenly: by the golden ratio
    fill(shard, "another", caching=TAKES_LEASES._replace(jitter=0.9))
    fill(shard, "a third", caching=TAKES_LEASES._replace(jitter=0.1))
    assert kept(shard, "another").ends != kept(shard, "a third").ends  # two readers draw numbers of their own


def test_its_key_goes_with_it(shard: Shard) -> None:
    fill(shard, "a")
    assert kept(shard).ends - now(shard) == pytest.approx(kept(shard).left, abs=LATE)
    assert kept(shard).filled == pytest.approx(now(shard), abs=LATE)


def test_a_hit_slides_it_once_a_tenth_has_passed(shard: Shard) -> None:
    caching = TAKES_LEASES._replace(jitter=0.35)  # which gives the first item nearly all of the time to live
    fill(shard, "a")
    craft(shard, left=int(0.95 * TTL), age=1)
    before = kept(shard)
    assert look(shard, caching) == HIT
    assert kept(shard).ends == before.ends  # no write for every read
    craft(shard, left=int(0.85 * TTL), age=1)
    before = kept(shard)
    assert look(shard, caching) == HIT
    assert kept(shard).ends > before.ends + 0.05 * TTL - LATE
    assert kept(shard).left > before.left
    assert kept(shard).filled == before.filled


def test_no_hit_slides_it_past_its_greatest_age(shard: Shard) -> None:
    fill(shard, "a")
    craft(shard, left=10_000, age=MAX_AGE - 30_000)
    for _ in range(3):
        assert look(shard) == HIT
    assert kept(shard).ends == kept(shard).filled + MAX_AGE
    assert kept(shard).left <= 30_000


def test_it_is_not_used_past_its_greatest_age_even_if_its_key_is_there(shard: Shard) -> None:
    fill(shard, "a")
    craft(shard, left=10_000, age=MAX_AGE + 1)
    assert look(shard) == "missing"


@pytest.mark.parametrize("max_age", [TTL, TTL // 2])
def test_nothing_slides_where_the_greatest_age_is_within_the_time_to_live(shard: Shard, max_age: int) -> None:
    caching = TAKES_LEASES._replace(max_age=max_age)
    fill(shard, "a", caching=caching)
    assert kept(shard).left <= max_age
    craft(shard, left=max_age // 4, age=3 * max_age // 4)
    ends = kept(shard).ends
    assert look(shard, caching) == HIT
    assert kept(shard).ends <= kept(shard).filled + max_age
    assert kept(shard).ends == pytest.approx(ends, abs=1)


def test_a_write_through_keeps_the_time_it_has_left(shard: Shard) -> None:
    shard.add({"a": 1}, sequence=1)
    shard.hand_off("a")
    fill(shard, "a")
    craft(shard, left=50_000, age=123)
    before = kept(shard)
    shard.call(scripts.acknowledge(shard.keys, BatchId(3, "e", 1, NONCES[1]), OURS, members("a")))
    after = kept(shard)
    assert (after.total, after.cursor) == (8, 1)
    assert (after.filled, after.ends, after.cost) == (before.filled, before.ends, before.cost)
    assert 50_000 - LATE <= after.left <= 50_000
    assert look(shard) == Cached(8, 1, refresh=False)


# Read anew before its end.


@pytest.mark.parametrize(
    ("gap", "factor", "cost", "left", "chosen"),
    [
        (0, 0.0, 10**6, 10_000, False),  # off
        (9_000, 0.0, 10, 20_000, False),  # gap: its draw lies nearer to the end
        (21_000, 0.0, 10, 20_000, True),
        (0, 1.5, 10_000, 20_000, False),  # per: 15 seconds before its end
        (0, 1.5, 20_000, 20_000, True),
        (0, 3.0, 10_000, 20_000, True),
        (0, 3.0, 10, 20_000, False),  # the query is quick
    ],
)
def test_a_total_is_refreshed_early_by_the_draw_of_its_reader(
    shard: Shard, gap: int, factor: float, cost: int, left: int, chosen: bool
) -> None:
    fill(shard, "a")
    craft(shard, left=left, age=MAX_AGE - left, cost=cost)
    caching = TAKES_LEASES._replace(gap=gap, factor=factor)
    assert look(shard, caching) == (CHOSEN if chosen else HIT)
    assert shard.redis.exists(shard_key("fill", "a")) == chosen


def test_a_total_that_slides_needs_no_refresh_before_its_greatest_age(shard: Shard) -> None:
    fill(shard, "a")
    craft(shard, left=1_000, age=1)
    assert look(shard, TAKES_LEASES._replace(gap=2_000)) == HIT


@pytest.mark.parametrize("draw", [{"gap": 21_000}, {"factor": 1e9}])
def test_only_one_of_many_readers_is_chosen_at_a_time(shard: Shard, draw: dict[str, Any]) -> None:
    fill(shard, "a")
    craft(shard, left=20_000, age=MAX_AGE - 20_000)
    caching = TAKES_LEASES._replace(**draw)
    assert [look(shard, caching) for _ in range(50)] == [CHOSEN] + [HIT] * 49
    shard.redis.delete(shard_key("fill", "a"))  # it ran out
    assert [look(shard, caching) for _ in range(50)] == [CHOSEN] + [HIT] * 49
    fill(shard, "a")
    assert not shard.redis.exists(shard_key("fill", "a"))
    assert look(shard, caching._replace(factor=0.0, gap=0)) == HIT


def test_only_one_of_many_readers_asks_for_what_is_missing(shard: Shard) -> None:
    assert [look(shard) for _ in range(50)] == ["missing"] + ["awaited"] * 49
    assert 0 < shard.redis.pttl(shard_key("fill", "a")) <= 60_000
    assert look(shard, TAKES_LEASES._replace(lease=0)) == "missing"  # who waited long enough asks without one
    fill(shard, "a", caching=TAKES_LEASES._replace(lease=0))
    assert look(shard) == HIT


def test_a_fill_costs_what_its_query_took(shard: Shard) -> None:
    fill(shard, "a", cost=321)
    assert kept(shard).cost == 321
