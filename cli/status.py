"""`likes status`: what is pending and in flight, when the last flush was, and what went wrong."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.exits import Code
from cli.options import Json, is_verbose, settings_of
from cli.output import as_json, as_pairs, as_table, line, shown

if TYPE_CHECKING:
    from likes.buffer.heartbeat import SeenWorker
    from likes.reports.status import Status
    from likes.sql.reports import Incident

UNKNOWN = "unknown"
LATE = 2.0  # intervals without a flush while likes are pending
SHARD_COLUMNS = ["shard", "pending_items", "in_flight_batches", "oldest_pending_seconds", "lease", "seq", "cursor_seq"]


def status(
    context: typer.Context,
    again: Annotated[bool, typer.Option("--watch", "-w", help="Show it every second, until Ctrl-C.")] = False,
    json: Json = False,
) -> None:
    """Show what is pending and in flight, who flushes, when the last flush was, what went wrong; with -v every shard.

    With one server away it shows what the other says, and since when the one has been missed: by a worker, or by this
    command. Exit code 5 then. A worker shows for two minutes after its last sign of life.

    $ likes status
    $ likes status --watch
    $ likes status --json
    """
    from cli.watch import watch
    from likes.reports.status import read_status
    from worker.assembly import open_flusher

    settings = settings_of(context)
    with open_flusher(settings) as flusher:
        now: Status | None = None

        def read() -> Status:
            nonlocal now
            now = read_status(
                flusher.buffer, flusher.ledger, settings.shards, before=now, redis_names=flusher.redis_names
            )
            return now

        if again:
            watch(lambda: fields(read()) if json else summary(read(), settings.interval), json=json)
        elif json:
            as_json(fields(read()))
        else:
            _show(read(), settings.interval, every_shard=is_verbose(context))
    if now and (now.redis_trouble or now.database_trouble):
        raise typer.Exit(Code.AWAY)


def fields(status: Status) -> dict[str, Any]:
    """What --json gives."""
    incidents, workers = status.newest_incidents, status.workers
    return {
        **asdict(status),
        "workers": None if workers is None else [_worker_fields(worker) for worker in workers],
        "newest_incidents": None if incidents is None else [incident._asdict() for incident in incidents],
    }


def _worker_fields(worker: SeenWorker) -> dict[str, Any]:
    of_itself = {"name": worker.name, "seen_at": worker.seen_at, "durability": worker.durability}
    return {**of_itself, **asdict(worker.said)}


def summary(status: Status, interval: float) -> dict[str, str]:
    """What matters, in words."""
    away = {
        "redis": _away(status.redis_trouble, status.redis_away_since),
        "database": _away(status.database_trouble, status.database_away_since),
    }
    return {
        **{server: trouble for server, trouble in away.items() if trouble},
        "pending items": _number(status.pending_items),
        "in flight batches": _number(status.in_flight_batches),
        "oldest pending": UNKNOWN if status.pending_items is None else _oldest(status, interval),
        "workers": UNKNOWN if status.workers is None else "; ".join(map(_worker, status.workers)) or "none",
        "being flushed": UNKNOWN if status.redis_trouble else _being_flushed(status),
        "last flush": UNKNOWN if status.database_trouble else _ago(status.last_flush_at),
        "open incidents": _number(status.incidents),
        "open dead letters": _number(status.dead_letters),
        **({"problems": f"{len(status.problems):,}"} if status.problems else {}),
    }


def _away(trouble: str | None, since: datetime | None) -> str | None:
    return trouble and f"away since {shown(since)} at least: {trouble}"


def _number(count: int | None) -> str:
    return UNKNOWN if count is None else f"{count:,}"


def _oldest(status: Status, interval: float) -> str:
    oldest = status.oldest_pending_seconds
    if oldest is None:
        return "nothing is pending"
    if oldest <= LATE * interval:
        return f"{oldest:,.1f} s"
    return f"{oldest:,.1f} s: {'no worker is running' if status.workers == [] else 'is a worker running?'}"


def _worker(worker: SeenWorker) -> str:
    said = worker.said
    trouble = f": {said.trouble}" if said.trouble else ""
    return f"{worker.name}, {said.doing} since {shown(said.since)}, seen {_ago(worker.seen_at)}{trouble}"


def _being_flushed(status: Status) -> str:
    names = {worker.token: worker.name for worker in status.workers or ()}
    held: dict[str, list[str]] = {}
    for shard in status.shards:
        if shard.lease:
            held.setdefault(names.get(shard.lease, shard.lease), []).append(str(shard.shard))
    return "; ".join(f"shards {', '.join(shards)} by {who}" for who, shards in held.items()) or "no shard"


def _show(status: Status, interval: float, *, every_shard: bool) -> None:
    as_pairs(summary(status, interval))
    for problem in status.problems:
        line(problem)
    for incident in status.newest_incidents or ():
        line(f"{shown(incident.at)}  {_words(incident)}")
    if every_shard:
        as_table(SHARD_COLUMNS, [asdict(shard) for shard in status.shards])


def _words(incident: Incident) -> str:
    shard = "" if incident.shard is None else f" in shard {incident.shard}"
    lost = "" if incident.delta is None else f"; {incident.delta:+,} is lost"
    since = f"; exposed: likes since {shown(incident.exposed_from)}" if incident.exposed_from else ""
    return f"{incident.kind}{shard}: {incident.detail}{lost}{since}"


def _ago(moment: datetime | None) -> str:
    if moment is None:
        return "never"
    return f"{(datetime.now(UTC) - moment).total_seconds():,.1f} s ago"
