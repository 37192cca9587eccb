"""Lines of a file, merged into the calls that post them, each line accounted for whatever becomes of its call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from cli.lines import BadLine, Line
from likes.items import MAX_COUNT

LINES_A_CHUNK = 10_000
BYTES_A_CHUNK = 16 * 2**20


@dataclass(slots=True)
class Merged:
    """What some lines add to one item, and which lines those are."""

    delta: int = 0
    lines: list[Line] = field(default_factory=list)


class Chunk:
    """Lines merged by counter and item; at most one call for each counter, every sum within what a call takes.

    bad: lines among them that are no likes. last: the number of its last line.
    """

    def __init__(self) -> None:
        self.counters: dict[str, dict[str, Merged]] = {}
        self.bad: list[BadLine] = []
        self.last = 0
        self._lines = 0
        self._bytes = 0

    def takes(self, line: Line | BadLine) -> bool:
        """True if another line fits in."""
        if self._lines >= LINES_A_CHUNK or self._bytes >= BYTES_A_CHUNK:
            return False
        if isinstance(line, BadLine):
            return True
        merged = self.counters.get(line.counter, {}).get(line.item)
        return merged is None or abs(merged.delta + line.count) <= MAX_COUNT

    def put(self, line: Line | BadLine) -> None:
        """Merge a line into it."""
        self.last = line.number
        self._lines += 1
        self._bytes += len(line.raw)
        if isinstance(line, BadLine):
            self.bad.append(line)
            return
        merged = self.counters.setdefault(line.counter, {}).setdefault(line.item, Merged())
        merged.delta += line.count
        merged.lines.append(line)

    def lines(self) -> Iterator[Line]:
        """All its lines that are likes."""
        return (line for items in self.counters.values() for merged in items.values() for line in merged.lines)


def chunks_of(lines: Iterable[Line | BadLine]) -> Iterator[Chunk]:
    """The lines in chunks, in their order."""
    chunk = Chunk()
    for line in lines:
        if not chunk.takes(line):
            yield chunk
            chunk = Chunk()
        chunk.put(line)
    if chunk.last:
        yield chunk


def ranges(numbers: Iterable[int]) -> str:
    """`1-3, 7, 9-10`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{first}-{last}" if first < last else f"{first}" for first, last in runs)
