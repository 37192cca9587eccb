"""A signal ends a worker, whatever it comes in the middle of."""

from __future__ import annotations

import io
import logging
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from worker import run


class Loop:
    """Only knows whether it is to stop."""

    in_trouble = False

    def __init__(self) -> None:
        self.stopped = 0

    def stop(self) -> None:
        """As of the worker's."""
        self.stopped += 1


class Interrupted(io.RawIOBase):
    """The signal comes while a line is written to it."""

    stream: io.TextIOWrapper

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, line: Any) -> int:
        if not self.lines:
            signal.raise_signal(signal.SIGTERM)
        self.lines.append(bytes(line))
        return len(self.lines[-1])


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> Iterator[Interrupted]:
    raw = Interrupted()
    stream = raw.stream = io.TextIOWrapper(io.BufferedWriter(raw), write_through=True)
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("likes.worker")
    level = logger.level
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "disabled", False)  # Alembic's logging, set up in this process, may have done that
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield raw
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)}
    yield
    signal.alarm(0)
    for number, handler in before.items():
        signal.signal(number, handler)


def test_it_is_told_to_stop_while_it_writes_a_line(stderr: Interrupted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python does not let the handler write then."""
    loop: Any = Loop()
    monkeypatch.setattr(os, "_exit", lambda code: pytest.fail(f"it ended with {code}"))
    monkeypatch.setattr("sys.stderr", stderr.stream)  # here, as pytest sets its own after fixtures
    with run._ending_by_signal(loop):
        logging.getLogger("likes.worker").info("a line")
    assert loop.stopped == 1
    assert stderr.lines == [b"a line\n"]
