"""One row of the table: what was measured, against what, and what is to be reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Limit:
    """`number` is to be reached, at least or at most."""

    number: float
    at_most: bool = False

    def is_kept(self, value: float) -> bool:
        """True if `value` keeps it."""
        return value <= self.number if self.at_most else value >= self.number


def at_least(number: float) -> Limit:
    """The larger the better."""
    return Limit(number)


def at_most(number: float) -> Limit:
    """The smaller the better."""
    return Limit(number, at_most=True)


@dataclass(frozen=True)
class Figure:
    """What was measured, a value for each round. The limit is for the ratio to the baseline, round by round; without a
    baseline, for the value itself.

    note: how it was measured, where the row does not say it.
    """

    what: str
    unit: str
    measured: Sequence[float]
    limit: Limit
    baseline: Sequence[float] = ()
    note: str = ""

    @property
    def ratios(self) -> list[float]:
        """Measured to baseline, round by round; none without a baseline."""
        return (
            [ours / theirs for ours, theirs in zip(self.measured, self.baseline, strict=True)] if self.baseline else []
        )

    @property
    def value(self) -> float:
        """What is held against the limit."""
        return median(self.ratios or self.measured)

    @property
    def is_reached(self) -> bool:
        """True if the promise is kept."""
        return self.limit.is_kept(self.value)

    def as_json(self) -> dict[str, Any]:
        """Everything, for a file."""
        return {
            "what": self.what,
            "unit": self.unit,
            "measured": list(self.measured),
            "baseline": list(self.baseline),
            "ratios": self.ratios,
            "value": self.value,
            "to_reach": {"at_most" if self.limit.at_most else "at_least": self.limit.number},
            "reached": self.is_reached,
            "note": self.note,
        }
