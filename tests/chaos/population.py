"""Everybody on a stand: members with their journals, two workers, the API."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, suppress
from datetime import datetime
from typing import Self, TypeVar

from likes import Unavailable
from likes.sql.cursors import Cursor
from tests.chaos.clock import Clock
from tests.chaos.journal import Journal, Post
from tests.chaos.member import Member
from tests.chaos.members import MEMBERS, Life
from tests.chaos.stand import SHARDS, Stand
from tests.chaos.started import ClockedShell, Serving
from tests.running_worker import Running, RunningWorker
from tests.waiting import wait_until

Run = TypeVar("Run", bound=Running)

PATIENCE_SECONDS = 180
COMES_ABOUT_SECONDS = 60
A_WHILE_SECONDS = 5


class Population:
    """Lives on a stand during the block.

    repeats: whether its clients send again what nobody answered. alone: one fault at a time.
    missed: what faults were to bring about and did not. wrong: what may not be.
    """

    def __init__(self, stand: Stand, seed: str, *, repeats: bool, alone: bool) -> None:
        self.stand = stand
        self.alone = alone
        self._seed = seed
        self._repeats = repeats
        self._opened = ExitStack()
        self.members: dict[str, Member] = {}
        self.journals: list[Journal] = []
        self.workers: list[Running] = []
        self.all_runs: list[Running] = []
        self.missed: list[str] = []
        self.wrong: list[str] = []

    def __enter__(self) -> Self:
        self.workers = [self.new_worker() for _ in range(2)]
        self.api = self._noted(Serving(self.stand))
        self._port = int(self.api.address.rsplit(":", 1)[1])
        for name in MEMBERS:
            self.start_member(name)
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members.values():
            member.kill()
            member.process.close()
        self._opened.close()

    def start_member(self, name: str) -> None:
        """Start one, perhaps in the place of one that is dead."""
        number = len(self.journals)
        journal = self.stand.folder / f"{number} {name}.journal"
        life = Life(name, f"{self._seed}/{number}", journal, self.stand.places, self.api.address, self._repeats)
        if name in self.members:
            self.members[name].process.close()
        self.members[name] = Member(life)
        self.journals.append(self.members[name].journal)

    def new_worker(self) -> RunningWorker:
        """One more, which is started."""
        return self._noted(RunningWorker(self.stand.shell))

    def replace_dead_workers(self) -> None:
        """As whatever supervises them would."""
        self.workers = [worker if worker.process.poll() is None else self.new_worker() for worker in self.workers]

    def new_worker_with_a_clock(self) -> tuple[Running, Clock]:
        """One that has started, and the clock it goes by."""
        clock = Clock(self.stand.folder / f"clock {len(self.all_runs)}")
        worker = self._noted(Running(ClockedShell(self.stand.shell, clock), "worker"))
        worker.wait_for("started")
        return worker, clock

    def restart_api(self) -> None:
        """Kill it, and start it again where it was."""
        self.api.kill()
        self.api = self._noted(Serving(self.stand, self._port))

    def goes_on(self) -> None:
        """Wait until everybody got through to every shard, and a flush was complete that began after this moment."""
        wait_until(self._going_on(), PATIENCE_SECONDS)

    def a_while(self) -> None:
        """As `goes_on`, while something is broken: not for long, if something else is, too."""
        with suppress(TimeoutError):
            wait_until(self._going_on(), A_WHILE_SECONDS)

    def is_flushed(self) -> None:
        """Wait until a flush of each shard is over, whatever Redis the workers find."""
        before = self._flushed()
        self.sees(lambda: all(self._flushed().get(shard) != by for shard, by in before.items()), "no flush is complete")

    def notices(self, *names: str) -> None:
        """Wait until each of these members failed to do something, or waits for it."""
        since = time.time()
        self.sees(lambda: all(self.members[name].fails(since) for name in names), f"{names} notice nothing")

    def workers_notice(self, breaks: Callable[[], object]) -> None:
        """Do this, and wait until one of them says that it cannot flush."""
        before = self._troubles()
        breaks()
        self.sees(lambda: self._troubles() > before, "no worker notices anything")

    def sees(self, condition: Callable[[], bool], otherwise: str) -> bool:
        """Wait for what a fault is to bring about. It may not come if something else is broken, too: that is told."""
        try:
            wait_until(condition, COMES_ABOUT_SECONDS if self.alone else A_WHILE_SECONDS)
        except TimeoutError:
            self.missed.append(otherwise)
            return False
        return True

    def _going_on(self) -> Callable[[], bool]:
        since = time.time()
        return lambda: (
            all(member.has_got_through(since) for member in self.members.values()) and self._covered() > since
        )

    def recovers(self) -> None:
        """Wait until all is as it was before."""
        self.replace_dead_workers()
        self.goes_on()

    def ends(self) -> list[int]:
        """Let everybody end, workers last; returns how these ended."""
        for member in self.members.values():
            member.let_end()
        for member in self.members.values():
            member.process.join(PATIENCE_SECONDS)
        for journal in self.journals:
            journal.look()
        for worker in self.workers:
            worker.wait_for("started")  # one that was replaced a moment ago does not yet know what SIGTERM is to do
        return [each.stop() for each in (self.api, *self.workers)]

    def posts(self) -> Iterator[Post]:
        """All that was posted."""
        for journal in self.journals:
            yield from journal.posts.values()

    def _covered(self) -> float:
        """The moment, by SQL's clock, before which all is in SQL; 0 while the database does not tell, or knows no epoch
        of a shard yet, so that one of before would be another incident than its fault explains.
        """
        covered = [each.covered_at.timestamp() if each.covered_at and each.epoch else 0.0 for each in self._cursors()]
        return min(covered) if len(covered) == SHARDS else 0.0

    def _flushed(self) -> dict[int, datetime | None]:
        """Of each shard, when its last flush was over; none while the database does not tell."""
        return {cursor.shard: cursor.covered_by for cursor in self._cursors()}

    def _cursors(self) -> Collection[Cursor]:
        try:
            return self.stand.rig.worker.ledger.cursors().values()
        except Unavailable:
            return ()

    def _troubles(self) -> int:
        return sum(len(worker.said("trouble")) for worker in self.workers)

    def _noted(self, running: Run) -> Run:
        self.all_runs.append(running)
        self._opened.enter_context(running)
        return running
