"""`python -m tests.scale`: two tables in the form of docs/scale.md, and everything in a file."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from statistics import median

from tests.bench.report import progress
from tests.bench.stand import Stand
from tests.scale.draining import PREFIXES, Drained, drain
from tests.scale.rows import Written, write


def main() -> None:
    arguments = _arguments()
    for name in [name for name in os.environ if name.upper().startswith("LIKES_")]:
        del os.environ[name]  # the figures are those of the default settings
    with Stand(arguments.flushed, 1) as stand:
        machine = stand.machine()
        drained = [*_drained(stand, arguments.pending)] if arguments.pending else []
        written = [*_written(stand, arguments.rows, arguments.flushed)] if arguments.rows else []
    sys.stdout.write("\n".join([*_first(drained), "", *_second(written), "", str(machine)]) + "\n")
    if arguments.json:
        found = {"machine": machine, "drained": [*map(asdict, drained)], "written": [*map(asdict, written)]}
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


def _drained(stand: Stand, pending: int) -> Iterator[Drained]:
    for items in (pending // 10, pending):
        yield _told(drain(stand, "one worker", items))
    yield _told(drain(stand, "two workers", pending, workers=2))
    yield _told(drain(stand, "two namespaces, a worker each", pending, prefixes=PREFIXES))


def _told(drained: Drained) -> Drained:
    progress(f"{drained.what}: {drained.items:,} items in {drained.seconds:.1f} s, {drained.peak:.0f} MiB")
    return drained


def _written(stand: Stand, rows: int, flushed: int) -> Iterator[Written]:
    for count, parted in ((flushed, False), (flushed, True), (rows, False)):
        written = write(stand, count, flushed, parted=parted)
        progress(f"{written.what}: {', '.join(f'{cost:.1f}' for cost in written.costs)} µs a row")
        yield written


def _first(drained: list[Drained]) -> Iterator[str]:
    yield "| | items | seconds | items/s | CPU an item: Redis, workers, PostgreSQL | memory | Redis an item |"
    yield "|---|---|---|---|---|---|---|"
    for each in drained:
        cpu = f"{each.redis:.1f} + {each.workers:.1f} + {each.postgres:.1f} = {each.cost:.1f} µs"
        yield (
            f"| {each.what} | {each.items:,} | {each.seconds:.1f} | {each.items / each.seconds:,.0f} | {cpu}"
            f" | {each.peak:.0f} MiB | {each.memory:.0f} B |"
        )


def _second(written: list[Written]) -> Iterator[str]:
    yield "| | a row, whole flush | CPU of PostgreSQL | updates in place | table, index a row | vacuum |"
    yield "|---|---|---|---|---|---|"
    for each in written:
        sizes = f"{each.table / each.rows:.0f} + {each.index / each.rows:.0f} B"
        yield (
            f"| {each.what} | {median(each.costs):.1f} µs | {median(each.cpu):.1f} µs | {each.hot:.3f} | {sizes}"
            f" | {each.vacuum:.1f} s |"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make scale", description="Measure what many items cost. Takes 12 GB, half an hour."
    )
    parser.add_argument("--pending", type=int, default=10_000_000, metavar="N", help="items pending; 0: not that part")
    parser.add_argument("--rows", type=int, default=20_000_000, metavar="N", help="rows there; 0: not that part")
    parser.add_argument("--flushed", type=int, default=1_000_000, metavar="N", help="rows of a flush into them")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
