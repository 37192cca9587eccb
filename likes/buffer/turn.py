"""A shard's turn in a flush: what is pending under one epoch, on its way out, a row of batches at a time."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any

from likes.buffer import scripts
from likes.buffer.calls import Call, command
from likes.buffer.keys import EpochKeys
from likes.buffer.scripts import Carried, HandedOff
from likes.buffer.standing import Standing
from likes.chain import Chain
from likes.errors import LikesError
from likes.member import Member


class Overtaken(LikesError):
    """A hand-off did nothing: the shard is not as it was read, as another worker flushes it or Redis went back."""


class Turn:
    """Where the shard stands, and how much is left to hand off.

    owner: the database that the shard must belong to. node: the only one of a cluster that may hand it off; None for
    whichever server has it.
    started: when the flush began, in milliseconds since 1970; what stays pending after it is younger.
    place: the end of the chain.
    left: how many entries are still to be handed off; head: the next of them, () before they are known.
    unsealed: what was accepted and not handed off; in the end 0, unless likes came in, or some are missing.
    sealed: the row handed off last; None if there was none, or it is not known whole, or is left in flight.
    error: why that is so, or why that row could not be acknowledged.
    """

    def __init__(self, standing: Standing, *, owner: str, started: int, node: str | None = None) -> None:
        self.shard = standing.shard
        self.owner = owner
        self.node = node
        self.epoch = standing.epoch
        self.started = started
        self.place = standing.place
        self.left = standing.pending
        self.unsealed = standing.accepted - standing.sealed
        self.is_cached = standing.is_cached
        self.head: Sequence[Member] = ()
        self.sealed: Chain | None = None
        self.error: LikesError | None = None

    def look_at_head(self, keys: EpochKeys, items: int) -> Call[Any]:
        """The call that asks for the first `items` that are pending."""
        return command("LRANGE", keys.pending, 0, min(self.left, items) - 1, shard=self.shard)

    def see_head(self, head: list[Member] | LikesError) -> None:
        """Take the reply to `look_at_head`. None that are pending, where there were some, is no end of them: who took
        them need not have brought them into SQL.
        """
        if isinstance(head, LikesError):
            self.error = head
        elif not head:
            self.error = self._overtaken()
        else:
            self.head = head

    def hand_offs(self, keys: EpochKeys, batch_items: int, items_in_a_row: int) -> list[Call[HandedOff | None]]:
        """A call for each batch of the row: as a script holds Redis, several short ones are better than a long one."""
        calls: list[Call[HandedOff | None]] = []
        left = self.left - len(self.head)
        after = self.place
        for first in range(0, len(self.head), batch_items):
            is_last = first + batch_items >= len(self.head)
            nonce = secrets.token_hex(16)
            call = scripts.hand_off(
                keys,
                after=after,
                fresh_nonce=nonce,
                now=time.time_ns() // 1_000_000,
                head=self.head[first : first + batch_items],
                in_flight=len(calls),
                next_head=min(left, items_in_a_row) if is_last else 0,
                pending_since=self.started if is_last and not left else None,
                owner=self.owner,
            )
            calls.append(call.on(self.node))
            after = after._replace(seq=after.seq + 1, nonce=nonce)
        return calls

    def take(self, replies: Sequence[HandedOff | LikesError | None]) -> None:
        """Move on past the row that was handed off. Of one not known whole, what was sealed stays in flight."""
        self.sealed = None
        row: list[HandedOff] = []
        for reply in replies:
            if isinstance(reply, LikesError):
                self.error = reply
                return
            if reply is None:
                self.error = self._overtaken()
                return
            row.append(reply)
        self.left -= len(self.head)
        self.head = row[-1].next_head if row else ()
        if row:
            self.sealed = Chain(tuple(one.batch for one in row))
            self.unsealed -= self.sealed.delta
            self.place = self.sealed.end

    def hear(self, replies: Sequence[Carried | LikesError]) -> None:
        """Take the replies to the acknowledgements of its row."""
        self.is_cached |= Carried.NOT_THROUGH in replies
        self.error = next((reply for reply in replies if isinstance(reply, LikesError)), None)

    def leave(self, error: LikesError) -> None:
        """Leave the row just handed off in flight: SQL may not have it yet."""
        self.sealed, self.error = None, error

    def _overtaken(self) -> Overtaken:
        return Overtaken(f"shard {self.shard} is no longer as it was read")

    @property
    def is_over(self) -> bool:
        """True if nothing is left of what was pending at the start; known once a row was handed off."""
        return not self.head
