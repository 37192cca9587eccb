"""The file behind a path, told from another one that was put in its place."""

from __future__ import annotations

import os
from urllib.parse import unquote, urlsplit

from sqlalchemy import URL, Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from likes.errors import DatabaseUnavailable

FILE = "likes_file"  # in the `info` of a connection: which file it has open


def watch(engine: Engine) -> None:
    """Note of each connection of an engine which file it opens. A file that was there once is not made anew."""
    path = path_of(engine.url)
    was_there = False

    @event.listens_for(engine, "do_connect")
    def before(_dialect: object, record: ConnectionPoolEntry, _args: object, _options: object) -> None:
        found = identity(path)
        if was_there and found is None:
            raise gone(path)
        record.info[FILE] = found

    @event.listens_for(engine, "connect")
    def after(_connection: object, record: ConnectionPoolEntry) -> None:
        nonlocal was_there
        was_there = True
        record.info[FILE] = record.info[FILE] or identity(path)


def path_of(url: URL) -> str:
    """The absolute path of a database's file, whose name may be a URI of its own."""
    name = url.database or ""
    return os.path.abspath(unquote(urlsplit(name).path) if name.startswith("file:") else name)


def identity(path: str) -> tuple[int, int] | None:
    """What tells a file from all others as long as it is open; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def gone(path: str) -> DatabaseUnavailable:
    """The error that says that the file is not there."""
    return DatabaseUnavailable(f"SQLite at {path}: the file is gone; nothing is written until it is back")
