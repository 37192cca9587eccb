"""What the API says in its log, worded in one place."""

from __future__ import annotations

import logging
import signal
import time

_log = logging.getLogger("likes.api")

QUIET_SECONDS = 10.0
_said_at: dict[str, float] = {}


def serving(address: str, processes: int) -> None:
    """It takes requests."""
    _say(logging.INFO, "serving", f"serving on {address}", address=address, processes=processes)


def unusable(why: str) -> None:
    """It takes requests, but a server behind it cannot be used yet."""
    _say(logging.WARNING, "unusable", why)


def process_ended(kind: str, pid: int, code: int, pause: float) -> None:
    """A process ended that nobody had asked to; code: its exit code, or the number of a signal, negative."""
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
    when = f"in {pause:g} s" if pause else "at once"
    words = f"{kind} {pid} {how}; another one is started {when}"
    _say(logging.WARNING, "process_ended", words, kind=kind, pid=pid, code=code, pause=pause)


def rolling() -> None:
    """The processes are replaced, one after the other."""
    _say(logging.INFO, "rolling", "SIGHUP: the processes are replaced, one after the other")


def rolled(seconds: float) -> None:
    """All processes were replaced."""
    _say(logging.INFO, "rolled", f"the processes were replaced, in {seconds:.1f} s", seconds=round(seconds, 3))


def not_replaced(kind: str) -> None:
    """A process that was to take over did not start."""
    words = f"the {kind} that was to take over did not start; the one before goes on, as do those after it"
    _say(logging.ERROR, "not_replaced", words, kind=kind)


def stopping(reason: str) -> None:
    """The end was asked for."""
    _say(logging.INFO, "stopping", f"{reason}: no new requests; those under way are answered", reason=reason)


def killed(kind: str, pid: int, seconds: float) -> None:
    """A process did not end in time."""
    words = f"{kind} {pid} did not end within {seconds:g} s, and was killed; nothing that was answered is lost"
    _say(logging.WARNING, "killed", words, kind=kind, pid=pid, seconds=seconds)


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


def streams_failed(error: BaseException) -> None:
    """Event streams were ended by an error of our own."""
    _say(logging.ERROR, "streams_failed", f"event streams were ended: {error!r}")


def _say(level: int, event: str, words: str, **fields: object) -> None:
    _log.log(level, "%s", words, extra={"event": event, "fields": fields})
