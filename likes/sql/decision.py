"""What somebody decides about a dead letter or an incident."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple


class Decision(NamedTuple):
    """Who decides, when and why. `dry_run`: it is tried out, and then rolled back."""

    by: str
    at: datetime
    note: str = ""
    dry_run: bool = False

    @classmethod
    def now(cls, by: str, note: str = "", *, dry_run: bool = False) -> Decision:
        """One of this moment."""
        return cls(by, datetime.now(UTC), note, dry_run)

    def words(self, what: str) -> str:
        """What is written down as the resolution."""
        return f"{what}: {self.note}" if self.note else what

    def made(self, resolved_at: datetime | None, resolved_by: str | None) -> bool:
        """True if this very decision is what is written down: the reply to its COMMIT was lost, and it is repeated."""
        return (resolved_at, resolved_by) == (self.at, self.by)


def decided(at: datetime | None, by: str | None, resolution: str | None) -> str:
    """What was decided, by whom and when, in words; "" if nothing was."""
    return "" if at is None else f"{resolution or 'resolved'} by {by or 'somebody'} at {at:%Y-%m-%d %H:%M:%S}Z"
