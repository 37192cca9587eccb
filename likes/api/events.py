"""What the API says in its log, worded in one place."""

from __future__ import annotations

import logging

_log = logging.getLogger("likes.api")


def serving(address: str) -> None:
    """It takes requests."""
    _say(logging.INFO, "serving", f"serving on {address}", address=address)


def stopped() -> None:
    """Every request was answered, and it takes no more."""
    _say(logging.INFO, "stopped", "stopped")


def streams_failed(error: BaseException) -> None:
    """Event streams were ended by an error of our own."""
    _say(logging.ERROR, "streams_failed", f"event streams were ended: {error!r}")


def _say(level: int, event: str, words: str, **fields: object) -> None:
    _log.log(level, "%s", words, extra={"event": event, "fields": fields})
