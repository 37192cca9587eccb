"""What the worker says of trouble while it lasts: each kind once, a reminder after a few minutes, then rarer."""

from __future__ import annotations

import pytest

from likes.errors import DatabaseUnavailable, RedisUnavailable
from worker.trouble import Trouble


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.minutes = 0.0

    def __call__(self) -> float:
        return 1000.0 + 60 * self.minutes


@pytest.fixture
def clock() -> Clock:
    return Clock()


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [vars(record)["event"] for record in caplog.records]


def test_reminders_become_rarer(caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    caplog.set_level("INFO", "likes.worker")
    trouble, reminded = Trouble(clock=clock), []
    for minute in range(6 * 60):
        clock.minutes = minute
        before = len(caplog.records)
        trouble.note(RedisUnavailable(f"no route, asked at minute {minute}"))
        if len(caplog.records) > before:
            reminded.append(minute)
    assert reminded == [0, 3, 18, 78, 138, 198, 258, 318]
    assert events(caplog) == ["trouble", *["trouble_lasts"] * 7]
    assert caplog.messages[1].startswith("no flush has succeeded for 3 minutes: no route, asked at minute 3;")


def test_another_trouble_is_told_at_once_and_each_only_once(caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    caplog.set_level("INFO", "likes.worker")
    trouble = Trouble(clock=clock)
    for _ in range(3):
        trouble.note(RedisUnavailable("no Redis"))
        trouble.note(DatabaseUnavailable("no database"))
    assert events(caplog) == ["trouble", "trouble"]
    clock.minutes = 3
    trouble.note(DatabaseUnavailable("no database"))
    trouble.note(RedisUnavailable("no Redis"))
    assert events(caplog) == ["trouble", "trouble", "trouble_lasts"]


def test_after_it_is_over_all_begins_anew(caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    caplog.set_level("INFO", "likes.worker")
    trouble = Trouble(clock=clock)
    assert not trouble.lasts
    trouble.note(RedisUnavailable("no Redis"))
    assert trouble.lasts
    clock.minutes = 2
    trouble.over()
    trouble.over()
    assert not trouble.lasts
    trouble.note(RedisUnavailable("no Redis"))
    clock.minutes = 4
    trouble.note(RedisUnavailable("no Redis"))
    clock.minutes = 5
    trouble.note(RedisUnavailable("no Redis"))
    assert events(caplog) == ["trouble", "recovered", "trouble", "trouble_lasts"]
    assert caplog.messages[1] == "flushing works again, after 120.0 s"
