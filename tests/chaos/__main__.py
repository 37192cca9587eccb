"""`python -m tests.chaos`: play rounds until the time is over; exit code 1 if something was wrong in one of them."""

from __future__ import annotations

import argparse
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from tests.chaos.plan import FAULTS, plan_of, plan_with
from tests.chaos.report import Report
from tests.chaos.rounds import Plan, Round, play
from tests.chaos.site import Site
from tests.servers import MissingServerError


def main() -> int:
    """Play, and report after each round."""
    arguments = _arguments()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # `make chaos &` starts us with it ignored
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # servers are to end with us
    folder: Path = arguments.report.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    say(f"seed {arguments.seed}, report in {folder}")
    with Site(folder / "rounds") as site:
        report = Report(folder, arguments.seed, site.versions)
        try:
            for plan in _plans(arguments):
                _play_and_report(site, plan, report)
        except KeyboardInterrupt:
            say("broken off")
    for played in report.failed:
        say(f"to repeat it: {played.plan.repeated_by}")
    return 1 if report.failed else 0


def _play_and_report(site: Site, plan: Plan, report: Report) -> None:
    try:
        report.add(play_at(site, plan))
    except MissingServerError as missing:
        say(f"  left out: {missing}")


def play_at(site: Site, plan: Plan) -> Round:
    """Play one round and say what came of it; only if it failed its files stay."""
    names = " and ".join(fault.name for fault in plan.faults)
    say(f"round {plan.number}, {plan.stand}: {names.replace('_', ' ')} …")
    with site.stand(plan.stand, f"round {plan.number}") as stand:
        played = play(plan, stand)
    found = played.reckoned
    say(
        f"  {played.seconds:.0f} s, {found.accepted} acknowledged, {found.counted} counted,"
        f" {found.lost} lost in windows, {found.set_aside} set aside, {found.unknown} unknown, {found.doubled} twice"
    )
    for wrong in found.wrong:
        say(f"  WRONG: {wrong}")
    if not played.failed:
        shutil.rmtree(stand.folder)
    return played


def _plans(arguments: argparse.Namespace) -> Iterator[Plan]:
    if arguments.only is not None:
        yield plan_of(arguments.seed, arguments.only)
        return
    until = time.monotonic() + 60 * arguments.minutes
    for number in count():
        if time.monotonic() > until:
            return
        if arguments.faults:
            yield plan_with(arguments.seed, number, arguments.faults, arguments.stand)
        else:
            yield plan_of(arguments.seed, number)


def say(line: str) -> None:
    """A line on stderr."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description="Break everything, and count.")
    parser.add_argument("--minutes", type=float, default=10, metavar="N", help="no round begins later (default: 10)")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="what faults are drawn from (default: a new one)")
    parser.add_argument("--only", type=int, metavar="ROUND", help="just this round of the seed")
    parser.add_argument("--faults", nargs="+", choices=FAULTS, metavar="FAULT", help="rounds with just these, at once")
    parser.add_argument("--stand", default="postgresql", help="where those are (default: postgresql)")
    parser.add_argument("--report", type=Path, default=Path("chaos"), metavar="FOLDER", help="(default: chaos)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
