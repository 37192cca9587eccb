"""How the draws of a look fall: a total is refreshed the likelier the nearer its end is and the more it cost."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from likes.buffer.scripts import Cached, Caching
from likes.live.caching import BETA, LONGEST_GAP_SECONDS, TELL_SECONDS, CacheCounts, CacheRules, EarlyRefresh

LOOKS = 20_000


@pytest.fixture(autouse=True)
def _same_numbers() -> Iterator[None]:
    random.seed(8)
    yield
    random.seed()


def draws(rules: CacheRules) -> list[Caching]:
    return [rules.of_a_look("1" * 32, takes_leases=True) for _ in range(LOOKS)]


def share_refreshed(looks: list[Caching], left: float, cost: float) -> float:
    """Of these looks those that refresh a total that ends in `left` ms and cost `cost` ms, as the script decides it."""
    return sum(left <= look.gap + cost * look.factor for look in looks) / len(looks)


def test_per_refreshes_as_xfetch_says() -> None:
    """-ln of a number drawn evenly is exponential: the probability is exp(-left / (beta * cost))."""
    looks = draws(CacheRules(early_refresh="per"))
    assert all(look.gap == 0 and look.factor >= 0 for look in looks)
    for left, cost in [(0, 10), (1, 10), (10, 10), (30, 10), (100, 10), (100, 100), (1000, 100)]:
        assert share_refreshed(looks, left, cost) == pytest.approx(math.exp(-left / (BETA * cost)), abs=0.015)


def test_gap_refreshes_evenly_over_the_time_before_the_end() -> None:
    looks = draws(CacheRules(ttl=100, early_refresh="gap"))
    assert all(look.factor == 0 for look in looks)
    for left, expected in [(0, 1.0), (2_500, 0.75), (5_000, 0.5), (9_000, 0.1), (10_001, 0.0)]:
        assert share_refreshed(looks, left, cost=10**6) == pytest.approx(expected, abs=0.015)


def test_the_gap_is_at_most_a_minute() -> None:
    assert max(look.gap for look in draws(CacheRules(ttl=86_400, early_refresh="gap"))) <= 1000 * LONGEST_GAP_SECONDS


def test_off_refreshes_nothing_before_its_end() -> None:
    looks = draws(CacheRules(early_refresh="off"))
    assert share_refreshed(looks, left=1, cost=10**6) == 0


def test_jitter_is_drawn_for_each_look() -> None:
    jitters = [look.jitter for look in draws(CacheRules())]
    assert all(0 < jitter <= 1 for jitter in jitters)
    tenths = [sum(tenth < 10 * jitter <= tenth + 1 for jitter in jitters) / LOOKS for tenth in range(10)]
    assert tenths == pytest.approx([0.1] * 10, abs=0.01)


def test_times_are_told_in_milliseconds() -> None:
    look = CacheRules(ttl=1.5, max_age=2.5).of_a_look("d", takes_leases=False)
    assert (look.database, look.time_to_live, look.max_age, look.lease) == ("d", 1500, 2500, 0)
    assert CacheRules().of_a_look("d", takes_leases=True).lease == 500


def test_counts_are_told_once_a_second_and_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("likes.live.caching.time.monotonic", lambda: now[0])
    counts = CacheCounts()
    assert counts.due() == ()
    counts.note("missing")
    counts.note("awaited")
    counts.note(Cached(1, 1, refresh=True))
    counts.note(Cached(1, 1, refresh=False))
    assert counts.due() == (2, 1, 1, 1)
    counts.note("missing")
    assert counts.due() == ()
    now[0] += TELL_SECONDS
    assert counts.due() == (0, 1, 0, 0)
    now[0] += TELL_SECONDS
    assert counts.due() == ()


# What it comes to: one hot item that is read and ends, in time that only passes here.

READS_A_SECOND = 200
COST_MS = 50
TTL_SECONDS = 10
RENEWALS = 300
KINDS: tuple[EarlyRefresh, ...] = ("off", "gap", "per")


@dataclass
class Outcome:
    """For each time that a total was renewed: queries, readers who found nothing, and how many milliseconds before its
    end the first query began. at_once: the most queries at once.
    """

    queries: float = 0
    waited: float = 0
    early: float = 0
    at_once: int = 0


def simulate(early_refresh: EarlyRefresh, *, takes_leases: bool) -> Outcome:
    """One total that is filled anew COST_MS after a query began; a lease is held meanwhile."""
    rules, outcome = CacheRules(ttl=TTL_SECONDS, early_refresh=early_refresh), Outcome()
    now = ends = 0.0
    fills: list[float] = []  # when the queries that are going on will fill
    renewed = 0
    while renewed < RENEWALS or fills:
        now += random.expovariate(READS_A_SECOND) * 1000
        for fill in [fill for fill in fills if fill <= now]:
            ends = fill + rules.ttl * 1000
            fills.remove(fill)
        look = rules.of_a_look("d", takes_leases=takes_leases)
        is_over = ends <= now
        outcome.waited += is_over / RENEWALS
        if (is_over or ends - now <= look.gap + COST_MS * look.factor) and not (fills and takes_leases):
            if not fills:
                renewed += 1
                outcome.early += max(ends - now, 0) / RENEWALS
            outcome.queries += 1 / RENEWALS
            fills.append(now + COST_MS)
            outcome.at_once = max(outcome.at_once, len(fills))
    return outcome


def test_chance_alone_makes_a_stampede_small() -> None:
    """200 reads a second, a query of 50 ms: who renews, if nobody knows of the others."""
    off, gap, per = (simulate(kind, takes_leases=False) for kind in KINDS)
    assert 9 < off.queries < 13 and off.at_once > 15  # all who come while the first query runs
    assert gap.queries < 4 and per.queries < 4
    assert gap.waited < 1 and per.waited < 1


def test_with_leases_one_reader_asks_and_chance_lets_hardly_anybody_wait() -> None:
    off, gap, per = (simulate(kind, takes_leases=True) for kind in KINDS)
    assert off.queries == gap.queries == per.queries == pytest.approx(1)
    assert off.at_once == gap.at_once == per.at_once == 1
    assert 9 < off.waited < 13 and gap.waited < 0.5 and per.waited < 0.5
    assert off.early == 0 and per.early < gap.early / 3  # PER renews as late as the query allows


if __name__ == "__main__":  # the table in docs/patterns.md
    random.seed(8)
    for takes_leases in (False, True):
        for kind in KINDS:
            each = simulate(kind, takes_leases=takes_leases)
            print(takes_leases, kind, {name: round(value, 2) for name, value in vars(each).items()})
