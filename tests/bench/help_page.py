"""How long `likes --help` takes, a process from its start to its end."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.figure import Figure, at_most
from tests.bench.report import progress
from tests.bench.stand import Stand, seconds_of
from tests.shell import Shell

TIMES = 10


def measure(stand: Stand) -> list[Figure]:
    """Milliseconds."""
    with TemporaryDirectory() as folder:
        likes = Shell(Path(folder))
        likes("--help")  # compiles what has to be compiled
        took = [seconds_of(lambda: likes("--help")) * 1000 for _ in range(TIMES)]
    progress(f"help: {min(took):.0f} to {max(took):.0f} ms")
    return [Figure("likes --help", "ms", took, at_most(300))]
