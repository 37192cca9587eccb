"""What the API says in its log, worded in one place."""

from __future__ import annotations

import logging
import time

_log = logging.getLogger("likes.api")

QUIET_SECONDS = 10.0
_said_at: dict[str, float] = {}


def serving(address: str) -> None:
    """It takes requests."""
    _say(logging.INFO, "serving", f"serving on {address}", address=address)


def stopped() -> None:
    """Every request was answered, and it takes no more."""
    _say(logging.INFO, "stopped", "stopped")


def failed(kind: str, why: str) -> None:
    """A request was answered with a problem of this kind, whose reason is ours to know; told once in ten seconds."""
    now = time.monotonic()
    if now - _said_at.get(kind, -QUIET_SECONDS) >= QUIET_SECONDS:
        _said_at[kind] = now
        _say(logging.WARNING, "failed", f"answered {kind}: {why}", kind=kind)


def not_caught(method: str, path: str, error: Exception) -> None:
    """A mistake of ours ended a request."""
    words = f"{method} {path}: {type(error).__name__}: {error}"
    _log.error("%s", words, exc_info=error, extra={"event": "not_caught", "fields": {"path": path}})


def _say(level: int, event: str, words: str, **fields: object) -> None:
    _log.log(level, "%s", words, extra={"event": event, "fields": fields})
