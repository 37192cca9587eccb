"""Trying mutants, several at once: first with the quick ones of the chosen tests; if one survives, with the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import NamedTuple, Self

from tests.mutants.mutant import Mutant
from tests.mutants.private_copy import PrivateCopy

SLOW_SERVERS = "postgres or mariadb or debian_redis"  # they take a second each to start
QUICK, REST = ("-k", f"not ({SLOW_SERVERS})"), ("-k", SLOW_SERVERS)
ALWAYS = ("--hypothesis-seed=0", "--tb=short")
LEAST_LIMIT_SECONDS = 30.0
LIMIT_FACTOR = 3.0  # a mutant may take so many times as long as the code as it is
NO_LIMIT_SECONDS = 1200.0


class Tested(NamedTuple):
    """A mutant and the files of tests that have to notice it, the cheapest first."""

    mutant: Mutant
    tests: Sequence[str]


class TestsFail(Exception):
    """The chosen tests fail on the code as it is."""


class Trials:
    """Tries mutants of the project at `root` in `jobs` copies; if `quick`, with the quick tests only."""

    def __init__(self, root: Path, jobs: int, *, quick: bool = False) -> None:
        self._root = root
        self._jobs = jobs
        self._rounds = (QUICK,) if quick else (QUICK, REST)
        self._open = ExitStack()
        self._copies: SimpleQueue[PrivateCopy] = SimpleQueue()
        self._limits: dict[tuple[str, ...], float] = {}
        self._measuring: defaultdict[tuple[str, ...], Lock] = defaultdict(Lock)

    def __enter__(self) -> Self:
        for _ in range(self._jobs):
            self._copies.put(self._open.enter_context(PrivateCopy(self._root)))
        with self._a_copy() as copy:
            copy.require_own_modules()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def survivors(self, mutants: Sequence[Tested], after_each: Callable[[Mutant, bool], None]) -> list[Mutant]:
        """Those of `mutants` that no test notices. `after_each` is told each mutant, and whether it survived."""

        def survives(tested: Tested) -> bool:
            survived = all(self._survives(tested.mutant, (*ALWAYS, *some, *tested.tests)) for some in self._rounds)
            after_each(tested.mutant, survived)
            return survived

        with ThreadPoolExecutor(self._jobs) as pool:
            try:
                outcomes = list(pool.map(survives, mutants))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [tested.mutant for tested, survived in zip(mutants, outcomes, strict=True) if survived]

    def _survives(self, mutant: Mutant, options: tuple[str, ...]) -> bool:
        limit = self._limit(options)
        with self._a_copy() as copy, copy.with_mutant(mutant):
            return copy.run(options, limit).passed

    def _limit(self, options: tuple[str, ...]) -> float:
        """How long these tests may take; measured once, on the code as it is."""
        with self._measuring[options]:
            if options not in self._limits:
                with self._a_copy() as copy:
                    ran = copy.run(options, NO_LIMIT_SECONDS)
                if not ran.passed:
                    raise TestsFail(f"without any mutant, pytest {' '.join(options)} fails:\n{ran.output}")
                self._limits[options] = max(LEAST_LIMIT_SECONDS, LIMIT_FACTOR * ran.seconds)
            return self._limits[options]

    @contextmanager
    def _a_copy(self) -> Iterator[PrivateCopy]:
        copy = self._copies.get()
        try:
            yield copy
        finally:
            self._copies.put(copy)
