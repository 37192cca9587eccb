"""The folder of one embedded server: its lock, its socket, its log."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import ClassVar

from likes.config.folder import refused
from likes.embedded.short_path import short_path
from likes.errors import RedisUnavailable

ANSWER_TIMEOUT = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class Home:
    """Where one server lives. It may not exist yet."""

    SOCKET: ClassVar[str] = "redis.sock"
    LOG: ClassVar[str] = "redis.log"
    PID: ClassVar[str] = "redis.pid"
    IDENTITY: ClassVar[str] = "identity"

    folder: Path

    @property
    def socket(self) -> Path:
        """Where the socket is."""
        return self.folder / self.SOCKET

    @property
    def door(self) -> Path:
        """The socket, by a name that is short enough to connect to."""
        return short_path(self.socket)

    @property
    def log(self) -> Path:
        """What the server has said since it was started last."""
        return self.folder / self.LOG

    def make_private(self) -> None:
        """Make the folder, for its owner only: it is the only protection the server has."""
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            if self.folder.stat().st_uid != os.geteuid():
                raise PermissionError(f"{self.folder.name}/ in it belongs to another user")
            self.folder.chmod(0o700)
        except OSError as error:
            raise refused(self.folder.parent, error) from None

    def identity(self) -> str:
        """A random id, made when it is first asked for: of several that ask at once the first one's."""
        path = self.folder / self.IDENTITY
        try:
            if not path.exists():
                draft = path.with_suffix(f".{token_hex(8)}")
                draft.write_text(token_hex(16))
                with suppress(FileExistsError):
                    path.hardlink_to(draft)  # whole, or not at all
                draft.unlink()
            return path.read_text()
        except OSError as error:
            raise refused(self.folder.parent, error) from None

    @contextmanager
    def lock(self) -> Iterator[int | None]:
        """The lock's descriptor, or None while a server holds it. Closing it gives it up, unless it is inherited."""
        try:
            lock = os.open(self.folder / "redis.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise refused(self.folder.parent, error) from None
        try:
            yield lock if _try_to_lock(lock) else None
        finally:
            os.close(lock)

    def is_locked(self) -> bool:
        """Whether a server lives here, be it starting, frozen or ending."""
        if not self.folder.is_dir():
            return False
        with self.lock() as lock:
            return lock is None

    def ping(self) -> str:
        """The reply to PING; empty if there is none."""
        try:
            return self.ask("PING")
        except RedisUnavailable:
            return ""

    def ask(self, command: str) -> str:
        """The reply to one command, as it comes over the wire. Raises RedisUnavailable if there is none."""
        reply = b""
        try:
            with socket.socket(socket.AF_UNIX) as door:
                door.settimeout(ANSWER_TIMEOUT)
                door.connect(str(self.door))
                door.sendall(f"{command}\r\nQUIT\r\n".encode())
                while received := door.recv(65536):
                    reply += received
        except OSError:
            raise self.silence() from None
        return reply.decode(errors="replace")

    def silence(self) -> RedisUnavailable:
        """The error for a server that does not answer."""
        try:
            pid = f" (process {int((self.folder / self.PID).read_text())})"
        except (OSError, ValueError):
            pid = ""
        return RedisUnavailable(f"the embedded Redis{pid} in {self.folder} does not answer; see {self.log}")

    def put_old_log_aside(self) -> None:
        """Let the next server begin a new log; the one before it is kept."""
        with suppress(OSError):
            self.log.replace(self.log.with_suffix(".old.log"))

    def last_words(self) -> str:
        """The last warning in the log, else its last line, without the time."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError as error:
            return str(error)
        if not lines:
            return "it cannot even write its log (is the disk full?)"
        warnings = [line for line in lines if " # " in line]
        return (warnings or lines)[-1].split(" # ")[-1]


def _try_to_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
