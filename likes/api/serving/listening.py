"""The listening socket: a port or a file, or one line that says why there is none."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from likes.errors import InvalidInput, LikesError

if TYPE_CHECKING:
    from likes.config.settings import Settings

BACKLOG = 2048  # connections that wait to be taken; the system may have fewer
LONGEST_PATH = 107  # bytes, on Linux


class Listening(NamedTuple):
    """A socket that takes connections, and what people call it."""

    socket: socket.socket
    address: str


@contextmanager
def listening(settings: Settings) -> Iterator[Listening]:
    """Listen where `settings` say, to the end of the block. Raises LikesError, InvalidInput for a path or a host."""
    path = settings.http_unix_socket
    opened = _on_path(path) if path else _on_port(settings.http_host, settings.http_port)
    with opened.socket as door:
        made = path.stat() if path else None
        try:
            yield opened
        finally:
            door.close()
            if path and made:
                _remove(path, made)


def _on_port(host: str, port: int) -> Listening:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise InvalidInput(f"the host {host!r} cannot be listened on: {error}; choose another with --host") from None
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    try:
        door = socket.create_server(address[:2], family=family, backlog=BACKLOG)  # type of address: two strings or more
    except OSError as error:
        raise _refused(host, port, error) from None
    name, number = door.getsockname()[:2]
    return Listening(door, f"http://[{name}]:{number}" if family is socket.AF_INET6 else f"http://{name}:{number}")


def _refused(host: str, port: int, error: OSError) -> LikesError:
    if error.errno == errno.EADDRINUSE:
        return LikesError(f"port {port} of {host} is taken by another program; choose another with --port")
    if error.errno in (errno.EACCES, errno.EPERM):
        return LikesError(f"this user may not listen on port {port}; choose one from 1024 with --port")
    if error.errno == errno.EADDRNOTAVAIL:
        return InvalidInput(f"the host {host!r} is no address of this machine; choose another with --host")
    return LikesError(f"{host!r}, port {port}, cannot be listened on: {error.strerror}; see --host and --port")


def _on_path(path: Path) -> Listening:
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise InvalidInput(f"the path {str(path)!r} is longer than {LONGEST_PATH} bytes; choose another: --unix-socket")
    door = socket.socket(socket.AF_UNIX)
    try:
        _make_room(path)
        door.bind(str(path))
        path.chmod(0o666)  # who may connect is settled by the folder, as with a port by the firewall
        door.listen(BACKLOG)
    except OSError as error:
        door.close()
        reason = error.strerror or str(error)
        raise LikesError(f"{path} cannot be listened on: {reason}; choose another: --unix-socket") from None
    return Listening(door, f"unix:{path.absolute()}")


def _make_room(path: Path) -> None:
    """Remove a socket that a process which was killed has left behind."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError(errno.EEXIST, "there is something else")
    with socket.socket(socket.AF_UNIX) as caller:
        try:
            caller.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError(errno.EADDRINUSE, "another program listens there")


def _remove(path: Path, made: os.stat_result) -> None:
    with suppress(OSError):
        if os.path.samestat(path.lstat(), made):
            path.unlink()
