"""Posting many lines, each accounted for: accepted, rejected, unknown, or not posted, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cli.chunks import Chunk, Merged
from cli.lines import BadLine, Line
from cli.rejects import Rejects
from cli.stopping import Stopping
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
    """Posts chunk by chunk.

    next_line: from here on no line was counted; those before are accepted, rejected, unknown or `left`.
    left: lines of the last chunk that were not counted, once posting it has failed half-way.
    """

    def __init__(
        self, likes: LikeCounter, account: Account, rejects: Rejects, stopping: Stopping, next_line: int
    ) -> None:
        self.account = account
        self.rejects = rejects
        self.next_line = next_line
        self.left: dict[int, Line] = {}
        self._stopping = stopping
        self._refused: list[Line | BadLine] = []
        self._likes = likes

    def post(self, chunk: Chunk) -> None:
        """Post a chunk. Raises what `LikeCounter.add` does, but for entries refused alone, which are only rejected."""
        self.left = {line.number: line for line in chunk.lines()}
        untouched = len(self.left)
        self._refused = []
        try:
            for counter, items in chunk.counters.items():
                self._add(items, counter)
        finally:
            if untouched and len(self.left) == untouched:
                self.left = {}  # all of it can be read again
                self.rejects.drop()
            else:
                self._settle(chunk)

    def _settle(self, chunk: Chunk) -> None:
        self.next_line = chunk.last + 1
        for bad in chunk.bad:
            self.account.reject(bad.number, bad.reason)
        self.rejects.settle([*chunk.bad, *self._refused, *self.left.values()])

    def _add(self, items: Mapping[str, Merged], counter: str) -> None:
        try:
            with self._stopping.sending():
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
                for line in items[item].lines:
                    self.account.reject(line.number, f"item {shorten(item)!r}: {reason}")
                    self._refused.append(line)
                self._forget(items[item])

    def _accept(self, items: Mapping[str, Merged]) -> None:
        for item, merged in items.items():
            self.account.accept(item, merged)
            self._forget(merged)

    def _note_unknown(self, several: Iterable[Merged]) -> None:
        for merged in several:
            self.account.unknown += [line.number for line in merged.lines]
            self._forget(merged)

    def _forget(self, merged: Merged) -> None:
        for line in merged.lines:
            del self.left[line.number]
