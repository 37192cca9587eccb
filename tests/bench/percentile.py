"""Percentiles by nearest rank: a value that was measured, none in between."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil


def percentile(percent: float, values: Sequence[float]) -> float:
    """The least of `values` that `percent` of them do not exceed."""
    return sorted(values)[ceil(len(values) * percent / 100) - 1]
