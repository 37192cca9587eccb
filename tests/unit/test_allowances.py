"""What a client may still ask for, as far as one process knows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likes.limiting.allowances import LEAST_FORGOTTEN_AT, Allowances, Verdict


def told_at_once(allowances: Allowances, now: float) -> None:
    """Redis is told, and nobody else let pass anything."""
    for client in allowances.tell():
        allowances.hear(client, allowances._clients[client].even_at - now, now)


def take(allowances: Allowances, now: float, client: str = "c") -> Verdict:
    verdict = allowances.take(client, now)
    told_at_once(allowances, now)
    assert verdict is not None
    return verdict


def test_a_quiet_client_may_ask_all_at_once_and_then_steadily() -> None:
    allowances = Allowances(10, 5.0)
    assert [take(allowances, 100.0).remaining for _ in range(10)] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert take(allowances, 100.0) == (False, 0, 0.5)
    assert take(allowances, 100.4).passes is False
    assert take(allowances, 100.5).passes is True
    assert take(allowances, 100.6).passes is False


def test_what_is_left_is_told_with_the_time_it_is_for() -> None:
    """Whoever asks no more often than that is never refused, nor told of more than the rate."""
    allowances = Allowances(10, 5.0)
    assert take(allowances, 100.0) == (True, 9, 4.5)
    for _ in range(8):
        take(allowances, 100.0)
    assert take(allowances, 100.0) == (True, 0, 0.5)


def test_clients_do_not_share() -> None:
    allowances = Allowances(1, 60.0)
    assert take(allowances, 100.0, "a").passes and take(allowances, 100.0, "b").passes
    assert not take(allowances, 100.0, "a").passes


def test_only_a_few_pass_before_redis_is_told() -> None:
    allowances = Allowances(100, 10.0)
    verdicts = [allowances.take("c", 1.0) for _ in range(4)]
    assert [verdict and verdict.passes for verdict in verdicts] == [True, True, True, None]
    assert allowances.tell() == {"c": 3 * 0.1}
    assert allowances.take("c", 1.0) is None  # it may not have been heard yet
    allowances.hear("c", 9.9, 1.0)  # the others let pass 96
    assert allowances.take("c", 1.0) == pytest.approx((True, 0, 0.1))
    assert allowances.take("c", 1.0) == pytest.approx((False, 0, 0.1))


def test_blindly_it_goes_by_what_it_knows_itself() -> None:
    allowances = Allowances(100, 10.0)
    passed = [allowances.take("c", 1.0, blindly=True) for _ in range(101)]
    assert [verdict.passes for verdict in passed if verdict] == [True] * 100 + [False]


def test_those_that_are_even_are_forgotten() -> None:
    allowances = Allowances(1, 1.0)
    for n in range(LEAST_FORGOTTEN_AT):
        take(allowances, 100.0, str(n))
    take(allowances, 101.0, "one more")
    assert len(allowances._clients) == 1
    take(allowances, 200.0, "another")  # looking through few takes more time than it saves memory
    assert len(allowances._clients) == 2


def test_who_is_ahead_or_not_told_of_yet_is_not_forgotten() -> None:
    allowances = Allowances(2, 20.0)
    for n in range(LEAST_FORGOTTEN_AT - 3):
        take(allowances, 90.0, str(n))
    for _ in range(2):
        take(allowances, 100.0, "ahead")
    allowances.take("being told of", 100.0)
    allowances.tell()
    allowances.take("untold", 100.0)
    take(allowances, 115.0, "one more")
    assert allowances._clients.keys() == {"ahead", "being told of", "untold", "one more"}


@given(st.lists(st.floats(0, 3, allow_nan=False), max_size=200), st.integers(1, 20), st.floats(0.1, 20))
def test_in_no_time_more_pass_than_the_rate_and_a_burst(gaps: list[float], requests: int, seconds: float) -> None:
    allowances, now, passed = Allowances(requests, seconds), 50.0, []
    for gap in gaps:
        now += gap
        if take(allowances, now).passes:
            passed.append(now)
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            most = requests + (passed[last] - passed[first]) * requests / seconds
            assert last - first + 1 <= most * (1 + 1e-6) + 1e-6
