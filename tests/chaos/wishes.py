"""What producers like next."""

from __future__ import annotations

from random import Random

HOT = [f"hot:{number}" for number in range(12)]  # only ever liked; in every shard
SWINGING = [f"swinging:{number}" for number in range(6)]  # liked and unliked


class Wishes:
    """What one member likes next, all drawn from its seed."""

    def __init__(self, seed: str, name: str) -> None:
        self._random = Random(f"{seed}/{name}")
        self._name = name
        self._number = 0

    def one(self) -> dict[str, int]:
        """A like or some of one item, now and then of one never liked again: if it is lost, it is known when."""
        self._number += 1
        if self._number % 4 == 0:
            return {f"once:{self._name}:{self._number}": 1}
        return {self._random.choice(HOT): self._random.choice([1, 1, 1, 2, 5])}

    def several(self) -> dict[str, int]:
        """Likes of several items."""
        deltas = {item: self._random.randrange(1, 4) for item in self._random.sample(HOT, self._random.randrange(1, 7))}
        return {**deltas, **self.one(), self._random.choice(SWINGING): self._random.choice([1, -1, 2, -2])}

    def next(self) -> dict[str, int]:
        """One or several."""
        return self.one() if self._random.random() < 0.5 else self.several()
