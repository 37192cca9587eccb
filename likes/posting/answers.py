"""What became of the likes of one round trip, for each of the callers that put some in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from likes.errors import LikesError
from likes.member import Entry, Member
from likes.posting.outcome import Sent, all_counted, entries_of, error_of
from likes.posting.part import Part


class Answers:
    """The answers to `parts`.

    all_counted: True if every entry was. pending: the pending delta of each member after it was added; 0 if it was not.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self.all_counted = all_counted(parts)
        self.pending: dict[Member, int] = {}
        self._sent: dict[Member, Sent] = {}
        for part in parts:
            members = [member for member, _ in part.entries]
            self.pending.update(zip(members, part.added.pending if part.added else [0] * len(members), strict=True))
        if not self.all_counted:
            self._sent = {sent.member: sent for sent in entries_of(parts)}

    def outcome_of(self, entry: Entry) -> int | LikesError:
        """What to tell a caller that put this in: the pending delta of its member, or the error."""
        error = None if self.all_counted else self.error_of([entry])
        return error or self.pending[entry[0]]

    def error_of(self, entries: Iterable[Entry]) -> LikesError | None:
        """What to raise to a caller that put these in: None if all of them were counted."""
        if self.all_counted:
            return None
        return error_of([self._sent[member]._replace(delta=delta) for member, delta in entries])
