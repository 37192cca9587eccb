"""Deltas: changes of totals, ready for SQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, NamedTuple, overload

MIN_DELTA, MAX_DELTA = -(2**63), 2**63 - 1


class Delta(NamedTuple):
    """A change of one total, checked and ready for SQL."""

    counter: str
    item: str
    delta: int


@dataclass(frozen=True, slots=True)
class Deltas(Sequence[Delta]):
    """Deltas as three columns of equal length, the form in which databases take them; it saves an object for each."""

    counters: Sequence[str] = ()
    items: Sequence[str] = ()
    numbers: Sequence[int] = ()

    @classmethod
    def of(cls, deltas: Iterable[Delta]) -> Deltas:
        """The columns of `deltas`."""
        return cls(*zip(*deltas, strict=True))

    @classmethod
    def joined(cls, parts: Iterable[Deltas]) -> Deltas:
        """All of `parts`, by counter and item; an item that is in several is there once, with the sum of its deltas."""
        columns = [(part.counters, part.items, part.numbers) for part in parts if part]
        if not columns:
            return cls()
        counters, items, numbers = ([*chain.from_iterable(column)] for column in zip(*columns, strict=True))
        one_counter = counters.count(counters[0]) == len(counters)  # then sorting needs no thousand pairs
        names: Sequence[Any] = items if one_counter else [*zip(counters, items, strict=True)]
        order = sorted(range(len(names)), key=names.__getitem__)
        joined = cls([counters[i] for i in order], [items[i] for i in order], [numbers[i] for i in order])
        return joined if len(set(names)) == len(names) else cls.of(_summed(joined))

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> Delta: ...
    @overload
    def __getitem__(self, index: slice) -> Deltas: ...
    def __getitem__(self, index: int | slice) -> Delta | Deltas:
        if isinstance(index, slice):
            return Deltas(self.counters[index], self.items[index], self.numbers[index])
        return Delta(self.counters[index], self.items[index], self.numbers[index])

    def __iter__(self) -> Iterator[Delta]:
        return map(Delta, self.counters, self.items, self.numbers)


def _summed(deltas: Iterable[Delta]) -> Iterator[Delta]:
    for (counter, item), same in groupby(deltas, key=itemgetter(0, 1)):
        yield Delta(counter, item, sum(delta.delta for delta in same))
