"""Lines of a file, merged into the calls that post them, each line accounted for whatever becomes of its call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from likes.items import MAX_COUNT

LINES_A_CHUNK = 10_000


@dataclass(slots=True)
class Merged:
    """What some lines add to one item, and which lines those are."""

    delta: int = 0
    lines: list[int] = field(default_factory=list)


class Chunk:
    """Lines merged by counter and item; at most one call for each counter, every sum within what a call takes."""

    def __init__(self) -> None:
        self.counters: dict[str, dict[str, Merged]] = {}
        self.size = 0

    def takes(self, item: str, counter: str, count: int) -> bool:
        """True if another line fits in."""
        merged = self.counters.get(counter, {}).get(item)
        return self.size < LINES_A_CHUNK and (merged is None or abs(merged.delta + count) <= MAX_COUNT)

    def lines(self) -> Iterator[int]:
        """The numbers of all its lines."""
        return (number for items in self.counters.values() for merged in items.values() for number in merged.lines)

    def put(self, number: int, item: str, counter: str, count: int) -> None:
        """Merge line `number` into it."""
        merged = self.counters.setdefault(counter, {}).setdefault(item, Merged())
        merged.delta += count
        merged.lines.append(number)
        self.size += 1


def ranges(numbers: Iterable[int]) -> str:
    """`1-3, 7, 9-10`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{first}-{last}" if first < last else f"{first}" for first, last in runs)
