"""Sums of 64-bit numbers that stay exact in every database: SQLite's SUM overflows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, func

HALF = 2**32


def exact_sum(column: ColumnElement[Any]) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """Two columns, sums of what lies above and below 32 bits; `joined` makes one number of them.

    However a database rounds the division, the remainder makes up for it.
    """
    above = column // HALF
    return func.sum(above), func.sum(column - above * HALF)


def joined(halves: Sequence[Any]) -> int:
    """The number of the two halves of `exact_sum`; of nothing it is 0."""
    above, below = halves
    return int(above or 0) * HALF + int(below or 0)
