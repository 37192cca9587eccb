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
from likes.buffer.scripts.limiting import GCRA, use
from likes.buffer.scripts.once import (
    ADD_ONCE,
    TURN_ONCE,
    Kept,
    OnceKey,
    Turned,
    add_once,
    delete_all_buckets,
    delete_buckets,
    keep,
    turn_once,
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
    "ADD_ONCE",
    "BEAT",
    "BEGIN_EPOCH",
    "CLAIM",
    "CONFIRM",
    "DROP_EPOCH",
    "FETCH",
    "GCRA",
    "HAND_OFF",
    "LEASE",
    "LIVE",
    "PRUNE_PRODUCERS",
    "REPAIR",
    "TALLY",
    "TURN_ONCE",
    "WRITE_OFF",
    "Acknowledged",
    "Added",
    "Confirmed",
    "Fetched",
    "HandedOff",
    "Kept",
    "Live",
    "OnceKey",
    "Turned",
    "acknowledge",
    "add",
    "add_once",
    "beat",
    "begin_epoch",
    "claim",
    "confirm",
    "delete_all_buckets",
    "delete_buckets",
    "drop_epoch",
    "fetch",
    "hand_off",
    "keep",
    "lease",
    "live",
    "prune_producers",
    "repair",
    "tally",
    "turn_once",
    "use",
    "write_off",
]
