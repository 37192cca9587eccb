"""What the worker says, worded in one place: a line for each event on stderr, as text or as JSON with its fields."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from likes.config.urls import mask
from likes.errors import LikesError
from likes.moments import iso

if TYPE_CHECKING:
    from likes.batch import BatchId
    from likes.counted import Counted
    from likes.sql.reports import Incident

_log = logging.getLogger("likes.worker")

_URL = re.compile(r"\w[\w+.-]*://\S+")


def configure(log_format: Literal["text", "json"], *, verbose: bool = False) -> None:
    """Send what this process, its libraries and Python say to stderr, a line each; if `verbose`, with tracebacks."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json() if log_format == "json" else Text())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)
    logging.getLogger("psycopg").setLevel(logging.WARNING if verbose else logging.ERROR)  # it says again what it raises
    _log.setLevel(logging.DEBUG if verbose else logging.INFO)
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
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return _masked(line)


class Json(logging.Formatter):
    """`{"at", "level", "event", "message", …}` with the fields of the event."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, of ASCII alone where stderr may be too narrow for more."""
        said: dict[str, Any] = {"at": _moment(record), "level": record.levelname.lower()}
        said |= {"event": getattr(record, "event", record.name), "message": _masked(_message(record))}
        fields: Mapping[str, object] = getattr(record, "fields", {})
        said = {**said, **{name: _plain(value) for name, value in fields.items()}, **said}
        if record.exc_info:
            said["traceback"] = _masked(self.formatException(record.exc_info))
        takes_all = sys.stderr.encoding.lower().replace("-", "") == "utf8"
        return json.dumps(said, default=str, ensure_ascii=not takes_all)


def started(*, worker: str, redis: str, database: str, shards: int, interval: float) -> None:
    """The worker is up; whether its servers are, the first flush will tell."""
    words = f"worker {worker} flushes {shards} shards every {interval:g} s, from {redis} into {database}"
    _say(
        logging.INFO, "started", words, worker=worker, redis=redis, database=database, shards=shards, interval=interval
    )


def flushed(flushed: Counted, seconds: float) -> None:
    """A flush counted something, or set something aside."""
    words = f"flushed {flushed.batches:,} batches, {flushed.items:,} items, {flushed.delta:+,} in {seconds:.2f} s"
    _say(logging.INFO, "flushed", words, **flushed._asdict(), seconds=round(seconds, 3))


def dead_letters(batch: BatchId, count: int) -> None:
    """Entries of a batch could not be counted."""
    which = f"batch {batch.seq} of shard {batch.shard}"
    words = f"{count:,} entries of {which} could not be counted; they are kept as dead letters"
    _say(logging.WARNING, "dead_letters", words, shard=batch.shard, seq=batch.seq, dead_letters=count)


def incident(incident: Incident) -> None:
    """An incident was recorded, by this worker or another."""
    where = "" if incident.shard is None else f" in shard {incident.shard}"
    fields = incident._asdict()
    fields["noticed_at"] = fields.pop("at")
    _say(logging.WARNING, "incident", f"incident {incident.kind}{where}: {incident.detail}", **fields)


def trouble(error: Exception) -> None:
    """A flush failed; said once, until it is over."""
    words = f"{_words(error)}; the worker goes on trying"
    _say(logging.ERROR, "trouble", words, exc_info=_log.isEnabledFor(logging.DEBUG), error=type(error).__name__)


def trouble_lasts(error: Exception, seconds: float) -> None:
    """Flushes go on failing: a reminder."""
    words = f"no flush has succeeded for {seconds / 60:,.0f} minutes: {_words(error)}; the worker goes on trying"
    _say(logging.ERROR, "trouble_lasts", words, error=type(error).__name__, seconds=round(seconds, 3))


def recovered(seconds: float) -> None:
    """A flush succeeded again."""
    _say(logging.INFO, "recovered", f"flushing works again, after {seconds:.1f} s", seconds=round(seconds, 3))


def pruned(*, producers: int, batches: int) -> None:
    """Silent producers and old rows of the ledger were forgotten."""
    words = f"forgot {producers:,} silent producers and {batches:,} old rows of the ledger"
    _say(logging.DEBUG, "pruned", words, producers=producers, batches=batches)


def stopping(reason: str) -> None:
    """The end was asked for."""
    _say(logging.INFO, "stopping", f"{reason}: one last flush", reason=reason)


def left(error: Exception, pending: tuple[int, int] | None) -> None:
    """The last flush could not be done; `pending`: items that are, and batches in flight, if Redis tells."""
    what = "what is pending stays in Redis" if pending is None else _left(*pending)
    words = f"no last flush: {_words(error)}; nothing is lost: {what}, and the next worker goes on from there"
    items, batches = pending or (None, None)
    _say(logging.WARNING, "left", words, pending_items=items, in_flight_batches=batches, error=type(error).__name__)


def _left(items: int, batches: int) -> str:
    return f"{items:,} items are pending in Redis and {batches:,} batches in flight"


def cut_short(seconds: float) -> None:
    """The last flush took too long."""
    words = f"the last flush was not done within {seconds:g} s; nothing is lost, the next worker goes on from there"
    _say(logging.WARNING, "cut_short", words, seconds=seconds)


def stopped() -> None:
    """The last flush is done."""
    _say(logging.INFO, "stopped", "stopped")


def failed(error: Exception) -> None:
    """The worker ends with an error."""
    _say(logging.ERROR, "failed", _words(error), exc_info=_log.isEnabledFor(logging.DEBUG), error=type(error).__name__)


def not_shown(error: LikesError) -> None:
    """Redis takes no heartbeat of this worker."""
    words = f"likes status does not show this worker: {_words(error)}; all else works"
    _say(logging.WARNING, "not_shown", words, error=type(error).__name__)


def _not_caught(error: BaseException | None) -> None:
    if error is not None:
        trace = (type(error), error, error.__traceback__)
        _log.error("%s: %s", type(error).__name__, error, exc_info=trace, extra={"event": "not_caught"})


def _say(level: int, event: str, words: str, *, exc_info: bool = False, **fields: object) -> None:
    _log.log(level, "%s", words, exc_info=exc_info, extra={"event": event, "fields": fields})


def _words(error: Exception) -> str:
    words = str(error) if isinstance(error, LikesError) else f"{type(error).__name__}: {error}"
    return " ".join(words.split())


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
