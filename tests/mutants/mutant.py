"""One change of one file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Mutant:
    """`path` (from the root of the project), with `source[start:end]` replaced; offsets are in characters."""

    path: str
    source: str
    start: int
    end: int
    replacement: str

    @property
    def line(self) -> int:
        """The line that changes first, counted from 1."""
        return self.source.count("\n", 0, self.start) + 1

    @property
    def mutated(self) -> str:
        """The whole file, changed."""
        return self.source[: self.start] + self.replacement + self.source[self.end :]

    @cached_property
    def old(self) -> str:
        """The lines that change, as one line."""
        return _one_line(self.source[slice(*self._lines)])

    @cached_property
    def new(self) -> str:
        """The same lines, changed."""
        first, after = self._lines
        return _one_line(self.source[first : self.start] + self.replacement + self.source[self.end : after])

    @property
    def _lines(self) -> tuple[int, int]:
        first = self.source.rfind("\n", 0, self.start) + 1
        after = self.source.find("\n", self.end)
        return first, len(self.source) if after < 0 else after

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.old} -> {self.new}"


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
