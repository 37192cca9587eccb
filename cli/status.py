"""`likes status`: what is pending and in flight, when the last flush was, and what went wrong."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import Json, is_verbose, settings_of
from cli.output import as_json, as_pairs, as_table, line, shown

if TYPE_CHECKING:
    from likes.reports.status import Status
    from likes.sql.reports import Incident

LATE = 2.0  # intervals without a flush while likes are pending
SHARD_COLUMNS = ["shard", "pending_items", "in_flight_batches", "oldest_pending_seconds", "lease", "seq", "cursor_seq"]


def status(
    context: typer.Context,
    again: Annotated[bool, typer.Option("--watch", "-w", help="Show it every second, until Ctrl-C.")] = False,
    json: Json = False,
) -> None:
    """Show what is pending and in flight, when the last flush was, what went wrong; with -v every shard.

    $ likes status
    $ likes status --watch
    $ likes status --json
    """
    from cli.watch import watch
    from likes.reports.status import read_status
    from worker.assembly import open_flusher

    settings = settings_of(context)
    with open_flusher(settings) as flusher:

        def read() -> Status:
            return read_status(flusher.buffer, flusher.ledger, settings.shards)

        if again:
            watch(lambda: fields(read()) if json else summary(read(), settings.interval), json=json)
        elif json:
            as_json(fields(read()))
        else:
            _show(read(), settings.interval, every_shard=is_verbose(context))


def fields(status: Status) -> dict[str, Any]:
    """What --json gives."""
    return {**asdict(status), "newest_incidents": [incident._asdict() for incident in status.newest_incidents]}


def summary(status: Status, interval: float) -> dict[str, str]:
    """What matters, in words."""
    oldest = status.oldest_pending_seconds
    late = ": is a worker running?" if oldest is not None and oldest > LATE * interval else ""
    held = [str(shard.shard) for shard in status.shards if shard.lease]
    return {
        "pending items": f"{status.pending_items:,}",
        "in flight batches": f"{status.in_flight_batches:,}",
        "oldest pending": f"{oldest:,.1f} s{late}" if oldest is not None else "nothing is pending",
        "last flush": _ago(status.last_flush_at),
        "being flushed": f"shards {', '.join(held)}" if held else "no shard",
        "incidents": f"{status.incidents:,}",
        "dead letters": f"{status.dead_letters:,}",
        **({"problems": f"{len(status.problems):,}"} if status.problems else {}),
    }


def _show(status: Status, interval: float, *, every_shard: bool) -> None:
    as_pairs(summary(status, interval))
    for problem in status.problems:
        line(problem)
    for incident in status.newest_incidents:
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
