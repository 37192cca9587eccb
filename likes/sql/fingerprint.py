"""What was added to each item, as 1,024 pairs of numbers however many items there are.

An item belongs to one of 1,024 slices and has a number of its own, both from its hash. A slice keeps the sum of what
was added to its items, and the sum of that times each item's number, modulo a prime. Sums of equal changes are equal;
of others they are equal once in 10^16 times. Where one item of a slice is off, the first sum says by how much, and the
second one by which number, which finds the item.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import NamedTuple, Self

SLICES = 1024
PRIME = 2**61 - 1
_FORM = struct.Struct(f"<{2 * SLICES}Q")


class Off(NamedTuple):
    """A slice in which two fingerprints differ: by how much altogether, and times the numbers of the items."""

    amount: int
    weight: int

    def is_of(self, number: int) -> bool:
        """True if it is the item with this number, alone, that is off by the amount."""
        return self.amount != 0 and (number * self.amount - self.weight) % PRIME == 0


class Fingerprint:
    """Starts as that of nothing, or as it was packed."""

    def __init__(self, packed: bytes | None = None) -> None:
        sums: tuple[int, ...] = _FORM.unpack(packed) if packed else (0,) * (2 * SLICES)
        self._amounts = [*sums[:SLICES]]
        self._weights = [*sums[SLICES:]]

    def fold(self, deltas: Iterable[tuple[str, str, int]]) -> int:
        """Let all of these be added; returns how many there were."""
        amounts, weights, count = self._amounts, self._weights, 0
        for counter, item, delta in deltas:
            index, number = place_of(counter, item)
            amounts[index] += delta
            weights[index] += delta * number
            count += 1
        return count

    def __iadd__(self, other: Fingerprint) -> Self:
        for index in range(SLICES):
            self._amounts[index] += other._amounts[index]
            self._weights[index] += other._weights[index]
        return self

    def differs_by(self, amount: int) -> bool:
        """True unless all that was added comes to `amount`."""
        return sum(self._amounts) % PRIME != amount % PRIME

    def off_from(self, expected: Fingerprint) -> Iterator[tuple[int, Off]]:
        """The slices in which it is not as expected."""
        for index in range(SLICES):
            amount = (self._amounts[index] - expected._amounts[index]) % PRIME
            weight = (self._weights[index] - expected._weights[index]) % PRIME
            if amount or weight:
                yield index, Off(amount - PRIME if amount > PRIME // 2 else amount, weight)

    def pack(self) -> bytes:
        """16 KiB that make the same fingerprint again."""
        return _FORM.pack(*(number % PRIME for number in (*self._amounts, *self._weights)))


def place_of(counter: str, item: str) -> tuple[int, int]:
    """The slice of an item, and its number."""
    hashed = int.from_bytes(blake2b(f"{counter}:{item}".encode(), digest_size=8).digest())
    return hashed % SLICES, hashed // SLICES
