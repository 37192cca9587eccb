"""Starting the server process: its options, and how it is cut loose from whoever starts it."""

from __future__ import annotations

import os
import subprocess

from likes.embedded.binary import find_server
from likes.embedded.home import Home
from likes.embedded.stopping import CLOSED
from likes.errors import LikesError

# Relative names, since the real folder may be longer than a socket's path may be.
_OPTIONS = {
    "--port": "0",
    "--unixsocket": Home.SOCKET,
    "--unixsocketperm": "700",
    "--dir": ".",
    "--appendonly": "yes",
    "--save": "",
    "--maxmemory-policy": "noeviction",
    "--daemonize": "yes",
    "--pidfile": Home.PID,
    "--logfile": Home.LOG,
    **CLOSED,
}


def launch(home: Home, lock: int) -> None:
    """Start a server that holds `lock` while it lives; what becomes of it then is in its log.

    Raises LikesError if there is no server to start or it refuses at once.
    """
    home.put_old_log_aside()
    options = [word for option in _OPTIONS.items() for word in option]
    try:
        done = subprocess.run(
            [find_server(), *options],
            cwd=home.folder,
            env={**os.environ, "LC_ALL": "C"},  # it does not start under a locale that is not installed
            umask=0o077,
            pass_fds=[lock],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    except OSError as error:
        raise LikesError(f"the embedded Redis does not start: {error}") from None
    if done.returncode:
        words = " ".join(done.stdout.decode(errors="replace").split())
        raise LikesError(f"the embedded Redis does not start: {words or f'exit code {done.returncode}'}")
