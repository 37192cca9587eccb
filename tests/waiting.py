"""The one way to wait in tests: for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# The longer it takes already, the longer until the next look: what is waited for needs the processor, too.
_LOOK_AGAIN_SECONDS = (0.005, 0.02)


def wait_until(condition: Callable[[], T], timeout: float = 30) -> T:
    """Return what `condition` returns once that is true; raise TimeoutError after `timeout` seconds."""
    began = time.monotonic()
    soonest, latest = _LOOK_AGAIN_SECONDS
    while not (met := condition()):
        waited = time.monotonic() - began
        if waited > timeout:
            raise TimeoutError(f"not within {timeout} s: {condition}")
        time.sleep(min(max(soonest, waited / 20), latest))
    return met
