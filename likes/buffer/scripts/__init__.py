"""The Lua scripts and how to call them: each function's signature is the contract of one `.lua` file.

Each builds a `Call`, a value that a link sends. So the same calls serve threads and asyncio.
"""

from __future__ import annotations

from likes.buffer.scripts.adding import ADD, Acknowledged, Added, add
from likes.buffer.scripts.batches import ACKNOWLEDGE, FETCH, HAND_OFF, Fetched, HandedOff, acknowledge, fetch, hand_off
from likes.buffer.scripts.epochs import (
    BEGIN_EPOCH,
    CLAIM,
    CONFIRM,
    DROP_EPOCH,
    Confirmed,
    begin_epoch,
    claim,
    confirm,
    drop_epoch,
)
from likes.buffer.scripts.reading import LIVE, TALLY, Live, live, tally
from likes.buffer.scripts.upkeep import (
    BEAT,
    LEASE,
    PRUNE_PRODUCERS,
    REPAIR,
    WRITE_OFF,
    beat,
    lease,
    prune_producers,
    repair,
    write_off,
)

__all__ = [
    "ACKNOWLEDGE",
    "ADD",
    "BEAT",
    "BEGIN_EPOCH",
    "CLAIM",
    "CONFIRM",
    "DROP_EPOCH",
    "FETCH",
    "HAND_OFF",
    "LEASE",
    "LIVE",
    "PRUNE_PRODUCERS",
    "REPAIR",
    "TALLY",
    "WRITE_OFF",
    "Acknowledged",
    "Added",
    "Confirmed",
    "Fetched",
    "HandedOff",
    "Live",
    "acknowledge",
    "add",
    "beat",
    "begin_epoch",
    "claim",
    "confirm",
    "drop_epoch",
    "fetch",
    "hand_off",
    "lease",
    "live",
    "prune_producers",
    "repair",
    "tally",
    "write_off",
]
