"""CPU that processes have used, by what the kernel keeps of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds; what is shorter may be told as nothing
USER, CHILDREN = slice(11, 13), slice(11, 15)  # fields of /proc/PID/stat behind the name: its own; with ended children


def cpu_of(pids: Iterable[int]) -> float:
    """Seconds of CPU that these processes have used."""
    return sum(_seconds(pid, USER) for pid in pids)


def cpu_of_all(pid: int) -> float:
    """Seconds of CPU that a process and its children have used, those that have ended, too."""
    return _seconds(pid, CHILDREN) + cpu_of(children(pid))


def children(pid: int) -> list[int]:
    """The processes that a process has started and that are there."""
    mine = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in mine]


def keep_on(cores: Iterable[int], pid: int) -> None:
    """Let a process, its threads and children, and those that they will start, run on these cores alone."""
    for each in (pid, *children(pid)):
        for thread in Path(f"/proc/{each}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores)


def _seconds(pid: int, fields: slice) -> float:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:  # it has ended; its parent knows
        return 0.0
    return sum(map(int, stat.rpartition(")")[2].split()[fields])) * TICK
