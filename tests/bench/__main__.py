"""`python -m tests.bench`: measure and show the table. A figure that is missed says so there, not by the exit code."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.bench import flushing, growth, help_page, holding, http, latency, liking, memory, posting, reading
from tests.bench.figure import Figure
from tests.bench.report import progress, table, write_json
from tests.bench.stand import Stand

MEASUREMENTS: Mapping[str, Callable[[Stand], list[Figure]]] = {
    "flush": flushing.measure,
    "growth": growth.measure,
    "memory": memory.measure,
    "post": posting.measure,
    "await": liking.measure,
    "hold": holding.measure,
    "like": latency.measure,
    "read": reading.measure,
    "http": http.measure,
    "help": help_page.measure,
}


def main() -> None:
    arguments = _arguments()
    for name in [name for name in os.environ if name.upper().startswith("LIKES_")]:
        del os.environ[name]  # the figures are those of the default settings
    figures: list[Figure] = []
    with Stand(arguments.items, arguments.rounds, largest=arguments.ten_million, server=arguments.server) as stand:
        machine = stand.machine()
        for name in arguments.only or MEASUREMENTS:
            progress(f"{name} …")
            figures += MEASUREMENTS[name](stand)
    sys.stdout.write(table(figures, machine) + "\n")
    if arguments.json:
        write_json(arguments.json, figures, machine)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure what the project promises.")
    parser.add_argument("--items", type=int, default=1_000_000, metavar="N", help="pending items (default: 1000000)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds of each figure (default: 3)")
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, metavar="NAME", help=f"of {', '.join(MEASUREMENTS)}")
    parser.add_argument(
        "--server", type=_program, metavar="PROGRAM", help="a redis-server or valkey-server (default: the wheel's)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument(
        "--ten-million",
        action="store_const",
        const=10_000_000,
        help="growth and memory up to ten million pending items; takes some minutes and 4 GB more",
    )
    return parser.parse_args()


def _program(name: str) -> Path:
    found = shutil.which(name)
    if not found:
        raise argparse.ArgumentTypeError(f"{name} is no program")
    return Path(found).absolute()


if __name__ == "__main__":
    main()
