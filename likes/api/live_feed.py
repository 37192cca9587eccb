"""The feed of live totals: the items of all streams of a process are read together."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import NamedTuple

from likes.api import problems
from likes.api.feed import Feed
from likes.async_counter import AsyncLikeCounter
from likes.errors import LikesError, Unavailable
from likes.live.total import LiveTotal

TICK_SECONDS = 0.5
MOST_STREAMS = 1000
MOST_ITEMS = 10_000  # different ones, of all streams


class Counted(NamedTuple):
    """An item of a counter."""

    counter: str
    item: str


class Trouble(NamedTuple):
    """Why there is no total: the members of a problem."""

    type: str
    title: str
    status: int
    detail: str


LiveFeed = Feed[Counted, LiveTotal | Trouble]


def live_feed(likes: AsyncLikeCounter) -> LiveFeed:
    """The live totals that `likes` reads."""

    async def read(wanted: Collection[Counted]) -> Mapping[Counted, LiveTotal | Trouble]:
        items: dict[str, list[str]] = defaultdict(list)
        for counter, item in wanted:
            items[counter].append(item)
        found = await asyncio.gather(*(_read(likes, counter, some) for counter, some in items.items()))
        return {key: total for totals in found for key, total in totals.items()}

    return Feed(read, tick=TICK_SECONDS, most_streams=MOST_STREAMS, most_keys=MOST_ITEMS)


async def _read(likes: AsyncLikeCounter, counter: str, items: list[str]) -> dict[Counted, LiveTotal | Trouble]:
    """One that cannot be read does not keep the others from being read."""
    try:
        return {Counted(counter, item): total for item, total in (await likes.live(items, counter=counter)).items()}
    except LikesError as error:
        if len(items) == 1 or isinstance(error, Unavailable):
            return dict.fromkeys((Counted(counter, item) for item in items), _trouble(error))
    middle = len(items) // 2
    return await _read(likes, counter, items[:middle]) | await _read(likes, counter, items[middle:])


def _trouble(error: LikesError) -> Trouble:
    problem = problems.of(error)
    return Trouble(problem.type, problem.status.phrase, int(problem.status), problem.detail)
