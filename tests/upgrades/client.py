"""A client of whichever version of `likes` is on its path: nothing else of the checkout is imported here.

python client.py PLACES WRITER BOOK

It likes and reads live totals until its input ends. What it sends and what was accepted is booked; at its end it says
how often it has read, and which totals were wrong.
"""

from __future__ import annotations

import json
import mmap
import select
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ITEMS = [f"video:{number}" for number in range(12)]
WRITERS = 2
SENT, ACCEPTED = 0, 1
PATIENCE_SECONDS = 90
BYTES = 2 * WRITERS * len(ITEMS) * 8


class Book:
    """What was sent and accepted of each item, in a file that all processes see: so many likes a writer and item."""

    def __init__(self, path: str) -> None:
        with Path(path).open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), BYTES)

    def add(self, kind: int, writer: int, item: int, count: int) -> None:
        """Book likes as SENT or ACCEPTED."""
        (before,) = struct.unpack_from("q", self._memory, place := self._place(kind, writer, item))
        struct.pack_into("q", self._memory, place, before + count)

    def totals(self, kind: int) -> list[int]:
        """Of each item, what all writers together have sent or had accepted."""
        return [
            sum(struct.unpack_from("q", self._memory, self._place(kind, writer, item))[0] for writer in range(WRITERS))
            for item in range(len(ITEMS))
        ]

    @staticmethod
    def _place(kind: int, writer: int, item: int) -> int:
        return 8 * (len(ITEMS) * (WRITERS * kind + writer) + item)


class Checks:
    """Live totals held against the book: at least what was accepted before the read, at most what was sent after it."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.reads = 0
        self.wrong: list[Any] = []
        self._accepted: list[int] = []

    def begin(self) -> None:
        """A read begins."""
        self._accepted = self.book.totals(ACCEPTED)

    def end(self, totals: list[int]) -> None:
        """It is over."""
        self.reads += 1
        for item, least, total, most in zip(ITEMS, self._accepted, totals, self.book.totals(SENT), strict=True):
            if not least <= total <= most:
                self.wrong.append([item, least, total, most])


def is_over() -> bool:
    """True once the input has ended; a moment later, as others use this machine too."""
    return bool(select.select([sys.stdin], [], [], 0.01)[0])


def write(likes: Any, book: Book, writer: int) -> None:
    """Post until the input ends."""
    step = 0
    while not is_over():
        step += 1
        deltas = {(step * 7 + n * n) % len(ITEMS): n + 1 for n in range(1 + step % 4)}
        for item, count in deltas.items():
            book.add(SENT, writer, item, count)
        likes.add({ITEMS[item]: count for item, count in deltas.items()}, timeout=PATIENCE_SECONDS)
        for item, count in deltas.items():
            book.add(ACCEPTED, writer, item, count)


def read(likes: Any, checks: Checks) -> None:
    """Read until the input ends."""
    while not is_over():
        checks.begin()
        totals = likes.totals(ITEMS, timeout=PATIENCE_SECONDS)
        checks.end([totals[item] for item in ITEMS])


def main(places: str, writer: str, path: str) -> None:
    from likes import LikeCounter

    checks = Checks(Book(path))
    with LikeCounter(**json.loads(places)) as likes, ThreadPoolExecutor(2) as threads:
        done = [
            threads.submit(write, likes, checks.book, int(writer)),
            threads.submit(read, likes, checks),
        ]
        for each in done:
            each.result()
    print(json.dumps([checks.reads, checks.wrong]))


if __name__ == "__main__":
    main(*sys.argv[1:])
