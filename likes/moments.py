"""Moments as text, in one form wherever they are shown: logs, tables, CSV and JSON."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(moment: datetime) -> str:
    """`2026-01-31T12:00:00.123Z`: ISO 8601, in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
