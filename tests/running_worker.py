"""`likes worker` and `likes serve` as processes, and what they say."""

from __future__ import annotations

import json
import signal
import subprocess
from threading import Thread
from typing import Any, Self

from tests.shell import Shell
from tests.waiting import wait_until
from tests.warm import Forked

PATIENCE_SECONDS = 120  # a process starts in two seconds, on a machine with much else to do in sixty


class Running:
    """A process that was just started; killed at the end of the block if it still runs."""

    def __init__(self, shell: Shell, *words: str, **settings: object) -> None:
        self.process = self._start(shell, *words, **{"log_format": "json", **settings})
        self.lines: list[str] = []
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()

    def said(self, event: str) -> list[dict[str, Any]]:
        """The events of this name so far."""
        return [each for each in self.said_all() if each["event"] == event]

    def said_all(self) -> list[dict[str, Any]]:
        """All events so far."""
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    def wait_for(self, event: str, times: int = 1) -> dict[str, Any]:
        """The event, once it was said so many times."""

        def heard() -> bool:
            assert self.process.poll() is None or not self._reader.is_alive(), self.lines
            return len(self.said(event)) >= times

        try:
            wait_until(heard, timeout=PATIENCE_SECONDS)
        except TimeoutError:
            raise AssertionError(f"no {event}, but {self.lines}") from None
        return self.said(event)[times - 1]

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; its exit code."""
        self.send(number)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        code = self.process.wait(PATIENCE_SECONDS)
        self._reader.join()
        return code

    def _start(self, shell: Shell, *words: str, **settings: object) -> subprocess.Popen[bytes] | Forked:
        return shell.start(*words, **settings)

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(line.decode().rstrip())


class RunningWorker(Running):
    """`likes worker`, forked: that it starts from scratch, too, others see."""

    def __init__(self, shell: Shell, **settings: object) -> None:
        super().__init__(shell, "worker", **settings)

    def _start(self, shell: Shell, *words: str, **settings: object) -> subprocess.Popen[bytes] | Forked:
        return shell.fork(*words, **settings)
