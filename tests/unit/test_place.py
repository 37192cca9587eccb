"""A place where one process always runs: when another is started, and how one ends that does not want to."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from likes.api.serving import place
from likes.api.serving.place import Kind, Place
from tests.waiting import wait_until

READY = "printf r >&0"  # as a process tells by its line, which is its stdin


@asynccontextmanager
async def kept(script: str) -> AsyncIterator[Place]:
    """A place with a process in it, which is started again until the end of the block."""
    one = Place(Kind("process", ["sh", "-c", script], [], signal.SIGHUP, patience=0.1))
    assert await one.begin() is None
    keeping = asyncio.create_task(one.keep())
    yield one
    keeping.cancel()
    with suppress(asyncio.CancelledError):
        await keeping
    await one.end()


def test_one_that_dies_at_once_is_started_ever_more_rarely_until_one_lives(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "likes")
    monkeypatch.setattr(place, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(place, "LONGEST_PAUSE_SECONDS", 0.03)
    monkeypatch.setattr(place, "SHORT_LIFE_SECONDS", 3600)

    def pauses() -> list[float]:
        return [record.__dict__["fields"]["pause"] for record in caplog.records]

    async def watch() -> None:
        async with kept(READY):
            await asyncio.to_thread(wait_until, lambda: len(pauses()) >= 4)
            monkeypatch.setattr(place, "SHORT_LIFE_SECONDS", 0)
            await asyncio.to_thread(wait_until, lambda: 0 in pauses())
            monkeypatch.setattr(place, "SHORT_LIFE_SECONDS", 3600)
            await asyncio.to_thread(wait_until, lambda: pauses()[-1] > 0)

    asyncio.run(watch())
    short, long = pauses(), pauses().index(0)
    assert short[:4] == [0.01, 0.02, 0.03, 0.03]
    assert {*short[4:long]} <= {0.03}
    assert [*dict.fromkeys(short[long:])][:2] == [0, 0.01], "and then it begins anew"


def test_one_that_does_not_want_to_end_is_killed_in_time(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "likes")

    async def watch() -> None:
        async with kept(f"trap '' TERM HUP; {READY}; exec sleep 1000") as one:
            assert await one.replace()

    asyncio.run(watch())
    assert {record.__dict__["event"] for record in caplog.records} == {"killed"}
    assert len(caplog.records) == 2, "the one that was replaced, and its successor"
