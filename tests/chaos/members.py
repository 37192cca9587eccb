"""Who lives on the stand, each in a process of its own: producers by thread and by event loop, a client of the API,
readers of live totals. Each writes its journal until it is told to end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread
from typing import Any

from likes import AddFailed, AsyncLikeCounter, LikeCounter, LikesError
from tests.chaos.http_client import HttpClient
from tests.chaos.journal import Pen
from tests.chaos.wishes import HOT, Wishes

PAUSE_SECONDS = 0.02
TIMEOUT = 3.0


@dataclass(frozen=True)
class Life:
    """What a member needs to know. repeats: whether a request whose outcome nobody told is sent again."""

    name: str
    seed: str
    journal: Path
    places: Mapping[str, Any]
    api: str
    repeats: bool

    def wishes(self, part: int) -> Wishes:
        """What its thread of that number likes; the name is in none of the other members' items."""
        return Wishes(self.seed, f"{self.journal.stem}:{part}")


class Ending:
    """Says when it is enough: the other end of the pipe is closed, or whoever had it is dead."""

    def __init__(self, told: Connection) -> None:
        self._told = told

    def after_a_moment(self, seconds: float = PAUSE_SECONDS) -> bool:
        """True if it is; else false, a moment later, as others use this machine too."""
        return self._told.poll(seconds)


def post_by_threads(life: Life, ending: Ending) -> None:
    """Two threads share a counter, as in a web server."""
    pen = Pen(life.journal)
    with LikeCounter(**life.places, redis_timeout=TIMEOUT) as likes:

        def work(part: int) -> None:
            wishes = life.wishes(part)
            while not ending.after_a_moment():
                deltas = wishes.next()
                number = pen.sends(deltas)
                try:
                    if len(deltas) == 1:
                        likes.like(*deltas.copy().popitem())
                    else:
                        likes.add(deltas)
                except LikesError as error:
                    _note_failure(pen, number, deltas, error)
                else:
                    pen.ends(number, accepted=deltas)

        _in_threads(pen, work, 2)


def post_by_a_loop(life: Life, ending: Ending) -> None:
    """Tasks of one event loop, whose likes share script calls."""
    pen = Pen(life.journal)

    async def post(likes: AsyncLikeCounter, deltas: dict[str, int]) -> None:
        number = pen.sends(deltas)
        try:
            if len(deltas) == 1:
                await likes.like(*deltas.copy().popitem())
            else:
                await likes.add(deltas)
        except LikesError as error:
            _note_failure(pen, number, deltas, error)
        else:
            pen.ends(number, accepted=deltas)

    async def work() -> None:
        wishes = life.wishes(0)
        async with AsyncLikeCounter(**life.places, redis_timeout=TIMEOUT) as likes:
            while not await asyncio.to_thread(ending.after_a_moment, 2 * PAUSE_SECONDS):
                await asyncio.gather(*(post(likes, wishes.next()) for _ in range(6)))

    _watched(pen, lambda: asyncio.run(work()))


def post_over_http(life: Life, ending: Ending) -> None:
    """A client of the API, which sends again under the same idempotency key what was not answered."""
    pen = Pen(life.journal)

    def work(part: int) -> None:
        wishes, client = life.wishes(part), HttpClient(life, f"{life.name}:{part}", pen)
        while not ending.after_a_moment():
            client.post(wishes.next())

    _in_threads(pen, work, 2)


def read_by_counter(life: Life, ending: Ending) -> None:
    """Reads live totals with the library."""
    pen = Pen(life.journal)

    def work() -> None:
        with LikeCounter(**life.places, redis_timeout=TIMEOUT) as likes:
            while not ending.after_a_moment():
                began = time.time()
                try:
                    found = likes.live(HOT)
                except LikesError as error:
                    pen.tried(str(error))
                    continue
                pen.reads(began, {item: live.total for item, live in found.items() if live.exact})

    _watched(pen, work)


def read_over_http(life: Life, ending: Ending) -> None:
    """Reads live totals of the API."""
    pen = Pen(life.journal)

    def work() -> None:
        client = HttpClient(life, life.name, pen)
        while not ending.after_a_moment():
            client.read(HOT)

    _watched(pen, work)


MEMBERS: Mapping[str, Callable[[Life, Ending], None]] = {
    "threads": post_by_threads,
    "loop": post_by_a_loop,
    "http": post_over_http,
    "reader": read_by_counter,
    "http reader": read_over_http,
}


def live(life: Life, told: Connection) -> None:
    """Be the member of that name."""
    MEMBERS[life.name](life, Ending(told))


def _note_failure(pen: Pen, number: int, deltas: Mapping[str, int], error: LikesError) -> None:
    if not isinstance(error, AddFailed):  # nothing was counted
        pen.ends(number)
        return
    accounted = error.accepted.keys() | error.refused.keys() | error.unknown.keys()
    if accounted != deltas.keys():
        pen.is_wrong(f"of {sorted(deltas)} only {sorted(accounted)} are accounted for: {error}")
    pen.ends(number, accepted=error.accepted, unknown=error.unknown)


def _in_threads(pen: Pen, work: Callable[[int], None], number: int) -> None:
    threads = [Thread(target=_watched, args=(pen, lambda part=part: work(part))) for part in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _watched(pen: Pen, work: Callable[[], object]) -> None:
    """Nothing but a LikesError may reach a caller."""
    try:
        work()
    except BaseException as error:
        pen.is_wrong(f"raised {error!r}")
        raise
