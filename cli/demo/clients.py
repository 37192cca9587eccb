"""The posting clients as the demo sees them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import IO

from cli.demo.stage import Stage
from likes.errors import LikesError

STYLES = ("like", "like", "add", "asyncio")  # one process each


class Client:
    """A process that posts, and what it has said it posted: changes, likes, day."""

    def __init__(self, stage: Stage, style: str, share: int, seconds: float) -> None:
        self.changes = self.likes = 0
        self.date = ""
        self._log = stage.folder / f"client-{share}.log"
        words = (str(stage.folder), style, str(share), str(len(STYLES)), str(seconds))
        self._process = stage.start("demo-client", *words, log=self._log, talks=True)
        self._listener = Thread(target=self._listen, args=[_open(self._process.stdout)], daemon=True)

    def wait_until_ready(self) -> None:
        """Return when it is; raises LikesError if it ends before."""
        if not _open(self._process.stdout).readline():
            self._process.wait()
            self.is_running()

    def begin(self) -> None:
        """Let it post."""
        _open(self._process.stdin).write("go\n")
        _open(self._process.stdin).flush()
        self._listener.start()

    def is_running(self) -> bool:
        """False when it has posted its share. Raises LikesError if it failed."""
        code = self._process.poll()
        if code:
            raise LikesError(f"a client failed (exit code {code}): {last_line(self._log)}")
        return code is None or self._listener.is_alive()

    def _listen(self, lines: Iterable[str]) -> None:
        with suppress(ValueError):  # closed under our hands when the demo is broken off
            for line in lines:
                changes, likes, self.date = line.split()
                self.changes, self.likes = int(changes), int(likes)


class Clients:
    """All of them. `seconds`: how long they take."""

    def __init__(self, stage: Stage, seconds: float) -> None:
        self._clients = [Client(stage, style, share, seconds) for share, style in enumerate(STYLES)]

    def begin(self) -> None:
        """Let them post, all at the same time."""
        for client in self._clients:
            client.wait_until_ready()
        for client in self._clients:
            client.begin()

    def are_running(self) -> bool:
        """False when all is posted. Raises LikesError if one failed."""
        running = [client.is_running() for client in self._clients]  # every one of them is asked whether it failed
        return any(running)

    @property
    def changes(self) -> int:
        """How many changes they have posted."""
        return sum(client.changes for client in self._clients)

    @property
    def likes(self) -> int:
        """How many likes, as far as they have Redis's word for it."""
        return sum(client.likes for client in self._clients)

    @property
    def date(self) -> str:
        """The day they have come to."""
        return max(client.date for client in self._clients)


def last_line(log: Path) -> str:
    """The last line of a log."""
    return (log.read_text(errors="replace").splitlines() or ["it said nothing"])[-1]


def _open(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise ValueError("this process has no such pipe")
    return pipe
