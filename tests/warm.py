"""Runs `likes` again and again without loading its libraries each time: a process that has them, and forks.

A command is a process of its own all the same, with its arguments, environment, folder and standard streams.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]

_code: list[int] = []  # of the command that this process is


class Forked:
    """A command that was started, to be used as subprocess.Popen is. `said`: where its stderr is read, if it is."""

    def __init__(self, told: int, said: int | None = None) -> None:
        self.pid = int.from_bytes(os.read(told, 4))
        self.returncode: int | None = None
        self.stdin = self.stdout = None
        self.stderr = None if said is None else os.fdopen(said, "rb")
        self._told = told

    def poll(self) -> int | None:
        """Its exit code, once it has ended."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code; raise TimeoutError if it has none after so many seconds."""
        if (code := self._ended(timeout)) is None:
            raise TimeoutError(f"process {self.pid} goes on for more than {timeout} s")
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._told], [], [], timeout)[0]:
            self.returncode = int.from_bytes(os.read(self._told, 4), signed=True)
            os.close(self._told)
        return self.returncode


class Warm:
    """The process that forks, seen from the tests. checkout: whose `likes` it runs, by the copy of this file there."""

    def __init__(self, checkout: Path) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.warm", str(theirs.fileno())], cwd=checkout, pass_fds=[theirs.fileno()]
            )
        atexit.register(self.close)

    def run(self, words: Sequence[str], folder: Path, environment: Mapping[str, str], streams: Sequence[int]) -> int:
        """Run `likes` with `words`; its exit code. `streams`: the files it has for stdin, stdout and stderr."""
        return Forked(self._ask(words, folder, environment, streams, in_order=False)).wait()

    def start(self, words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Forked:
        """Start `likes` with `words`; its stderr can be read. It ends as it would without us, with all its threads."""
        said, theirs = os.pipe()
        nothing = os.open(os.devnull, os.O_RDWR)
        told = self._ask(words, folder, environment, [nothing, nothing, theirs], in_order=True)
        for stream in (nothing, theirs):
            os.close(stream)
        return Forked(told, said)

    def _ask(
        self,
        words: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        streams: Sequence[int],
        *,
        in_order: bool,
    ) -> int:
        """Where the process id and later the exit code can be read, four bytes each."""
        told, theirs = os.pipe()
        asked = json.dumps([list(words), str(folder), dict(environment), in_order]).encode()
        self._socket.sendall(len(asked).to_bytes(4))
        socket.send_fds(self._socket, [asked[:1]], [*streams, theirs])
        os.close(theirs)
        self._socket.sendall(asked[1:])
        return told

    def close(self) -> None:
        """End it."""
        self._socket.close()
        self._process.wait()


def serve(asking: socket.socket) -> None:
    """Fork for every command asked for, and tell how each ended, until nobody can ask any more."""
    atexit.register(_leave)  # registered first, called last: after threads were joined
    for package in ("cli", "likes", "worker"):
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    importlib.import_module("alembic.command")
    woken, wakes = os.pipe()
    for end in (woken, wakes):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    telling: dict[int, int] = {}  # process -> where its end is told
    while True:
        ready, _, _ = select.select([asking, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _tell_who_ended(telling)
        if asking in ready:
            if not (length := int.from_bytes(asking.recv(4))):
                return
            _fork(asking, length, telling)


def _tell_who_ended(telling: dict[int, int]) -> None:
    while telling:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        _tell(telling[pid], os.waitstatus_to_exitcode(status))
        os.close(telling.pop(pid))


def _tell(where: int, number: int) -> None:
    with suppress(BrokenPipeError):  # nobody asks any more
        os.write(where, number.to_bytes(4, signed=True))


def _fork(asking: socket.socket, length: int, telling: dict[int, int]) -> None:
    asked, streams, *_ = socket.recv_fds(asking, 1, 4)
    while len(asked) < length:
        asked += asking.recv(length - len(asked))
    *streams, told = streams
    if not (child := os.fork()):
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        asking.close()
        for other in (told, *telling.values()):
            os.close(other)
        _become_likes(*json.loads(asked), streams)
    telling[child] = told
    _tell(told, child)
    for stream in streams:
        os.close(stream)


def _become_likes(
    words: list[str], folder: str, environment: dict[str, str], in_order: bool, streams: list[int]
) -> None:
    from likes.__main__ import main

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")  # those there are remember what kind of file they had
    sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace")
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["likes", *words]
    try:
        main()
    except SystemExit as end:
        _code.append(int(end.code or 0))
        if in_order:
            raise
        _leave()


def _leave() -> None:
    """End a command with its code, but without tearing down all that was loaded, which takes half a second."""
    if _code:
        sys.stdout.flush()
        os._exit(_code[0])


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as asking:
        serve(asking)
