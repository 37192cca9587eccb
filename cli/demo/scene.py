"""What happens in the demo, in order: clients post, a worker flushes, is killed twice, and carries on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from cli.demo.clients import Clients
from cli.demo.gauge import Gauge, InFlight
from cli.demo.source import Count, changes_between, last_counts
from cli.demo.stage import Stage
from cli.demo.view import Screen, View
from cli.demo.worker import Moment, Worker
from likes.errors import LikesError

INTERVAL, DEFAULT_INTERVAL = 1, 300  # seconds
KILLS = ((0.2, Moment.SEALED), (0.6, Moment.APPLIED))  # after which part of the replay, and where in a flush
TICK_SECONDS = 0.1
DOWN_SECONDS = 1.0  # so that one sees that likes are accepted while no worker runs
HUNT_SECONDS = 3.0  # for the moment wanted; after that, any moment in the middle of a flush will do
GRACE_SECONDS = 60.0

LEFT_BEHIND = {
    False: "handed off, not in the database yet",
    True: "in the database, Redis not told yet",
}


class Scene:
    """One run. `caught`: the batches in flight whenever the worker was killed."""

    def __init__(self, stage: Stage, gauge: Gauge, screen: Screen, counts: Sequence[Count], seconds: float) -> None:
        self._gauge = gauge
        self._screen = screen
        self._began = time.monotonic()
        self._longest = seconds + GRACE_SECONDS
        self._changes = len(changes_between(counts))
        self._view = View(expected=sum(last_counts(counts).values()), date=counts[0].date)
        self.worker = Worker(stage, gauge, INTERVAL)
        self.clients = Clients(stage, seconds)
        self.caught: list[InFlight] = []
        self.kills = 0

    def play(self) -> None:
        """Return when all is posted and flushed. Raises LikesError if a process fails."""
        for _ in self._story():
            self.worker.check()
            self._show()
            if self._seconds() > self._longest:
                raise LikesError(f"the demo is stuck; the worker's last words: {self.worker.last_words}")
            time.sleep(TICK_SECONDS)
        self._show()

    def _story(self) -> Iterator[None]:
        """What happens; time passes at each yield."""
        self._tell("a Redis and a SQLite of its own are up, in a temporary folder")
        yield from self._until(self._gauge.is_claimed)
        self._tell(f"worker {self.worker.pid} flushes every second here; every {DEFAULT_INTERVAL} s by default")
        self.clients.begin()
        self._tell("4 clients post: two with like(), one with add(), one with asyncio")
        for after, moment in KILLS:
            yield from self._until(partial(self._is_past, after))
            yield from self._kill(moment)
        yield from self._until(lambda: not self.clients.are_running())
        self._tell(f"all {self._changes:,} changes are posted; SIGTERM for worker {self.worker.pid}")
        self.worker.stop()
        self._tell("the worker has flushed once more and ended")

    def _kill(self, moment: Moment) -> Iterator[None]:
        """Kill the worker in the middle of a flush; start another, which deals with what was left in flight."""
        impatient = self._seconds() + HUNT_SECONDS
        while not (caught := self.worker.kill_in_flight(moment if self._seconds() < impatient else None, TICK_SECONDS)):
            if self._is_all_flushed():
                return
            yield
        self.kills += 1
        self.caught += caught
        self._tell(f"SIGKILL for worker {self.worker.pid}, in the middle of a flush. In flight:")
        for batch, applied in caught:
            self._tell(f"  {batch.delta:,} likes of {len(batch.deltas)} videos, {LEFT_BEHIND[applied]}")
        yield from self._pause(DOWN_SECONDS)
        self.worker.start()
        self._tell(f"worker {self.worker.pid} is started")
        left = {one.batch.id for one in caught}
        yield from self._until(lambda: not left & {one.batch.id for one in self._gauge.in_flight()})
        self._tell("it has finished what was left in flight")

    def _until(self, condition: Callable[[], bool]) -> Iterator[None]:
        while not condition():
            yield

    def _pause(self, seconds: float) -> Iterator[None]:
        over = self._seconds() + seconds
        return self._until(lambda: self._seconds() >= over)

    def _is_all_flushed(self) -> bool:
        return not self.clients.are_running() and self._gauge.figures().database == self.clients.likes

    def _is_past(self, part: float) -> bool:
        return self._done() >= part

    def _done(self) -> float:
        return self.clients.changes / self._changes

    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _tell(self, news: str) -> None:
        self._screen.tell(self._seconds(), news)

    def _show(self) -> None:
        view = self._view
        view.seconds = self._seconds()
        view.date = self.clients.date or view.date
        view.done = self._done()
        view.worker = f"{self.worker.pid} {self.worker.state}"
        view.flushes = self.worker.flushes
        view.figures = self._gauge.figures()
        self._screen.show(view)
