"""The file behind a path, told from another one that was put in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import unquote, urlsplit

from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.engine import Dialect
from sqlalchemy.pool import ConnectionPoolEntry

from likes.errors import DatabaseUnavailable

_FILE = "likes_file"  # in the `info` of a connection: which file it has open
_ATTEMPTS = 3


class OpenFile(NamedTuple):
    """A path, and which file was there: device and number tell it from all others as long as it is open."""

    path: Path
    identity: tuple[int, int] | None

    @classmethod
    def at(cls, path: Path) -> Self:
        """What is at a path now; nothing is `None`."""
        try:
            found = path.stat()
        except OSError:
            return cls(path, None)
        return cls(path, (found.st_dev, found.st_ino))


def watch(engine: Engine) -> None:
    """Note of each connection of an engine which file it opens. A file that was there once is not made anew."""
    path = _path_of(engine.url)
    was_there = False

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Dialect, record: ConnectionPoolEntry, args: list[Any], options: dict[str, Any]) -> object:
        nonlocal was_there
        for _ in range(_ATTEMPTS):
            before = OpenFile.at(path)
            if was_there and before.identity is None:
                raise _gone(path)
            connection = dialect.connect(*args, **options)
            now = OpenFile.at(path)
            if before.identity in (None, now.identity):  # else nobody knows which of them it opened
                record.info[_FILE] = now
                was_there = True
                return connection
            connection.close()
        raise DatabaseUnavailable(f"SQLite at {path}: the file changes while it is opened")


def is_replaced(connection: Connection) -> bool:
    """True if another file is where that of the connection was. Raises DatabaseUnavailable if there is none."""
    opened: OpenFile | None = connection.info.get(_FILE)
    now = OpenFile.at(opened.path if opened else _path_of(connection.engine.url))
    if now.identity is None:
        raise _gone(now.path)
    return bool(now != connection.info.setdefault(_FILE, now))  # of an application's engine: as first seen


def _path_of(url: URL) -> Path:
    name = url.database or ""
    return Path(unquote(urlsplit(name).path) if name.startswith("file:") else name).absolute()


def _gone(path: Path) -> DatabaseUnavailable:
    return DatabaseUnavailable(f"SQLite at {path}: the file is gone; nothing is written until it is back")
