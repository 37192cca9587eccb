"""What waits for somebody to decide: open dead letters and incidents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cli.checks.finding import Finding, Level
from cli.output import number_of
from likes.sql.reports import count_open

if TYPE_CHECKING:
    from sqlalchemy import Engine


def check_undecided(engine: Engine, namespace: str) -> Iterator[Finding]:
    """A warning for each of the two, if there are any."""
    incidents, dead_letters = count_open(engine, namespace)
    yield _finding("incidents", incidents, "likes incidents; once you saw to them: likes incidents resolve --all")
    yield _finding("dead letters", dead_letters, "likes dead-letters; then apply or discard them, by id or --all")


def _finding(name: str, count: int, fix: str) -> Finding:
    if count:
        return Finding(Level.WARNING, name, f"{number_of(count, name.removesuffix('s'))} open", fix)
    return Finding(Level.OK, name, "none is open")
