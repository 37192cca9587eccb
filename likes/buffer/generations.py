"""Where idempotency keys are remembered: in buckets, small hashes that Redis stores as one flat string each.

A hash of a hundred short fields costs a third of as many keys of their own, as long as it stays below the limits of
that encoding (hash-max-listpack-entries and -value). So there have to be more buckets where there are more keys: when
one is full, a next *generation* begins with four times as many. A key is written to the newest and looked for in all. A
generation has a successor after half a day at the latest, so keys grow too old by whole generations, and none needs a
time of its own.
"""

from __future__ import annotations

import re
from typing import NamedTuple

KEYS_A_BUCKET = 128
FIRST_BUCKETS, GROWTH = 1, 4
KNOWN_SECONDS = 24 * 3600
SUCCESSOR_SECONDS = KNOWN_SECONDS // 2

_WRITTEN = re.compile(r"(-?)(\d+):(\d+):(\d+)")


class Generation(NamedTuple):
    """A number of buckets. over: all of its keys are too old."""

    number: int
    buckets: int
    over: bool


class Generations:
    """Those of a shard, as they are written in Redis: `text`."""

    def __init__(self, text: str = "") -> None:
        self.text = text
        found = [
            Generation(int(number), int(buckets), bool(over)) for over, number, buckets, _ in _WRITTEN.findall(text)
        ]
        self.live = [each for each in found if not each.over]
        self.over = [each for each in found if each.over]

    @property
    def next_buckets(self) -> int:
        """How many buckets one has that follows because the newest is full."""
        return self.live[-1].buckets * GROWTH if self.live else FIRST_BUCKETS
