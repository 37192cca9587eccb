"""What waits for somebody to decide: open dead letters and incidents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from likes.sql.dead_letters import GIVEN_UP
from likes.sql.reports import count_open
from worker.checks.finding import Finding, Level

if TYPE_CHECKING:
    from sqlalchemy import Engine


def check_undecided(engine: Engine, namespace: str) -> Iterator[Finding]:
    """A warning for each of the two, if there are any."""
    incidents, dead_letters = count_open(engine, namespace)
    found = "open; `likes incidents` tells what each means: see to them, then resolve them"
    yield _finding("incidents", incidents, found, "likes incidents resolve --all")
    found = "open; `likes dead-letters` shows them: apply those that are to be counted, discard the others"
    # What is counted already cannot be applied and is discarded; what the database refuses waits for its cause to end.
    fix = f"likes dead-letters apply --all; likes dead-letters discard --all --reason '{GIVEN_UP}'"
    yield _finding("dead letters", dead_letters, found, fix)


def _finding(name: str, count: int, found: str, fix: str) -> Finding:
    if count:
        return Finding(Level.WARNING, name, f"{count:,} {found}", fix)
    return Finding(Level.OK, name, "none is open")
