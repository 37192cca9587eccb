"""One client, a process of its own: posts its share of the changes through the library, each when it is due.

    likes demo-client FOLDER STYLE SHARE OF SECONDS

Says `ready`, and begins when it is told to. After each call that came back it says how much it has posted so far:
changes, likes, day.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from cli.demo.source import Change, changes_between, read_counts
from likes import AsyncLikeCounter, LikeCounter

T = TypeVar("T")


class Share:
    """The changes that are this client's to post, and how many it has posted."""

    def __init__(self, changes: Sequence[Change], seconds: float) -> None:
        self.changes = changes
        self.seconds = seconds
        self._posted = self._likes = 0

    def one_by_one(self) -> Iterator[tuple[float, Change]]:
        """Each change, and the seconds to wait before it."""
        return self._paced(self.changes)

    def day_by_day(self) -> Iterator[tuple[float, list[Change]]]:
        """The changes of each day, and the seconds to wait before them."""
        return self._paced([list(day) for _, day in groupby(self.changes, key=lambda change: change.date)])

    def _paced(self, things: Sequence[T]) -> Iterator[tuple[float, T]]:
        began = time.monotonic()
        for number, thing in enumerate(things):
            due = began + self.seconds * number / len(things)
            yield max(0.0, due - time.monotonic()), thing

    def posted(self, *changes: Change) -> None:
        """Say that Redis has accepted `changes`."""
        self._posted += len(changes)
        self._likes += sum(change.likes for change in changes)
        print(self._posted, self._likes, changes[-1].date, flush=True)  # noqa: T201 (to the demo)


def post_one_by_one(folder: Path, share: Share) -> None:
    """A call for each change."""
    with LikeCounter(data_dir=folder) as likes:
        for wait, change in share.one_by_one():
            time.sleep(wait)
            likes.like(change.video, change.likes)
            share.posted(change)


def post_many(folder: Path, share: Share) -> None:
    """A call for each day."""
    with LikeCounter(data_dir=folder) as likes:
        for wait, day in share.day_by_day():
            time.sleep(wait)
            likes.add({change.video: change.likes for change in day})
            share.posted(*day)


def post_side_by_side(folder: Path, share: Share) -> None:
    """A task for each change, those of a day at the same time."""
    asyncio.run(_post_side_by_side(folder, share))


async def _post_side_by_side(folder: Path, share: Share) -> None:
    async with AsyncLikeCounter(data_dir=folder) as likes:
        for wait, day in share.day_by_day():
            await asyncio.sleep(wait)
            await asyncio.gather(*(likes.like(change.video, change.likes) for change in day))
            share.posted(*day)


STYLES = {"like": post_one_by_one, "add": post_many, "asyncio": post_side_by_side}


def post_share(folder: Path, style: str, share: int, of: int, seconds: float) -> None:
    """Post one share of several, when told to begin."""
    changes = changes_between(read_counts())[share::of]
    print("ready", flush=True)  # noqa: T201 (to the demo)
    if sys.stdin.readline():  # nothing comes if the demo has ended meanwhile
        STYLES[style](folder, Share(changes, seconds))
