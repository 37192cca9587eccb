"""The real command `likes`, run as a process in a folder and an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from tests.warm import CHECKOUT, Forked, Warm

warm = cache(Warm)  # one of each checkout for all tests


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its result, of --json."""
        assert self.code in (0, 1, 3), self
        return json.loads(self.out)


class Shell:
    """Calls `likes`. `settings` become `LIKES_…` variables; the data folder is in `folder` unless they name one.

    module: what `start` starts; a test may have one that adds to `likes`. checkout: whose `likes` it is.
    """

    module = "likes"
    checkout = CHECKOUT

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        self.settings = {"data_dir": folder / "data", **settings}

    def __call__(self, *words: str | bytes, stdin: bytes = b"", **settings: object) -> Ran:
        """Run it to the end. What it is given on stdin fits into a pipe."""
        read_end, write_end = os.pipe()
        with TemporaryFile() as out, TemporaryFile() as err, os.fdopen(read_end, "rb") as source:
            with os.fdopen(write_end, "wb") as sink:
                sink.write(stdin)
            code = warm(self.checkout).run(
                [os.fsdecode(word) for word in words],
                self.folder,
                self.environment(**settings),
                [source.fileno(), out.fileno(), err.fileno()],
            )
            out.seek(0)
            err.seek(0)
            return Ran(code, out.read().decode(), err.read().decode())

    def start(self, *words: str | bytes, **settings: object) -> subprocess.Popen[bytes]:
        """Start it, from scratch as people do."""
        return subprocess.Popen(
            [sys.executable, "-m", self.module, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env=self.environment(**settings),
        )

    def fork(self, *words: str, **settings: object) -> Forked:
        """Start it with its libraries loaded already, which take it a second of the processor."""
        return warm(self.checkout).start(words, self.folder, self.environment(**settings))

    def environment(self, **settings: object) -> dict[str, str]:
        """What it runs with; a setting that is None is not set."""
        mine = {name: value for name, value in os.environ.items() if not name.upper().startswith("LIKES_")}
        chosen = {**self.settings, **settings}
        given = {f"LIKES_{name.upper()}": str(value) for name, value in chosen.items() if value is not None}
        return {**mine, "PYTHONPATH": str(self.checkout), "HOME": str(self.folder), **given}
