"""What the page is told, as JSON: an overview in sections, so that one that has not changed is not told again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, TypeVar

from likes.moments import iso
from likes.reports.overview import Overview
from likes.reports.status import Status
from likes.sql.meanings import meaning_of

T = TypeVar("T")

LETTERS_ADVICE = "look at them with: likes dead-letters; then count them with apply, or drop them with discard"


def sections_of(overview: Overview) -> dict[str, Any]:
    """Every section; what is not known is None."""
    status, size = overview.status, overview.size
    return {
        "now": _fit(
            {
                "at": overview.at,
                "pending_items": status and status.pending_items,
                "pending_delta": status and status.pending_delta,
                "in_flight_batches": status and status.in_flight_batches,
                "in_flight_delta": status and status.in_flight_delta,
                "oldest_pending_seconds": status and status.oldest_pending_seconds,
                "last_flush_at": status and status.last_flush_at,
                "database_items": size and size.items,
                "database_total": size and size.total,
                "database_at": overview.database_at,
            }
        ),
        "servers": {"failed": overview.failed, **_servers(status)},
        "rate": [_fit(sample._asdict()) for sample in overview.samples],
        "cache": overview.cache and {"hits": overview.cache.hits, "misses": overview.cache.misses},
        "workers": _workers(status),
        "flushes": _each(overview.flushes, asdict),
        "top": _each(overview.top, lambda row: {"item": row.item, "database": row.total}),
        "incidents": _incidents(status),
        "dead_letters": _dead_letters(overview),
        "problems": [*status.problems] if status else [],
    }


def _servers(status: Status | None) -> dict[str, Any]:
    """Why each is away, and since when at least; None for one that answers."""
    if status is None:
        return {"redis": None, "database": None}
    redis, database = status.redis_trouble, status.database_trouble
    return {
        "redis": redis and _fit({"trouble": redis, "since": status.redis_away_since}),
        "database": database and _fit({"trouble": database, "since": status.database_away_since}),
    }


def _workers(status: Status | None) -> list[dict[str, Any]] | None:
    if status is None or status.workers is None:
        return None
    return [_fit({"name": each.name, "seen_at": each.seen_at, **asdict(each.said)}) for each in status.workers]


def _incidents(status: Status | None) -> dict[str, Any] | None:
    """How many are open, and the newest with what they mean."""
    if status is None or status.incidents is None:
        return None
    newest = status.newest_incidents or ()
    told = [_fit({**incident._asdict(), **meaning_of(incident.kind)._asdict()}) for incident in newest]
    return {"open": status.incidents, "newest": told}


def _dead_letters(overview: Overview) -> dict[str, Any] | None:
    """How many are open, and the oldest of them."""
    if overview.status is None or overview.status.dead_letters is None:
        return None
    oldest = [
        _fit({"id": letter.id, "item": letter.item, "delta": letter.delta, "reason": letter.reason, "at": letter.at})
        for letter in overview.dead_letters or ()
    ]
    return {"open": overview.status.dead_letters, "oldest": oldest, "advice": LETTERS_ADVICE}


def _each(rows: Sequence[T] | None, fields: Callable[[T], dict[str, Any]]) -> list[dict[str, Any]] | None:
    return None if rows is None else [_fit(fields(row)) for row in rows]


def _fit(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: iso(value) if isinstance(value, datetime) else value for name, value in fields.items()}
