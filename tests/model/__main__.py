"""`make model`: every run, two at a time, with PyPy where there is one. Exit code 1 if one did not end as it should."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.model.runs import LONG, SHORT, Run


def ends_as_it_should(run: Run, python: str = sys.executable) -> tuple[bool, str]:
    """True if a history was found just where one must be; and what was printed."""
    model = Path(__file__).with_name(f"{run.model}.py")
    done = subprocess.run([python, model, *run.options.split()], capture_output=True, text=True, check=False)
    return done.returncode == int(run.breaks) and not done.stderr, done.stdout + done.stderr


def main() -> int:
    """Run all of them."""
    python = shutil.which("pypy3") or sys.executable
    runs = [*SHORT, *LONG]
    failed = 0
    with ThreadPoolExecutor(2) as pool:
        for run, (right, said) in zip(runs, pool.map(lambda run: ends_as_it_should(run, python), runs), strict=True):
            failed += not right
            print("ok  " if right else "FAIL", run.model, run.options, "|", said.splitlines()[0 if run.breaks else -1])
            if not right:
                print(said)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
