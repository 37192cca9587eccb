"""What has to be true of live totals while nothing is forgotten: they never fall, and hold what was acknowledged."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from tests.chaos.journal import Post, Read


def dips(reads: Iterable[Read]) -> Iterator[str]:
    """Where one reader saw a total of an item, only liked, fall."""
    highest: Counter[str] = Counter()
    for read in reads:
        for item, total in read.totals.items():
            if total < highest[item]:
                yield f"the live total of {item} fell from {highest[item]} to {total}"
            highest[item] = max(highest[item], total)


class Truth:
    """Of each item: what had been acknowledged, and what had been sent, at any moment."""

    def __init__(self, posts: Sequence[Post]) -> None:
        self._acknowledged = _sums((post.done or 0.0, post.accepted) for post in posts)
        self._sent = _sums((post.sent, post.deltas) for post in posts)

    def denied_by(self, reads: Iterable[Read]) -> Iterator[str]:
        """Totals that lacked what was acknowledged before the read, or had more than was sent by its end."""
        for read in reads:
            for item, total in read.totals.items():
                least = _sum_at(self._acknowledged, item, read.began, bisect_left)
                most = _sum_at(self._sent, item, read.ended, bisect_right)
                if not least <= total <= most:
                    yield f"the live total of {item} was {total}, not between {least} and {most}"


Sums = Mapping[str, tuple[list[float], list[int]]]


def _sums(changes: Iterable[tuple[float, Mapping[str, int]]]) -> Sums:
    """Item -> the moments it changed, and the sum after each."""
    of_items: dict[str, list[tuple[float, int]]] = {}
    for at, deltas in changes:
        for item, delta in deltas.items():
            of_items.setdefault(item, []).append((at, delta))
    return {
        item: ([at for at, _ in sorted(some)], [*accumulate(delta for _, delta in sorted(some))])
        for item, some in of_items.items()
    }


def _sum_at(sums: Sums, item: str, moment: float, bisect: Callable[[list[float], float], int]) -> int:
    times, amounts = sums.get(item, ([], []))
    return amounts[place - 1] if (place := bisect(times, moment)) else 0
