"""The log of worker and API: a line on stderr for all that is said in them, as text or as JSON with fields."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from likes.config.urls import mask
from likes.moments import iso
from likes.trace import current

EVENTS = "likes"  # the logger above those of worker and API

_URL = re.compile(r"\w[\w+.-]*://\S+")


def configure(log_format: Literal["text", "json"], *, verbose: bool = False) -> None:
    """Send what this process, its libraries and Python say to stderr, a line each; if `verbose`, with tracebacks."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json() if log_format == "json" else Text())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)
    logging.getLogger("psycopg").setLevel(logging.WARNING if verbose else logging.ERROR)  # it says again what it raises
    if not verbose:  # it tells with a traceback that a connection given back to it was broken; the next use says why
        logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    logging.getLogger(EVENTS).setLevel(logging.DEBUG if verbose else logging.INFO)
    threading.excepthook = lambda thrown: _not_caught(thrown.exc_value)
    told_by_python = sys.unraisablehook
    sys.unraisablehook = lambda thrown: (
        _not_caught(thrown.exc_value) if isinstance(thrown.exc_value, Exception) else told_by_python(thrown)
    )


class Text(logging.Formatter):
    """`2026-01-31T12:00:00.123Z info message`; passwords in URLs are masked."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback if there is one."""
        line = f"{_moment(record)} {record.levelname.lower()} {' '.join(_message(record).split())}"
        if trace := current.get():
            line += f" trace_id={trace.trace_id} span_id={trace.span_id}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return _masked(line)


class Json(logging.Formatter):
    """`{"at", "level", "event", "message", …}` with the fields of the event."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, of ASCII alone where stderr may be too narrow for more."""
        said: dict[str, Any] = {"at": _moment(record), "level": record.levelname.lower()}
        said |= {"event": getattr(record, "event", record.name), "message": _masked(_message(record))}
        if trace := current.get():
            said |= trace._asdict()
        fields: Mapping[str, object] = getattr(record, "fields", {})
        said = {**said, **{name: _plain(value) for name, value in fields.items()}, **said}
        if record.exc_info:
            said["traceback"] = _masked(self.formatException(record.exc_info))
        takes_all = sys.stderr.encoding.lower().replace("-", "") == "utf8"
        return json.dumps(said, default=str, ensure_ascii=not takes_all)


def _not_caught(error: BaseException | None) -> None:
    if error is not None:
        trace = (type(error), error, error.__traceback__)
        logging.getLogger(EVENTS).error(
            "%s: %s", type(error).__name__, error, exc_info=trace, extra={"event": "not_caught"}
        )


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # a library's mistake; logging would print a traceback of its own
        return str(record.msg)


def _moment(record: logging.LogRecord) -> str:
    return iso(datetime.fromtimestamp(record.created, UTC))


def _plain(value: object) -> object:
    return iso(value) if isinstance(value, datetime) else _masked(value) if isinstance(value, str) else value


def _masked(line: str) -> str:
    return _URL.sub(lambda url: mask(url[0]), line)
