"""Runs `likes` again and again without loading its libraries each time: a process that has them, and forks.

A command is a process of its own all the same, with its arguments, environment, folder and standard streams.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import pkgutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]


class Warm:
    """The process that forks, seen from the tests. checkout: whose `likes` it runs, with whose copy of this file."""

    def __init__(self, checkout: Path) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.warm", str(theirs.fileno())], cwd=checkout, pass_fds=[theirs.fileno()]
            )
        atexit.register(self.close)

    def run(self, words: Sequence[str], folder: Path, environment: Mapping[str, str], streams: Sequence[int]) -> int:
        """Run `likes` with `words`; its exit code. `streams`: the files it has for stdin, stdout and stderr."""
        asked = json.dumps([list(words), str(folder), dict(environment)]).encode()
        self._socket.sendall(len(asked).to_bytes(4))
        socket.send_fds(self._socket, [asked[:1]], list(streams))
        self._socket.sendall(asked[1:])
        return int.from_bytes(self._socket.recv(4), signed=True)

    def close(self) -> None:
        """End it."""
        self._socket.close()
        self._process.wait()


def serve(asking: socket.socket) -> None:
    """Fork for every command asked for, one after the other, until nobody can ask any more."""
    for package in ("cli", "likes", "worker"):
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    importlib.import_module("alembic.command")
    while length := int.from_bytes(asking.recv(4)):
        first, streams, *_ = socket.recv_fds(asking, 1, 3)
        asked = first
        while len(asked) < length:
            asked += asking.recv(length - len(asked))
        if not (child := os.fork()):
            asking.close()
            _become_likes(*json.loads(asked), streams)
        for stream in streams:
            os.close(stream)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        asking.sendall(code.to_bytes(4, signed=True))


def _become_likes(words: list[str], folder: str, environment: dict[str, str], streams: list[int]) -> None:
    from likes.__main__ import main

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")  # those there are remember what kind of file they had
    sys.stderr = os.fdopen(2, "w", errors="backslashreplace")
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["likes", *words]
    try:
        main()
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(int(end.code or 0))  # without tearing down all that was loaded


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as asking:
        serve(asking)
