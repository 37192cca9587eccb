"""The embedded Redis: a real server in the data folder, started when first needed and shared by later commands.

    DATA_DIR/redis/    redis.lock      held by the server as long as it lives
                       redis.sock      its only door
                       appendonlydir/  what it remembers, synced every second
                       redis.log       what it has to say
                       identity        which Redis it is, wherever the folder is moved to

The server inherits the lock it was started under, so the kernel itself knows whether one runs. After a kill -9 or a
reboot the lock is free, and the socket left behind is replaced. While it is held, nobody starts a second server on the
same append-only file. The server has a session of its own: Ctrl-C where it was started does not reach it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from likes.config.folder import absolute, prepare
from likes.embedded.home import Home
from likes.embedded.launch import launch
from likes.errors import LikesError

__all__ = ["EmbeddedStatus", "ensure_running", "identity", "status", "stop"]

PATIENCE = 10.0  # seconds without a sign of life; a server that answers that it is loading gets more
_PAUSE = 0.01


@dataclass(frozen=True, slots=True)
class EmbeddedStatus:
    """The embedded server; where none runs, only its place is known. Sizes in bytes."""

    running: bool
    socket: Path
    binary: Path | None = None
    pid: int | None = None
    version: str | None = None
    memory: int | None = None
    aof_size: int | None = None


def ensure_running(data_dir: Path) -> str:
    """Start the server of this folder unless it runs; return its `unix://` URL once it answers.

    Raises LikesError if it cannot be started, RedisUnavailable if one runs and does not answer.
    """
    home = _home(data_dir)
    if not _is_ready(home.ping()):
        prepare(data_dir)
        home.make_private()
        _start(home)
    return f"unix://{quote(str(home.door))}"


def identity(data_dir: Path) -> str:
    """The random id of the server of this folder, made when it is first asked for. Raises LikesError."""
    home = _home(data_dir)
    home.make_private()
    return home.identity()


def status(data_dir: Path) -> EmbeddedStatus:
    """What the server of this folder says of itself. Raises RedisUnavailable if it runs and does not answer."""
    home = _home(data_dir)
    if not _answers(home):
        return EmbeddedStatus(running=False, socket=home.socket)
    said = dict(line.split(":", 1) for line in home.ask("INFO").splitlines() if ":" in line)
    return EmbeddedStatus(
        running=True,
        socket=home.socket,
        binary=Path(said["executable"]),
        pid=int(said["process_id"]),
        version=said.get("valkey_version", said["redis_version"]),
        memory=int(said["used_memory"]),
        aof_size=int(said["aof_current_size"]),
    )


def stop(data_dir: Path) -> bool:
    """End the server of this folder, its append-only file synced; False if none was running.

    Raises LikesError if it refuses, RedisUnavailable if it runs and does not answer.
    """
    home = _home(data_dir)
    if not _answers(home):
        return False
    if refusal := home.ask("SHUTDOWN"):
        raise LikesError(f"the embedded Redis will not stop: {refusal.splitlines()[0]}; see {home.log}")
    deadline = time.monotonic() + PATIENCE
    while home.is_locked():
        if time.monotonic() > deadline:
            raise home.silence()
        time.sleep(_PAUSE)
    return True


def _home(data_dir: Path) -> Home:
    return Home(absolute(data_dir) / "redis")


def _start(home: Home) -> None:
    """Return when the server answers, whichever of several that try at once has started it."""
    launched = False
    deadline = time.monotonic() + PATIENCE
    while not _is_ready(reply := home.ping()):
        with home.lock() as lock:
            if lock is not None and launched:
                raise LikesError(f"the embedded Redis does not start: {home.last_words()}; see {home.log}")
            if lock is not None:
                launch(home, lock)
                launched = True
        if reply:
            deadline = time.monotonic() + PATIENCE
        if time.monotonic() > deadline:
            raise home.silence()
        time.sleep(_PAUSE)


def _answers(home: Home) -> bool:
    """Whether a server lives here. Waits while one starts or ends: it holds the lock then, but does not answer."""
    deadline = time.monotonic() + PATIENCE
    while home.is_locked():
        if home.ping():
            return True
        if time.monotonic() > deadline:
            raise home.silence()
        time.sleep(_PAUSE)
    return False


def _is_ready(reply: str) -> bool:
    return bool(reply) and not reply.startswith("-LOADING")
