"""What is liked: many different items, or as a crowd likes, a few of them far more often than the others."""

from __future__ import annotations

import random
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

ITEMS_A_BATCH = 1000

Batches = Sequence[Mapping[str, int]]


def deltas(count: int, seed: int) -> Iterator[tuple[str, int]]:
    """`count` different items such as `video:dQw4w9WgXcQ`, with a delta of 1 to 99; the same ones for the same seed."""
    random_source = random.Random(seed)
    for _ in range(count):
        name = urlsafe_b64encode(random_source.randbytes(8))[:11].decode()
        yield f"video:{name}", random_source.randrange(1, 100)


def batches(source: Iterator[tuple[str, int]], size: int = ITEMS_A_BATCH) -> Iterator[dict[str, int]]:
    """`source` cut into mappings of `size` items."""
    while batch := dict(islice(source, size)):
        yield batch


def crowd(items: int, seed: int) -> Iterator[Mapping[str, int]]:
    """Batches of 1,000 different items and how often each was liked, without end.

    Likes are drawn by Zipf's law with exponent 1 from a catalogue of `items`: an item's share goes by 1 / its rank.
    """
    random_source = random.Random(seed)
    catalogue = [item for item, _ in deltas(items, seed)]
    while True:
        liked: Counter[str] = Counter()
        while len(liked) < ITEMS_A_BATCH:
            liked[catalogue[int(items ** random_source.random()) - 1]] += 1
        yield liked
