"""Calls that only read, and so may be sent once more where a connection broke."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from likes.buffer.calls import Call
from likes.buffer.keys import ShardKeys
from likes.deadline import Deadline
from likes.errors import RedisUnavailable
from likes.posting.blame import blame
from likes.posting.steps import Send, Steps


def ask(calls: Sequence[Call[Any]], deadline: Deadline, keys: Sequence[ShardKeys] = ()) -> Steps[list[Any]]:
    """A reply for each call, or the LikesError in its place. keys: of each call that runs a script; what comes after
    those nobody waits for.
    """
    replies: list[Any] = yield Send(calls, Deadline(deadline.left(), first=True))
    if any(isinstance(reply, RedisUnavailable) for reply in replies):
        replies = yield Send(calls, deadline)
    return (yield from blame(replies[: len(keys)], keys.__getitem__, deadline)) if keys else replies
