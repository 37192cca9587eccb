"""Whether likes pile up so that a flush should not wait for the interval."""

from __future__ import annotations

from collections.abc import Collection

from likes.buffer.backlog import Load

FULL_AT = 0.8  # of the memory that a server may use: beyond it likes may soon be refused
WORTH = 0.01  # of that memory; a flush that frees less would come again and again in vain
ITEM_BYTES = 100  # what one pending item takes at least


def is_crowded(loads: Collection[Load], flush_at_items: int) -> bool:
    """True if so many items are pending (0: that does not matter), or a server is filling up and a flush makes room."""
    pending = sum(load.items for load in loads)
    return (0 < flush_at_items <= pending) or any(map(_is_filling_up, loads))


def _is_filling_up(load: Load) -> bool:
    return load.limit > 0 and load.memory >= FULL_AT * load.limit and load.items * ITEM_BYTES >= WORTH * load.limit
