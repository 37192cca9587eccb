"""The one way to wait in tests: for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_LOOK_AGAIN_SECONDS = 0.005


def wait_until(condition: Callable[[], T], timeout: float = 30) -> T:
    """Return what `condition` returns once that is true; raise TimeoutError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (met := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout} s: {condition}")
        time.sleep(_LOOK_AGAIN_SECONDS)
    return met
