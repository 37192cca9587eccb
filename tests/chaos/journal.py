"""What happened to each like and read, written by whoever did it as it happened, and read by who reckons.

A process that dies in the middle of a like leaves one without an end: nobody can tell whether that counted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any


@dataclass
class Post:
    """Likes sent together. sent, done: seconds of the clock that all of this machine share; done is None while open.

    accepted, unknown: item -> count of those that counted, and of those of which nobody can tell. The rest did not.
    """

    sent: float
    deltas: Mapping[str, int]
    done: float | None = None
    accepted: Mapping[str, int] = field(default_factory=dict)
    unknown: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Read:
    """Live totals that were true at some moment between `began` and `ended`."""

    began: float
    ended: float
    totals: Mapping[str, int]


class Pen:
    """Writes one journal; for any number of threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._numbers = count()

    def sends(self, deltas: Mapping[str, int]) -> int:
        """Likes are about to be sent; returns their number."""
        number = next(self._numbers)
        self._write("sent", number, deltas)
        return number

    def ends(
        self, number: int, *, accepted: Mapping[str, int] | None = None, unknown: Mapping[str, int] | None = None
    ) -> None:
        """What became of them is known."""
        self._write("done", number, accepted or {}, unknown or {})

    def reads(self, began: float, totals: Mapping[str, int]) -> None:
        """Live totals were read, and are exact."""
        self._write("read", began, totals)

    def tried(self, why: str) -> None:
        """A read did not come to exact totals, which may be while something is broken."""
        self._write("tried", why)

    def is_wrong(self, what: str) -> None:
        """Something that may never be."""
        self._write("wrong", what)

    def _write(self, kind: str, *words: Any) -> None:
        line = json.dumps([kind, time.time(), *words])
        with self._lock, self._path.open("a") as file:
            file.write(line + "\n")


class Journal:
    """Reads what was written so far; `look` reads on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.posts: dict[int, Post] = {}
        self.reads: list[Read] = []
        self.tried: list[float] = []  # when
        self.wrong: list[str] = []
        self._offset = 0

    def look(self) -> None:
        """Take in the whole lines that were added."""
        for kind, at, *words in self._new_lines():
            getattr(self, f"_on_{kind}")(at, *words)

    def _new_lines(self) -> Iterator[Any]:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            whole, end, _ = file.read().rpartition(b"\n")
        self._offset += len(whole) + len(end)
        for line in whole.splitlines():
            yield json.loads(line)

    def _on_sent(self, at: float, number: int, deltas: dict[str, int]) -> None:
        self.posts[number] = Post(at, deltas)

    def _on_done(self, at: float, number: int, accepted: dict[str, int], unknown: dict[str, int]) -> None:
        post = self.posts[number]
        post.done, post.accepted, post.unknown = at, accepted, unknown

    def _on_read(self, at: float, began: float, totals: dict[str, int]) -> None:
        self.reads.append(Read(began, at, totals))

    def _on_tried(self, at: float, why: str) -> None:
        self.tried.append(at)

    def _on_wrong(self, at: float, what: str) -> None:
        self.wrong.append(what)
