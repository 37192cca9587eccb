"""What a fork has to wait for, as a child could not go on from there."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import RLock

# A fork waits until a block that holds this has ended. Nothing is in it that could wait for long.
whole = RLock()

_before_fork: list[Callable[[], None]] = []


def before_fork(do: Callable[[], None]) -> None:
    """Let `do` be done before each fork, while nobody is within a block that holds `whole`."""
    _before_fork.append(do)


def _hold_still() -> None:
    whole.acquire()
    for do in _before_fork:
        do()


os.register_at_fork(before=_hold_still, after_in_parent=whole.release, after_in_child=whole.release)
