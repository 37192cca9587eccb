"""Everybody on a stand: members with their journals, two workers, the API."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any, Self

import redis

from likes import Unavailable
from likes.items import encode_item, shard_of
from tests.chaos.clock import Clock
from tests.chaos.journal import Journal, Post
from tests.chaos.members import HOT, MEMBERS, Life, live
from tests.chaos.stand import SHARDS, Stand
from tests.running_worker import Running, RunningWorker
from tests.shell import Shell
from tests.waiting import wait_until

PATIENCE_SECONDS = 180
A_WHILE_SECONDS = 5
WAITING_SECONDS = 1  # a like that takes longer waits for something that is broken
_START = multiprocessing.get_context("forkserver")
_START.set_forkserver_preload(["tests.chaos.members", "likes.async_counter", "likes.sql.engine", "psycopg"])
SHARD_OF = {item: shard_of(encode_item(item), SHARDS) for item in HOT}
assert set(SHARD_OF.values()) == set(range(SHARDS)), "hot items are in every shard"


class Serving(RunningWorker):
    """`likes serve`, forked."""

    def __init__(self, stand: Stand, port: int = 0) -> None:
        settings = {**stand.places, "http_port": port}
        Running.__init__(self, stand.shell, "serve", **settings)

    @property
    def address(self) -> str:
        """Where it is, once it serves."""
        return str(self.wait_for("serving")["address"])


class ClockedShell(Shell):
    """Starts processes that go by a clock of their own."""

    def __init__(self, like: Shell, clock: Clock) -> None:
        super().__init__(like.folder, **like.settings)
        self._clock = clock

    def environment(self, **settings: object) -> dict[str, str]:
        return {**super().environment(**settings), **self._clock.environment}


class Member:
    """A process and its journal."""

    def __init__(self, life: Life) -> None:
        self.journal = Journal(life.journal)
        told, self._tells = _START.Pipe(duplex=False)
        self.process = _START.Process(target=live, args=(life, told), daemon=True)
        self.process.start()
        told.close()

    def let_end(self) -> None:
        """It is enough."""
        self._tells.close()

    def kill(self) -> None:
        """SIGKILL."""
        self.let_end()
        self.process.kill()
        self.process.join()

    def has_got_through(self, since: float) -> bool:
        """True once all that it does was done in every shard after that moment."""
        self.journal.look()
        done = (post.accepted for post in self.journal.posts.values() if post.sent > since)
        read = (read.totals for read in self.journal.reads if read.began > since)
        items = {item for some in (*done, *read) for item in some}
        return {SHARD_OF[item] for item in items & SHARD_OF.keys()} == set(range(SHARDS))

    def fails(self, since: float) -> bool:
        """True once something that it tried after that moment failed, or was begun a while ago and is not done."""
        self.journal.look()
        late = time.time() - WAITING_SECONDS
        posts = [post for post in self.journal.posts.values() if post.sent > since]
        waits = any(post.sent < late if post.done is None else not post.accepted for post in posts)
        return waits or any(at > since for at in self.journal.tried)


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

    def notices(self, *names: str) -> None:
        """Wait until each of these members failed to do something, or waits for it."""
        since = time.time()
        self.sees(lambda: all(self.members[name].fails(since) for name in names), f"{names} notice nothing")

    def workers_notice(self) -> None:
        """Wait until one of them says that it cannot flush."""
        before = self._troubles()
        self.sees(lambda: self._troubles() > before, "no worker notices anything")

    def sees(self, condition: Callable[[], bool], otherwise: str) -> None:
        """Wait for what a fault is to bring about. It may not come if something else is broken, too: that is told."""
        try:
            wait_until(condition, PATIENCE_SECONDS if self.alone else A_WHILE_SECONDS)
        except TimeoutError:
            self.missed.append(otherwise)

    def _going_on(self) -> Callable[[], bool]:
        since, now = time.time(), self._redis_now()
        return lambda: all(member.has_got_through(since) for member in self.members.values()) and self._covered() > now

    def recovers(self) -> None:
        """Wait until all is as it was before, and replace workers that ended."""
        self.workers = [worker if worker.process.poll() is None else self.new_worker() for worker in self.workers]
        self.goes_on()

    def ends(self) -> list[int]:
        """Let everybody end, workers last; returns how these ended."""
        for member in self.members.values():
            member.let_end()
        for member in self.members.values():
            member.process.join(PATIENCE_SECONDS)
        for journal in self.journals:
            journal.look()
        return [each.stop() for each in (self.api, *self.workers)]

    def posts(self) -> Iterator[Post]:
        """All that was posted."""
        for journal in self.journals:
            yield from journal.posts.values()

    def _covered(self) -> float:
        """The moment, by Redis's clock, before which all is in SQL; 0 while the database does not tell."""
        try:
            cursors = self.stand.rig.worker.ledger.cursors().values()
        except Unavailable:
            return 0.0
        covered = [cursor.covered_to.timestamp() if cursor.covered_to else 0.0 for cursor in cursors]
        return min(covered) if len(covered) == SHARDS else 0.0

    def _troubles(self) -> int:
        return sum(len(worker.said("trouble")) for worker in self.workers)

    def _redis_now(self) -> float:
        try:
            return self.stand.rig.redis_now().timestamp()
        except redis.RedisError:
            return time.time()

    def _noted(self, running: Any) -> Any:
        self.all_runs.append(running)
        return self._opened.enter_context(running)
