"""The worker as the demo sees it: started, killed in the middle of a flush, started again."""

from __future__ import annotations

import os
import signal
import time
from enum import Enum

from cli.demo.clients import last_line
from cli.demo.gauge import Gauge, InFlight
from cli.demo.stage import Stage
from likes.errors import LikesError

STOP_SECONDS = 30.0
STEP_SECONDS = 0.0005


class Moment(Enum):
    """Where in a flush the worker is killed."""

    SEALED = False  # handed off, not in the database yet: a simple worker would lose it
    APPLIED = True  # in the database, Redis not told yet: a simple worker would count it again


class Worker:
    """The process `likes worker`, one after the other."""

    def __init__(self, stage: Stage, gauge: Gauge, interval: float) -> None:
        self._stage = stage
        self._gauge = gauge
        self._interval = interval
        self._log = stage.folder / "worker.log"
        self.start()

    def start(self) -> None:
        """Start the next one."""
        self.state = "running"
        self._process = self._stage.start("worker", "--interval", str(self._interval), log=self._log)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def flushes(self) -> int:
        """How many flushes that counted something were finished, by all of them."""
        return self._log.read_text().count('"event": "flushed"')

    @property
    def last_words(self) -> str:
        """The last line of its log."""
        return last_line(self._log)

    def check(self) -> None:
        """Raise LikesError if it has ended by itself."""
        code = self._process.poll()
        if code is not None and self.state == "running":
            raise LikesError(f"the worker ended by itself (exit code {code}): {self.last_words}")

    def kill_in_flight(self, moment: Moment | None, seconds: float) -> list[InFlight]:
        """Wait up to `seconds` for batches in flight at this moment of a flush, and kill it with SIGKILL.

        The batches left behind; none, and it lives, if there was no such moment.
        """
        until = time.monotonic() + seconds
        caught: list[InFlight] = []
        while time.monotonic() < until:
            if caught or self._gauge.any_in_flight():  # once something is, it is let on step by step
                self._freeze()
                caught = self._gauge.in_flight()
                if any(moment in (None, Moment(one.applied)) for one in caught):
                    self._kill()
                    return caught
                self._process.send_signal(signal.SIGCONT)
            time.sleep(STEP_SECONDS)
        return []

    def _freeze(self) -> None:
        """Stop it where it is, so that looking at what is in flight and killing it are the same moment."""
        self._process.send_signal(signal.SIGSTOP)
        _, status = os.waitpid(self._process.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            raise LikesError(f"the worker ended by itself: {self.last_words}")

    def _kill(self) -> None:
        self.state = "killed"
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it with SIGTERM, which makes it flush once more. Raises LikesError if it fails."""
        self.state = "ended"
        self._process.terminate()
        code = self._process.wait(STOP_SECONDS)
        if code not in (0, 128 + signal.SIGTERM):
            raise LikesError(f"the worker failed (exit code {code}): {self.last_words}")
