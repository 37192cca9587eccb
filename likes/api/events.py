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


def answered(*, method: str, route: str, path: str, status: int, seconds: float, size: int, client: str) -> None:
    """A request was answered. path: what the client asked for; size: of the answer's body, in bytes."""
    duration_ms = round(seconds * 1000, 3)
    words = f"{method} {path} {status} {duration_ms:.1f} ms {size} B {client}"
    _say(
        logging.INFO,
        "answered",
        words,
        method=method,
        route=route,
        path=path,
        status=status,
        duration_ms=duration_ms,
        bytes=size,
        client=client,
    )


def _say(level: int, event: str, words: str, **fields: object) -> None:
    _log.log(level, "%s", words, extra={"event": event, "fields": fields})
