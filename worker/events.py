"""What the worker says, worded in one place."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from likes.errors import LikesError
from worker.checks.finding import Finding, Level

if TYPE_CHECKING:
    from likes.counted import Counted
    from likes.sql.letters import Letter
    from likes.sql.reports import Incident

_log = logging.getLogger("likes.worker")
_OF_A_LETTER = ("id", "shard", "epoch", "seq", "counter", "item", "delta", "reason")  # `raw` may be long, and is bytes


def started(*, worker: str, redis: str, database: str, shards: int, interval: float) -> None:
    """The worker is up; whether its servers are, the first flush will tell."""
    words = f"worker {worker} flushes {shards} shards every {interval:g} s, from {redis} into {database}"
    _say(
        logging.INFO, "started", words, worker=worker, redis=redis, database=database, shards=shards, interval=interval
    )


def metrics(address: str) -> None:
    """Prometheus may ask there."""
    _say(logging.INFO, "metrics", f"metrics at {address}", address=address)


def finding(finding: Finding) -> None:
    """A check at the start found what is not as it should be."""
    words = f"{finding.name}: {finding.found}; {finding.fix}"
    level = logging.ERROR if finding.level is Level.ERROR else logging.WARNING
    _say(level, "finding", words, name=finding.name, found=finding.found, fix=finding.fix)


def flushed(flushed: Counted, seconds: float) -> None:
    """A flush counted something, or set something aside."""
    words = f"flushed {flushed.batches:,} batches, {flushed.items:,} items, {flushed.delta:+,} in {seconds:.2f} s"
    _say(logging.INFO, "flushed", words, **flushed._asdict(), seconds=round(seconds, 3))


def dead_letter(letter: Letter) -> None:
    """An entry was set aside, by this worker or another."""
    amount = "no number" if letter.delta is None else f"{letter.delta:+,}"
    what = f"{amount} for {letter.counter} of {letter.item!r} could not be counted"
    words = f"dead letter {letter.id}: {what}, in batch {letter.seq} of shard {letter.shard}: {letter.reason}"
    fields = {name: value for name, value in letter._asdict().items() if name in _OF_A_LETTER}
    _say(logging.WARNING, "dead_letter", words, **fields)


def more_dead_letters(count: int) -> None:
    """So many more were set aside than are told one by one."""
    words = f"{count:,} more entries could not be counted; all of them: likes dead-letters"
    _say(logging.WARNING, "dead_letters", words, dead_letters=count)


def incident(incident: Incident) -> None:
    """An incident was recorded, by this worker or another."""
    where = "" if incident.shard is None else f" in shard {incident.shard}"
    fields = incident._asdict()
    fields["noticed_at"] = fields.pop("at")
    _say(logging.WARNING, "incident", f"incident {incident.kind}{where}: {incident.detail}", **fields)


def told(where: str, kind: str, count: int) -> None:
    """Somebody was told of incidents or dead letters."""
    _say(logging.INFO, "told", f"told {where} of {kind}, {count:,} of them", where=where, kind=kind, count=count)


def not_told(where: str, kind: str, error: Exception) -> None:
    """Somebody could not be told; it is tried again."""
    words = f"could not tell {where} of {kind}: {error}; it is tried again after a later flush"
    _say(logging.WARNING, "not_told", words, where=where, kind=kind, reason=str(error))


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


def pruned(*, producers: int, batches: int, sessions: int) -> None:
    """Silent producers, old rows of the ledger and of sessions were forgotten."""
    words = f"forgot {producers:,} silent producers, {batches:,} old rows of the ledger and {sessions:,} of sessions"
    _say(logging.DEBUG, "pruned", words, producers=producers, batches=batches, sessions=sessions)


def not_swept(error: LikesError) -> None:
    """Sessions that are over could not be seen to."""
    words = f"sessions that are over wait in Redis: {_words(error)}; likes are flushed all the same"
    _say(logging.WARNING, "not_swept", words, error=type(error).__name__)


def moving(error: Exception) -> None:
    """A shard is being moved to another node; said once, until none is."""
    words = f"{_words(error)}; its likes wait in Redis until it has moved, the other shards are flushed"
    _say(logging.WARNING, "moving", words)


def resharding(to: str) -> None:
    """No likes are accepted, as the number of shards is being changed; said once, until that is over."""
    words = f"no likes are accepted while the number of shards is being changed to {to}; what is pending is flushed"
    _say(logging.WARNING, "resharding", f"{words}; if nobody does it any more, go on with likes reshard {to}", to=to)


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


def _say(level: int, event: str, words: str, *, exc_info: bool = False, **fields: object) -> None:
    _log.log(level, "%s", words, exc_info=exc_info, extra={"event": event, "fields": fields})


def _words(error: Exception) -> str:
    words = str(error) if isinstance(error, LikesError) else f"{type(error).__name__}: {error}"
    return " ".join(words.split())
