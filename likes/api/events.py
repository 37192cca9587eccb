"""What the API says in its log, worded in one place."""

from __future__ import annotations

import logging
import signal

_log = logging.getLogger("likes.api")


def serving(address: str, processes: int) -> None:
    """It takes requests."""
    _say(logging.INFO, "serving", f"serving on {address}", address=address, processes=processes)


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


def _say(level: int, event: str, words: str, **fields: object) -> None:
    _log.log(level, "%s", words, extra={"event": event, "fields": fields})
