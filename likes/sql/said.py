"""What a driver said of an error, in one sentence: PyMySQL gives a tuple, psycopg several lines that repeat where."""

from __future__ import annotations

import re

from sqlalchemy.exc import DBAPIError

# Our messages begin with the place; the number of a system's error says no more than its words.
_REPEATED = re.compile(
    r"^connection (?:failed|is bad): "
    r"|connection to server (?:at|on socket) .*? failed: "
    r"|\b(?:FATAL|ERROR|PANIC): +"
    r"|\[Errno -?\d+\] "
)
_OF_A_FULL_DISK_TOO = "disk I/O error"  # SQLite, where the files beside the database find no room
_WRAPPED = re.compile(r"Can't connect to MySQL server on '[^']*' \((.+)\)")


def said(error: DBAPIError) -> str:
    """The sentence, without a full stop."""
    words = _words(error.orig if error.orig is not None else error)
    line = next((line.strip() for line in words.splitlines() if line.strip()), type(error.orig).__name__)
    wrapped = _WRAPPED.fullmatch(line)
    sentence = _REPEATED.sub("", wrapped[1] if wrapped else line).rstrip(".")
    return f"{sentence} (is the disk full?)" if sentence == _OF_A_FULL_DISK_TOO else sentence


def _words(error: BaseException) -> str:
    match error.args:
        case (int(), str() as words, *_):  # PyMySQL: the code, then what it means
            return words
        case _:
            return str(error)
