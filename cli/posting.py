"""Posting many lines, each accounted for: accepted, rejected, unknown, or not posted, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cli.chunks import Chunk, Merged
from likes.counter import LikeCounter
from likes.errors import AddFailed, EntryRefused, LikesError
from likes.items import shorten

REASONS_KEPT = 20


class Account:
    """What became of every line so far. Lines are known by their number, from 1."""

    def __init__(self) -> None:
        self.accepted = 0
        self.rejected = 0
        self.reasons: list[tuple[int, str]] = []  # of the first lines rejected
        self.unknown: list[int] = []
        self.delta = 0
        self.items: set[str] = set()

    def accept(self, item: str, merged: Merged) -> None:
        """Redis has these lines."""
        self.accepted += len(merged.lines)
        self.delta += merged.delta
        self.items.add(item)

    def reject(self, number: int, reason: str) -> None:
        """A line is no like, or Redis refuses it."""
        self.rejected += 1
        if len(self.reasons) < REASONS_KEPT:
            self.reasons.append((number, reason))


class Posting:
    """Posts chunk by chunk. `left`: lines of the last chunk that were not counted, once posting it has failed."""

    def __init__(self, likes: LikeCounter, account: Account) -> None:
        self.account = account
        self.left: set[int] = set()
        self.last = 0
        self._likes = likes

    def post(self, chunk: Chunk) -> None:
        """Post a chunk. Raises what `LikeCounter.add` does, but for entries refused alone, which are only rejected."""
        self.left = set(chunk.lines())
        self.last = max(self.left, default=self.last)
        for counter, items in chunk.counters.items():
            try:
                self._likes.add({item: merged.delta for item, merged in items.items()}, counter=counter)
            except AddFailed as error:
                self._take_apart(items, error)
                if not isinstance(error, EntryRefused):
                    raise
            except LikesError:
                raise  # nothing of this call was counted
            except BaseException:
                self._note_unknown(items.values())  # cut short by a signal
                raise
            else:
                self._accept(items)

    def _take_apart(self, items: Mapping[str, Merged], error: AddFailed) -> None:
        self._accept({item: items[item] for item in error.accepted})
        self._note_unknown(items[item] for item in error.unknown)
        if isinstance(error, EntryRefused):
            for item, reason in error.refused.items():
                for number in items[item].lines:
                    self.account.reject(number, f"item {shorten(item)!r}: {reason}")
                self.left.difference_update(items[item].lines)

    def _accept(self, items: Mapping[str, Merged]) -> None:
        for item, merged in items.items():
            self.account.accept(item, merged)
            self.left.difference_update(merged.lines)

    def _note_unknown(self, several: Iterable[Merged]) -> None:
        for merged in several:
            self.account.unknown += merged.lines
            self.left.difference_update(merged.lines)
