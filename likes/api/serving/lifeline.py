"""The line between `likes serve` and a process of it: the process's stdin, a socket of which it holds the other end.

A byte up the line says that the process is ready. The line's end says that `likes serve` is gone, however it died, and
the process ends as if it had been told to: so none is left behind that holds the port.
"""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from threading import Thread

STDIN = 0


def hold() -> None:
    """Have this process get SIGTERM when the line ends."""
    Thread(target=_wait, name="likes-lifeline", daemon=True).start()


def say_ready() -> None:
    """Tell `likes serve`, if it still is."""
    with socket.socket(fileno=os.dup(STDIN)) as line, suppress(OSError):
        line.sendall(b"r")


def _wait() -> None:
    with suppress(OSError):
        while os.read(STDIN, 1):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
