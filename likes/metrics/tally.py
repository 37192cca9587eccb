"""What one process counts: plain numbers, since a request must not notice that it is counted."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence

from likes.metrics.families import FAMILIES, Family

Labels = tuple[str, ...]
# Name -> label values -> [value], or of a histogram [entries in each bucket…, sum of all].
Snapshot = Mapping[str, Mapping[Labels, Sequence[float]]]


class Timing:
    """One series of a histogram. For one thread at a time, like everything here."""

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: Sequence[float], values: Sequence[float] = ()) -> None:
        self._bounds = bounds
        self._counts = list(values[:-1]) or [0] * (len(bounds) + 1)
        self.sum = values[-1] if values else 0.0

    def observe(self, seconds: float) -> None:
        """Something took so long."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self.sum += seconds

    @property
    def values(self) -> list[float]:
        """As in a Snapshot."""
        return [*self._counts, self.sum]


class Tally:
    """The figures of these families. A counter without labels is there from the start, so that its first rise shows."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = tuple(families)
        self._numbers: dict[tuple[str, Labels], float] = {
            (family.name, ()): 0 for family in self._families if not family.labels and family.kind != "histogram"
        }
        self._timings: dict[tuple[str, Labels], Timing] = {}
        self._elsewhere: dict[tuple[str, Labels], Callable[[], float]] = {}
        self._before: dict[tuple[str, Labels], float] = {}

    def add(self, name: str, *labels: str, by: float = 1) -> None:
        """So much more."""
        self._numbers[name, labels] = self._numbers.get((name, labels), 0) + by

    def timing(self, name: str, *labels: str) -> Timing:
        """The series of a histogram with these label values."""
        if (name, labels) not in self._timings:
            self._timings[name, labels] = Timing(FAMILIES[name].bounds)
        return self._timings[name, labels]

    def count_elsewhere(self, name: str, *labels: str, read: Callable[[], float]) -> None:
        """Somebody else counts it: `read` tells how far they are."""
        self._elsewhere[name, labels] = read

    def go_on_from(self, before: Snapshot) -> None:
        """Counters and histograms go on from what the process before had; what it had open is gone with it."""
        for family in self._families:
            for labels, values in before.get(family.name, {}).items():
                if family.kind == "histogram" and len(values) == len(family.bounds) + 2:
                    self._timings[family.name, labels] = Timing(family.bounds, values)
                elif family.kind == "counter":
                    self._before[family.name, labels] = values[0]

    def snapshot(self) -> Snapshot:
        """All of it now."""
        taken: dict[str, dict[Labels, Sequence[float]]] = {}
        numbers = {**self._numbers, **{key: read() for key, read in self._elsewhere.items()}}
        for name, labels in {**self._before, **numbers}:
            value = numbers.get((name, labels), 0) + self._before.get((name, labels), 0)
            taken.setdefault(name, {})[labels] = [value]
        for (name, labels), timing in list(self._timings.items()):
            taken.setdefault(name, {})[labels] = timing.values
        return taken


def added_up(snapshots: Iterable[Snapshot]) -> Snapshot:
    """The figures of several processes as those of one."""
    sums: dict[str, dict[Labels, Sequence[float]]] = {}
    for snapshot in snapshots:
        for name, series in snapshot.items():
            of_name = sums.setdefault(name, {})
            for labels, values in series.items():
                known = of_name.get(labels, [0.0] * len(values))
                of_name[labels] = [a + b for a, b in zip(known, values, strict=False)]
    return sums
