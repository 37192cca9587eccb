"""`python -m tests.mutants`: try the mutants and tell which survive; exit code 1 if one of those is not harmless."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from tests.mutants.harmless import HARMLESS, Harmless
from tests.mutants.mutant import Mutant
from tests.mutants.report import Report
from tests.mutants.target import Target
from tests.mutants.targets import TARGETS
from tests.mutants.trial import Tested, TestsFail, Trials

CHECKOUT = Path(__file__).parents[2]


def main() -> int:
    """Try what the command line names."""
    arguments = _arguments()
    try:
        report = try_all(
            CHECKOUT, TARGETS, HARMLESS, chosen=arguments.names, jobs=arguments.jobs, quick=arguments.quick
        )
    except (LookupError, TestsFail) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.writelines(f"{line}\n" for line in report.lines())
    return 0 if report.is_good else 1


def try_all(
    root: Path,
    targets: Sequence[Target],
    harmless: Sequence[Harmless],
    *,
    chosen: Sequence[str],
    jobs: int,
    quick: bool = False,
) -> Report:
    """Try the mutants of `targets` whose path has one of `chosen` in it, `jobs` at once; if `quick`, on SQLite only.

    Raises LookupError for names and targets that mean no file, TestsFail if tests fail without any mutant.
    """
    mutants = [Tested(mutant, target.tests) for target in targets for mutant in target.mutants(root, chosen)]
    paths = {path for target in targets for path in target.paths(root)}
    for word in chosen:
        if not any(word in path for path in paths):
            raise LookupError(f"no target has {word} in its path; there are: {', '.join(sorted(paths))}")
    known = [one for one in harmless if not chosen or any(word in one.path for word in chosen)]
    with Trials(root, jobs, quick=quick) as trials:
        survivors = trials.survivors(mutants, _Progress(len(mutants)).after_each)
    return Report(len(mutants), survivors, known)


class _Progress:
    """Says on stderr how far it is."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._done = self._survived = 0
        self._counting = Lock()

    def after_each(self, mutant: Mutant, survived: bool) -> None:
        with self._counting:
            self._done += 1
            self._survived += survived
            outcome = "survived" if survived else "killed"
            sys.stderr.write(f"{self._done}/{self._number} {outcome} {mutant}\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make mutants", description="Break the code in small ways; tests must notice."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="parts of the paths of the files to mutate; else all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="so many at once")
    parser.add_argument(
        "--quick", action="store_true", help="on Valkey and SQLite only; some survive that others notice"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
