"""What the worker says, worded in one place: a line for each event on stderr, as text or as JSON with its fields."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from likes.config.urls import mask
from likes.errors import LikesError
from worker.checks.finding import Finding, Level

if TYPE_CHECKING:
    from likes.batch import BatchId
    from likes.counted import Counted
    from likes.sql.reports import Incident

_log = logging.getLogger("likes.worker")

_URL = re.compile(r"\w[\w+.-]*://\S+")


def configure(log_format: Literal["text", "json"], *, verbose: bool = False) -> None:
    """Send what this process and its libraries log to stderr, a line each; if `verbose`, with tracebacks and more."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json() if log_format == "json" else Text())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    _log.setLevel(logging.DEBUG if verbose else logging.INFO)


class Text(logging.Formatter):
    """`2026-01-31T12:00:00.123Z info message`; passwords in URLs are masked."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback if there is one."""
        line = f"{_moment(record)} {record.levelname.lower()} {record.getMessage()}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return _masked(line)


class Json(logging.Formatter):
    """`{"at", "level", "event", "message", …}` with the fields of the event."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        said: dict[str, Any] = {"at": _moment(record), "level": record.levelname.lower()}
        said |= {"event": getattr(record, "event", record.name), "message": _masked(record.getMessage())}
        said |= getattr(record, "fields", {})
        if record.exc_info:
            said["traceback"] = _masked(self.formatException(record.exc_info))
        return json.dumps(said, default=str, ensure_ascii=False)


def started(*, worker: str, redis: str, database: str, shards: int, interval: float) -> None:
    """The worker is up; whether its servers are, the first flush will tell."""
    words = f"worker {worker} flushes {shards} shards every {interval:g} s, from {redis} into {database}"
    _say(
        logging.INFO, "started", words, worker=worker, redis=redis, database=database, shards=shards, interval=interval
    )


def finding(finding: Finding) -> None:
    """A check at the start found what is not as it should be."""
    words = f"{finding.name}: {finding.found}; {finding.fix}"
    level = logging.ERROR if finding.level is Level.ERROR else logging.WARNING
    _say(level, "finding", words, name=finding.name, found=finding.found, fix=finding.fix)


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
    _say(logging.WARNING, "incident", f"incident {incident.kind}{where}: {incident.detail}", **incident._asdict())


def trouble(error: Exception) -> None:
    """A flush failed; said once, until it is over."""
    words = str(error) if isinstance(error, LikesError) else f"{type(error).__name__}: {error}"
    words = f"{' '.join(words.split())}; the worker goes on trying"
    _say(logging.ERROR, "trouble", words, exc_info=_log.isEnabledFor(logging.DEBUG), error=type(error).__name__)


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


def cut_short(seconds: float) -> None:
    """The last flush took too long."""
    words = f"the last flush was not done within {seconds:g} s; nothing is lost, the next worker goes on from there"
    _say(logging.WARNING, "cut_short", words, seconds=seconds)


def stopped() -> None:
    """The last flush is done."""
    _say(logging.INFO, "stopped", "stopped")


def _say(level: int, event: str, words: str, *, exc_info: bool = False, **fields: object) -> None:
    _log.log(level, "%s", words, exc_info=exc_info, extra={"event": event, "fields": fields})


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _masked(line: str) -> str:
    return _URL.sub(lambda url: mask(url[0]), line)
