"""Adding once for each idempotency key, whichever process a caller repeats it on.

A producer recognises what it sends again itself; a key recognises what a caller sends again, to this process or another
one, after the first has died. Redis decides it where it adds: the key stands in a bucket of the item's shard, and is
written by the script that counts. So there is no reservation that somebody who dies could leave behind. It holds
within an epoch, and where one follows as the number of shards was changed (`once_left`): where another begins before an
answer came, the key keeps that nobody can tell whether it counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from likes.buffer.calls import Call
from likes.buffer.generations import Generations
from likes.buffer.keys import epoch_keys
from likes.buffer.refusals import NotSent, Unanswered
from likes.buffer.scripts import Added, Kept, OnceKey, Turned, add_once, delete_buckets, keep, turn_once
from likes.buffer.scripts.once import BUCKETS_A_CALL, UNKNOWN
from likes.deadline import Deadline
from likes.errors import KeyReused, LikesError, OutcomeUnknown, OutcomeUnknownYet
from likes.member import Entry
from likes.posting.adder import Adder, seconds_now
from likes.posting.once_left import LeftKeys
from likes.posting.part import Part
from likes.posting.producer import Producer
from likes.posting.steps import Send, Steps

TURN_SECONDS = 600.0  # after which a process asks again whether a generation is due


class Wanted(NamedTuple):
    """What is to go to one shard under an idempotency key: entries, or none where just the key is kept.

    place: its shard under another number of shards; None where another one tells of it.
    """

    shard: int
    once: OnceKey
    entries: Sequence[Entry] = ()
    alone: bool = False
    place: Callable[[int], int] | None = None


class OncePart(Part):
    """What goes to one shard in one call under an idempotency key, and what became of it.

    kept: without entries, what is kept under the key. repeated: the answer is that of an earlier call.
    """

    def __init__(self, producer: Producer, wanted: Wanted, kept: bytes = b"") -> None:
        super().__init__(wanted.shard, producer.number(), wanted.entries)
        self.producer = producer
        self.once = wanted.once
        self.alone = wanted.alone
        self.sought = ""  # the epoch before which the key was looked for, under other numbers of shards
        self._place = wanted.place
        self.kept = kept
        self.repeated = False
        self.full = False
        self.told: Generations | None = None  # those there are, where others were named
        self.doubtful = False
        self.stuck: LikesError | None = None  # why no generation could begin

    @property
    def is_to_be_sought(self) -> bool:
        """True if its key may have been used under another number of shards, for all that is known."""
        return self._place is not None and self.sent_at is None and not self.settled and self.sought != self.epoch

    def place(self, number: int) -> int:
        """Its shard under another number of shards."""
        return self._place(number) if self._place else self.shard

    def put_off(self, why: LikesError) -> None:
        """It cannot be sent now."""
        self.epoch = ""
        self.hear(NotSent(str(why)) if isinstance(why, Unanswered) else why, 0.0)

    def hear(self, reply: Added | Turned | Kept | LikesError, sent_at: float) -> None:
        """Take the reply to it, sent at `sent_at`."""
        if isinstance(reply, Kept):
            self._repeat(reply, sent_at)
        elif not isinstance(reply, Turned):
            self.doubtful = isinstance(reply, Added) and not reply.done and self.sent_at is not None
            super().hear(reply, sent_at)
        elif reply.full and self.stuck:
            super().hear(NotSent(str(self.stuck)) if isinstance(self.stuck, Unanswered) else self.stuck, sent_at)
        else:
            self.full, self.told = reply.full, reply.generations

    @property
    def doubt(self) -> type[OutcomeUnknown]:
        """The error where nobody can tell whether it counted."""
        return super().doubt if self.doubtful or self.repeated else OutcomeUnknownYet

    def _repeat(self, kept: Kept, sent_at: float) -> None:
        self.settled = self.repeated = True
        if kept.digest != self.once.digest:
            self.sent_at = None
            self.error = KeyReused("this idempotency key was used before for something else; draw another one for this")
        elif kept.unknown:
            self.sent_at = sent_at
            self.error = Unanswered("Redis was replaced before it answered when this key was first used")
        else:
            self.added = Added(kept.epoch, True, kept.refused, kept.pending)


class _Known(NamedTuple):
    """The generations of a shard, and when they were asked for. deleted: so many buckets of the oldest are."""

    generations: Generations
    asked_at: float
    deleted: int = 0


NOTHING = _Known(Generations(), 0.0)


class OnceAdder(Adder):
    """Adds under idempotency keys to the shards of one Redis."""

    def __init__(self, namespace: str, shards: int) -> None:
        super().__init__(namespace, shards)
        self._known: dict[tuple[int, str], _Known] = {}
        self._left = LeftKeys(namespace)

    def add_once(self, parts: Sequence[OncePart], timeout: float) -> Steps[None]:
        """Add each part; they say what became of them. No two of them may have one producer."""
        if not parts:
            return
        yield from self._settle(parts[0].producer, list(parts), True, timeout)
        doubtful = [part for part in parts if part.doubtful]
        if doubtful:  # nobody may count it anew who repeats it
            marks = [OncePart(part.producer, Wanted(part.shard, part.once), UNKNOWN) for part in doubtful]
            yield from self._settle(parts[0].producer, list(marks), True, timeout)

    def _acknowledged(self, producer: Producer, part: Part, sent_at: float) -> None:
        assert isinstance(part, OncePart)  # noqa: S101 (for mypy)
        if part.entries and not part.repeated:  # else Redis has not heard of this sequence
            super()._acknowledged(part.producer, part, sent_at)

    def _call(self, producer: Producer, part: Part, wants_pending: bool, now: float) -> Call[Any]:
        assert isinstance(part, OncePart)  # noqa: S101 (for mypy)
        keys, known = self._keys(part), self._known.get((part.shard, part.epoch), NOTHING)
        if not part.entries:
            return keep(keys, part.once, known.generations, part.kept)
        adding = super()._call(part.producer, part, wants_pending, now)
        return add_once(keys, part.once, known.generations, adding, keeps_pending=part.alone)

    def _learn_epochs(self, parts: Sequence[Part], deadline: Deadline) -> Steps[None]:
        """Give each part an epoch, and each epoch the generations of its buckets."""
        yield from super()._learn_epochs(parts, deadline)
        once = [part for part in parts if isinstance(part, OncePart) and part.epoch]
        if sought := [part for part in once if part.is_to_be_sought]:
            yield from self._left.look(sought, seconds_now(), deadline)
            for put_off in (part for part in sought if not part.epoch):
                self._epochs.pop(put_off.shard, None)  # it may be another one than the current
        by_epoch: dict[tuple[int, str], list[OncePart]] = {}
        for part in parts:
            if part.epoch and isinstance(part, OncePart) and not part.settled:
                by_epoch.setdefault((part.shard, part.epoch), []).append(part)
                if part.told:
                    known = self._known.get((part.shard, part.epoch), NOTHING)
                    self._known[part.shard, part.epoch] = _Known(part.told, known.asked_at)
                    part.told = None
        if due := {of: some for of, some in by_epoch.items() if self._is_due(of, some)}:
            yield from self._turn(due, deadline)
        for of in by_epoch:
            if self._known.get(of, NOTHING).generations.over:
                yield from self._delete_some(of, deadline)

    def _is_due(self, of: tuple[int, str], parts: Iterable[OncePart]) -> bool:
        known = self._known.get(of)
        return known is None or any(part.full for part in parts) or seconds_now() - known.asked_at > TURN_SECONDS

    def _turn(self, due: Mapping[tuple[int, str], Sequence[OncePart]], deadline: Deadline) -> Steps[None]:
        now = seconds_now()
        calls = [
            turn_once(
                epoch_keys(self.namespace, *of),
                self._known.get(of, NOTHING).generations,
                full=any(part.full for part in parts),
            )
            for of, parts in due.items()
        ]
        replies: list[Any] = yield Send(calls, deadline)
        for (of, parts), reply in zip(due.items(), replies, strict=True):
            failed = reply if isinstance(reply, LikesError) else None
            for part in parts:
                part.full, part.stuck = False, failed
            if failed is None and reply.epoch == of[1]:
                known, self._known[of] = self._known.get(of, NOTHING), _Known(reply.generations, now)
                if reply.generations.text != known.generations.text:  # it was told, not asked whether one is due
                    self._known[of] = _Known(reply.generations, 0.0)
                self._forget_others(of)

    def _forget_others(self, of: tuple[int, str]) -> None:
        for other in [other for other in self._known if other[0] == of[0] and other != of]:
            del self._known[other]

    def _delete_some(self, of: tuple[int, str], deadline: Deadline) -> Steps[None]:
        """Delete some buckets of a generation that is over."""
        known = self._known[of]
        call = delete_buckets(epoch_keys(self.namespace, *of), known.generations, known.deleted)
        (reply,) = yield Send([call], deadline)
        if isinstance(reply, LikesError) or reply.epoch != of[1]:
            return
        if reply.generations.text == known.generations.text:
            self._known[of] = known._replace(deleted=known.deleted + BUCKETS_A_CALL)
        else:
            self._known[of] = _Known(reply.generations, known.asked_at)
