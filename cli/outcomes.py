"""What came of decisions, told letter by letter or incident by incident."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import typer

from cli.exits import Code
from cli.output import line, rows_as_json

TOLD = 20  # lines of those that were not to be had, where all were asked for


class Told(NamedTuple):
    """`ok`: it is as it was wanted; `changed`: since now; `fields`: what --json gives."""

    which: str
    ok: bool
    changed: bool
    words: str
    fields: dict[str, Any]


def tell(outcomes: Iterable[Told], what: str, *, each: bool, dry_run: bool, json: bool) -> None:
    """Print them as they come; unless `each`, only those not to be had, and how many there were of each.

    Ends with exit code 3 if some are not as wanted, with 1 if none is.
    """
    count = Counter[str]()
    if json:
        rows_as_json(_fields(outcomes, count, dry_run=dry_run))
    else:
        would = "would be " if dry_run else ""
        for outcome in _counted(outcomes, count):
            if each or (not outcome.ok and count["refused"] <= TOLD):
                line(f"{outcome.which}: {would if outcome.changed else ''}{outcome.words}")
        if not each:
            line(f"{would}{what}: {count['changed']:,}; before: {count['before']:,}; not {what}: {count['refused']:,}")
    if count["refused"]:
        raise typer.Exit(Code.PARTLY if count["changed"] + count["before"] else Code.FAILED)


def _fields(outcomes: Iterable[Told], count: Counter[str], *, dry_run: bool) -> Iterator[dict[str, Any]]:
    for outcome in _counted(outcomes, count):
        said = {"ok": outcome.ok, "changed": outcome.changed, "dry_run": dry_run, "outcome": outcome.words}
        yield {**outcome.fields, **said}


def _counted(outcomes: Iterable[Told], count: Counter[str]) -> Iterator[Told]:
    for outcome in outcomes:
        count["changed" if outcome.changed else "before" if outcome.ok else "refused"] += 1
        yield outcome
