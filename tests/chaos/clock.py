"""Clocks of single processes that can be set while they run; the machine's own is left alone."""

from __future__ import annotations

import atexit
import shutil
import struct
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")


@cache
def library() -> Path | None:
    """What is preloaded into a process whose clock is to be set; None where there is no C compiler."""
    compiler = shutil.which("cc")
    if not compiler:
        return None
    folder = tempfile.mkdtemp(prefix="likes-test-clock-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    built = Path(folder) / "clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", built, SOURCE, "-ldl"], check=True)
    return built


class Clock:
    """That of whoever is started with its `environment`: so many seconds off, which `set` changes at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._set: list[tuple[float, int]] = []
        self.set(0)

    @property
    def environment(self) -> dict[str, str]:
        """Variables for the process."""
        built = library()
        return {"LD_PRELOAD": str(built), "CLOCK_FILE": str(self._path)} if built else {}

    def set(self, seconds: int) -> None:
        """So many seconds off the machine's from now on."""
        self._set.append((time.time(), seconds))
        with self._path.open("r+b" if self._path.exists() else "wb") as file:  # it is mapped
            file.write(struct.pack("=q", seconds))

    def readings(self, began: float, ended: float) -> list[tuple[float, float]]:
        """What it may have shown between two moments of the machine's clock; more than one stretch if it was set."""
        until = [at for at, _ in self._set[1:]] + [float("inf")]
        return [
            (began + seconds, ended + seconds)
            for (since, seconds), over in zip(self._set, until, strict=True)
            if began <= over and since <= ended
        ]
