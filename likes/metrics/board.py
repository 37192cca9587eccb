"""Where the processes of one server show each other their figures, so that whichever answers a scrape tells the sum.

A file in memory without a name, which the processes inherit: gone with the last of them, so there is nothing to clean
up. Each has a slot of it to itself, by a lock that the system drops when it dies; who takes the slot next goes on from
the figures in it. So counters never fall and the file does not grow, however often processes are replaced.

(prometheus_client's own way, a folder of files named by process id, keeps those of every process there ever was.)

A slot is two pages, written in turn: the newest whole one counts, so that a reader never meets half a page.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import zlib
from collections.abc import Iterator
from struct import Struct

from likes.metrics.tally import Snapshot

VARIABLE = "_LIKES_METRICS_BOARD"  # for the processes: the number of the file they inherit
PAGE = 256 * 1024  # bytes, of which only those written take memory
SLOTS = 1024
_TITLE = b"likes: figures of the processes of one server, 1\n"
_HEAD = Struct("<QII")  # number of the writing, length, CRC-32
_FIRST = 4096  # where slots begin


class Board:
    """The figures of all processes that inherit `file`."""

    def __init__(self, file: int) -> None:
        self.file = file
        self._slot: int | None = None
        self._writings = 0

    @classmethod
    def create(cls) -> Board:
        """A new one, for processes that are started with its `file` among those they inherit and `VARIABLE` set."""
        if hasattr(os, "memfd_create"):
            file = os.memfd_create("likes-metrics")
        else:
            with tempfile.TemporaryFile() as nameless:
                file = os.dup(nameless.fileno())
        os.pwrite(file, _TITLE, 0)
        return cls(file)

    @classmethod
    def inherited(cls) -> Board | None:
        """The one that this process was started with, if any."""
        try:
            file = int(os.environ.get(VARIABLE, ""))
            return cls(file) if os.pread(file, len(_TITLE), 0) == _TITLE else None
        except (ValueError, OSError, OverflowError):
            return None

    def claim(self) -> Snapshot:
        """Take a free slot; returns what the process before has left there."""
        for slot in range(SLOTS):
            try:
                fcntl.lockf(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, slot)
            except OSError:
                continue
            self._slot = slot
            self._writings, text = self._newest(slot)
            return _read(text)
        return {}

    def show(self, snapshot: Snapshot) -> None:
        """Show what this process has counted. For the process that made the claim."""
        text = json.dumps([[name, list(series.items())] for name, series in snapshot.items()]).encode()
        if self._slot is None or len(text) > PAGE - _HEAD.size:
            return
        self._writings += 1
        head = _HEAD.pack(self._writings, len(text), zlib.crc32(text))
        os.pwrite(self.file, head + text, _place(self._slot, self._writings))

    def others(self) -> Iterator[Snapshot]:
        """What every other slot shows, also of processes that have ended."""
        slots = -(-max(0, os.fstat(self.file).st_size - _FIRST) // (2 * PAGE))
        for slot in range(slots):
            if slot != self._slot:
                yield _read(self._newest(slot)[1])

    def _newest(self, slot: int) -> tuple[int, bytes]:
        pages = []
        for page in (0, 1):
            head = os.pread(self.file, _HEAD.size, _place(slot, page))
            if len(head) == _HEAD.size:
                writing, length, check = _HEAD.unpack(head)
                text = os.pread(self.file, min(length, PAGE), _place(slot, page) + _HEAD.size)
                if writing and zlib.crc32(text) == check:
                    pages.append((writing, text))
        return max(pages, default=(0, b"[]"))


def _place(slot: int, writing: int) -> int:
    return _FIRST + (2 * slot + writing % 2) * PAGE


def _read(text: bytes) -> Snapshot:
    return {name: {tuple(labels): values for labels, values in series} for name, series in json.loads(text)}
