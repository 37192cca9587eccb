"""Which key a script ran into: Redis says that one of them had another type, not which one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from likes.buffer.damage import Damaged, damaged, probes
from likes.buffer.keys import ShardKeys
from likes.errors import LikesError, RedisRefused
from likes.posting.steps import Send, Steps


def blame(replies: list[Any], keys_of: Callable[[int], ShardKeys]) -> Steps[list[Any]]:
    """The `replies` of a script; an error about a key's type is made one that names it. keys_of: those of a reply."""
    for i, reply in enumerate(replies):
        if isinstance(reply, RedisRefused) and "WRONGTYPE" in str(reply):
            replies[i] = yield from _find(keys_of(i), reply)
    return replies


def _find(keys: ShardKeys, error: LikesError) -> Steps[LikesError]:
    calls = probes(keys)
    replies: list[Any] = yield Send(calls)
    unread: bytes | None = None  # we may not read it; if all others are in order, it must be that one
    for call, reply in zip(calls, replies, strict=True):
        if isinstance(reply, Damaged):
            return reply
        if isinstance(reply, RedisRefused):
            unread = unread or call.key
    return damaged(unread, "holds another type than ours") if unread else error
