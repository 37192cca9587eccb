"""A part of an add: what goes to one shard in one call, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence

from likes.buffer.refusals import Unanswered
from likes.buffer.scripts import Added
from likes.errors import LikesError, OutcomeUnknown, RedisUnavailable
from likes.member import Entry
from likes.posting.producer import MEMORY_SECONDS


class Part:
    """The entries of an add that go to one shard in one call, and what became of them."""

    def __init__(self, shard: int, sequence: int, entries: Sequence[Entry]) -> None:
        self.shard = shard
        self.sequence = sequence
        self.entries = entries
        self.epoch = ""
        self.sent_at: float | None = None  # when it first went out and was not answered
        self.added: Added | None = None
        self.error: LikesError | None = None
        self.settled = False

    @property
    def unknown(self) -> bool:
        """True if it was sent and not answered, so that it may have been counted or not."""
        return self.added is None and self.sent_at is not None

    @property
    def doubt(self) -> type[OutcomeUnknown]:
        """The error where that is so."""
        return OutcomeUnknown

    def pending(self, index: int) -> int:
        """The pending delta of an entry after it was added; 0 if it was not."""
        return self.added.pending[index] if self.added else 0

    def is_too_old(self, now: float) -> bool:
        """True once Redis may have forgotten its producer, so that it must not be sent again."""
        return self.sent_at is not None and now - self.sent_at > MEMORY_SECONDS / 2

    def hear(self, reply: Added | LikesError, sent_at: float) -> None:
        """Take the reply to it, sent at `sent_at`."""
        if isinstance(reply, Added):
            if reply.done:
                self.added, self.settled = reply, True
            elif self.sent_at is not None:
                lost = "has lost its memory" if reply.epoch == self.epoch else "was replaced"
                self.error, self.settled = Unanswered(f"Redis {lost} before it answered"), True
            else:
                self.epoch = reply.epoch
            return
        self.error = reply
        if isinstance(reply, Unanswered) and self.sent_at is None:
            self.sent_at = sent_at
        self.settled = not isinstance(reply, RedisUnavailable) and not self.unknown
