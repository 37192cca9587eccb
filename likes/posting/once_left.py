"""Idempotency keys from before the number of shards changed: they stay in the shards where they were used.

Under another number an item, or a key that stands for a batch, lies in another shard. So for a day after a change a key
is looked for there first. That is sure once the change is over: until then no likes are accepted, and what was kept
under the epochs given up never changes again. A shard tells at one moment that its epoch is current and it is open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from likes.buffer.calls import command
from likes.buffer.keys import epoch_keys, shard_keys
from likes.buffer.left import LeftEpoch, read_left
from likes.buffer.refusals import NotAccepted
from likes.buffer.scripts import find_kept, read_kept
from likes.deadline import Deadline
from likes.errors import LikesError
from likes.posting.steps import Send, Steps

if TYPE_CHECKING:
    from likes.posting.once import OncePart

ASK_AGAIN_SECONDS = 600.0


class LeftKeys:
    """Looks for keys where they were used under other numbers of shards. Knows which numbers there were."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._numbers: dict[int, tuple[str, float, frozenset[int]]] = {}  # of a shard: its epoch, when it was asked

    def look(self, parts: Sequence[OncePart], now: float, deadline: Deadline) -> Steps[None]:
        """Look for the key of each part: one that was used hears what is kept of it, and what may not be added now why;
        all others are `sought`, for their epoch.
        """
        yield from self._learn_numbers({part.shard: part.epoch for part in parts}, parts, now, deadline)
        places = [
            (part, part.place(number))
            for part in parts
            if part.epoch
            for number in sorted(self._numbers[part.shard][2])
        ]
        found = yield from self._epochs_left(places, deadline)
        asked = [
            (part, left.epoch, call)
            for part, shard in places
            for left in found.get(shard, ())
            for call in find_kept(epoch_keys(self._namespace, shard, left.epoch), part.once, left.generations)
        ]
        replies: list[Any] = (yield Send([call for *_, call in asked], deadline)) if asked else []
        for (part, epoch, _), reply in zip(asked, replies, strict=True):
            if isinstance(reply, LikesError):
                part.put_off(reply)
            elif reply and not part.settled:
                keys = epoch_keys(self._namespace, part.shard, epoch)
                part.hear(read_kept(keys, epoch, reply, keeps_pending=part.alone, unknown=not part.alone), now)
        for part in parts:
            part.sought = part.epoch

    def _learn_numbers(
        self, epochs: Mapping[int, str], parts: Sequence[OncePart], now: float, deadline: Deadline
    ) -> Steps[None]:
        """Learn under which numbers keys were used before these epochs; a part hears why that is not to be had."""
        asked = [shard_keys(self._namespace, shard) for shard in epochs if not self._knows(shard, epochs[shard], now)]
        if not asked:
            return
        calls = [command("MGET", each.pointer, each.resharding, each.left, shard=each.shard) for each in asked]
        replies: list[Any] = yield Send(calls, deadline)
        for keys, reply in zip(asked, replies, strict=True):
            why_not = reply if isinstance(reply, LikesError) else None
            if why_not is None and (reply[0] != epochs[keys.shard].encode() or reply[1]):
                why_not = NotAccepted("no likes are accepted while the number of shards is being changed")
            if why_not is None:
                numbers = frozenset(left.number for left in read_left(reply[2]))
                self._numbers[keys.shard] = epochs[keys.shard], now, numbers
            for part in parts:
                if why_not is not None and part.shard == keys.shard:
                    part.put_off(why_not)

    def _knows(self, shard: int, epoch: str, now: float) -> bool:
        of, asked_at, _ = self._numbers.get(shard, ("", 0.0, frozenset()))
        return of == epoch and now - asked_at < ASK_AGAIN_SECONDS

    def _epochs_left(
        self, places: Sequence[tuple[OncePart, int]], deadline: Deadline
    ) -> Steps[dict[int, list[LeftEpoch]]]:
        """What was left in the shards where parts lay; a part hears why that is not to be had."""
        shards = sorted({shard for _, shard in places})
        calls = [command("GET", shard_keys(self._namespace, shard).left, shard=shard) for shard in shards]
        replies: dict[int, Any] = dict(zip(shards, (yield Send(calls, deadline)), strict=True)) if calls else {}
        for part, shard in places:
            if isinstance(error := replies[shard], LikesError):
                part.put_off(error)
        return {shard: read_left(reply) for shard, reply in replies.items() if not isinstance(reply, LikesError)}
