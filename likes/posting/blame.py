"""Which key a script ran into: Redis says that one of them had another type, not which one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from likes.buffer.damage import culprit, is_about_a_type, probes
from likes.buffer.keys import ShardKeys
from likes.deadline import Deadline
from likes.posting.steps import Send, Steps


def blame(replies: list[Any], keys_of: Callable[[int], ShardKeys], deadline: Deadline) -> Steps[list[Any]]:
    """The `replies` of a script; an error about a key's type is made one that names it. keys_of: those of a reply."""
    for i, reply in enumerate(replies):
        if is_about_a_type(reply):
            calls = probes(keys_of(i))
            found: list[Any] = yield Send(calls, deadline)
            replies[i] = culprit(calls, found, reply)
    return replies
