"""What a change of the number of shards leaves in a shard: the epoch given up, under which idempotency keys stand."""

from __future__ import annotations

from typing import NamedTuple

from likes.buffer.generations import Generations


class LeftEpoch(NamedTuple):
    """One line of the key `left`. at: milliseconds since 1970; number: how many shards there were under it."""

    entry: bytes
    at: int
    number: int
    epoch: str
    generations: Generations


def read_left(text: bytes | None) -> list[LeftEpoch]:
    """The epochs left, the oldest first; what is none of ours is left out."""
    found = []
    for entry in (text or b"").split(b"\n"):
        at, _, rest = entry.decode("ascii", "replace").partition(" ")
        number, _, rest = rest.partition(" ")
        epoch, _, generations = rest.partition(" ")
        if at.isdigit() and number.isdigit() and epoch:
            found.append(LeftEpoch(entry, int(at), int(number), epoch, Generations(generations)))
    return found
