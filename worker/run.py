"""The worker as a process: put together from settings, ended by a signal."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from likes.buffer.heartbeat import Heartbeat
from likes.buffer.leases import Leases
from likes.connect import Places
from worker import events
from worker.assembly import housekeeping_for, open_flusher
from worker.checks.everything import find_everything
from worker.checks.finding import Finding, Level
from worker.figures import Figures
from worker.loop import Loop
from worker.metrics import serving_metrics
from worker.notices import Notices
from worker.pulse import Pulse
from worker.rounds import Rounds
from worker.schedule import Schedule
from worker.telling import Command, Listener, Url

if TYPE_CHECKING:
    from likes.config.settings import Settings
    from worker.flush import Flusher

LAST_FLUSH_SECONDS = 25  # Kubernetes kills 30 s after it asked
ONE_REQUEST_SECONDS = 1.0  # `timeout`, and what passes Ctrl-C on to its children, send the signal twice


def run(settings: Settings) -> None:
    """Flush on the interval until SIGTERM or SIGINT, then once more.

    A signal is how a worker ends, so that is no failure. Another one, a second later or more, ends it at once, which
    loses nothing; nor does a last flush for which a server is away. Raises SchemaOutdated,
    WrongRedis and WrongDatabase.
    """
    figures = Figures()
    with open_flusher(settings) as flusher, serving_metrics(settings, figures):
        notices = Notices(flusher.buffer, flusher.ledger, _listeners(settings), figures)
        loop = _loop(flusher, settings, figures, notices)
        with _ending_by_signal(loop):
            events.started(
                worker=flusher.ledger.worker,
                redis=flusher.buffer.where,
                database=flusher.ledger.where,
                shards=settings.shards,
                interval=settings.interval,
            )
            _tell_findings(settings)
            loop.run()
            notices.finish()
    events.stopped()


def _tell_findings(settings: Settings) -> None:
    try:
        for finding in find_everything(settings):
            if finding.level in (Level.ERROR, Level.WARNING):
                events.finding(finding)
    except Exception as error:  # noqa: BLE001 (a check that cannot be made must not keep likes from being flushed)
        events.finding(Finding(Level.WARNING, "checks", f"{type(error).__name__}: {error}", "likes check -v"))


def _loop(flusher: Flusher, settings: Settings, figures: Figures, notices: Notices) -> Loop:
    lease_seconds = min(settings.lease_seconds, settings.interval)  # a killed worker's shards miss one turn at most
    leases = Leases(flusher.buffer, lease_seconds)
    pulse = Pulse(Heartbeat(flusher.buffer, flusher.ledger.worker, leases.token))
    return Loop(
        Rounds(flusher, leases, housekeeping_for(flusher, settings), pulse, figures, notices),
        Schedule(settings.interval),
        pulse,
        figures,
        flush_at_items=settings.flush_at_items,
        again_after=lease_seconds,
        revive=Places.from_settings(settings).redis_url,  # starts the embedded server again
    )


def _listeners(settings: Settings) -> list[Listener]:
    command, url = settings.notify_command, settings.notify_url
    return [*([Command(command)] if command else []), *([Url(url.get_secret_value())] if url else [])]


@contextmanager
def _ending_by_signal(loop: Loop) -> Iterator[None]:
    asked_at: float | None = None

    def end(number: int, _frame: object) -> None:
        nonlocal asked_at
        if asked_at is not None:
            if time.monotonic() - asked_at >= ONE_REQUEST_SECONDS:
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
                os._exit(128 + number)  # the first process of a container outlives a signal it does not handle
            return
        asked_at = time.monotonic()
        signal.signal(signal.SIGALRM, cut_short)
        signal.alarm(LAST_FLUSH_SECONDS)
        loop.stop()
        with suppress(RuntimeError):  # the signal came in the middle of another line: this one cannot be written then
            events.stopping(signal.Signals(number).name)

    def cut_short(_signal: int, _frame: object) -> None:
        try:
            events.cut_short(LAST_FLUSH_SECONDS)
        finally:
            os._exit(0 if loop.in_trouble else 1)  # not sys.exit, which waits for the flushing threads

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler if asked_at is None else signal.SIG_IGN)  # the end was asked for, and is near
