"""Signals while a file is posted: the reply under way is waited for, so that it is known what was counted."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

SIGNALS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
ONE_REQUEST_SECONDS = 1.0  # `timeout`, and what passes Ctrl-C on to its children, send the signal twice


class Interrupted(BaseException):
    """Somebody asked to stop."""


class Stopping:
    """While it is entered, a signal only stops what says that it may be stopped.

    `reading` is stopped by the first one, `sending` by another a second later; a third one ends the process.
    """

    def __init__(self) -> None:
        self._asked: list[tuple[int, float]] = []
        self._enough = 0  # so many requests stop what is done now; 0: none

    def __enter__(self) -> Self:
        heeded = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._note) for number in heeded}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """What the first request stops."""
        with self._stopped_by(1):
            yield

    @contextmanager
    def sending(self) -> Iterator[None]:
        """What is only stopped by one who does not want to wait."""
        with self._stopped_by(2):
            yield

    @property
    def code(self) -> int:
        """The exit code of a command that was stopped."""
        return 128 + self._asked[0][0]

    @contextmanager
    def _stopped_by(self, requests: int) -> Iterator[None]:
        self._enough = requests
        try:
            self._raise_if_enough()
            yield
        finally:
            self._enough = 0

    def _raise_if_enough(self) -> None:
        if self._enough and len(self._asked) >= self._enough:
            raise Interrupted

    def _note(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._asked and now - self._asked[-1][1] < ONE_REQUEST_SECONDS:
            return
        self._asked.append((number, now))
        if len(self._asked) > 2:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self._raise_if_enough()
