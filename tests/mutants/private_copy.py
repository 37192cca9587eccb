"""A copy of the project in which mutants live, so that nothing happens to the checkout."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Self

import pytest

from tests.mutants.mutant import Mutant

_LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "dist", "build")
_NONE_FAILED = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
_WHERE = "import likes, worker; print(likes.__file__, worker.__file__, sep='\\n')"


@dataclass(frozen=True)
class Ran:
    """How a run of tests ended. `passed`: none failed, and it was not cut short after its time limit."""

    passed: bool
    seconds: float
    output: str


class PrivateCopy:
    """The project at `root`, copied into a temporary folder and deleted at the end of the block."""

    def __init__(self, root: Path) -> None:
        self._above = tempfile.TemporaryDirectory(prefix="likes-mutants-")
        self.folder = Path(self._above.name).resolve() / "likes"
        shutil.copytree(root, self.folder, ignore=_LEFT_OUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._above.cleanup()

    def require_own_modules(self) -> None:
        """Raise RuntimeError if tests here would import the checkout, which is installed as editable."""
        said = subprocess.check_output(
            [sys.executable, "-c", _WHERE], cwd=self.folder, env=self._environment, text=True
        )
        for file in said.splitlines():
            if not Path(file).is_relative_to(self.folder):
                raise RuntimeError(f"{file} would be tested instead of the copy in {self.folder}")

    @contextmanager
    def with_mutant(self, mutant: Mutant) -> Iterator[None]:
        """The mutant takes the place of its file within the block."""
        path = self.folder / mutant.path
        path.write_text(mutant.mutated, encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(mutant.source, encoding="utf-8")

    def run(self, options: Sequence[str], time_limit: float) -> Ran:
        """Run pytest on the copy, in a process of its own."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", *options]
        began = monotonic()
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=time_limit)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # its servers notice and end
                output, _ = process.communicate()
        return Ran(process.returncode in _NONE_FAILED, monotonic() - began, output.decode(errors="replace"))

    @property
    def _environment(self) -> dict[str, str]:
        # No .pyc files: two mutants of one length within one second would be taken for each other.
        return {**os.environ, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
