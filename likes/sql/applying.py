"""Applying dead letters in one transaction: each is added to its total, unless its likes may be in there already."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, update

from likes.deltas import Delta, Deltas
from likes.sql import generations
from likes.sql.alternatives import EpochPast, same_items
from likes.sql.dead_letters import add_or_refuse
from likes.sql.decision import Decision
from likes.sql.letters import Letter, find, posted_item
from likes.sql.tables import dead_letters


class Outcome(NamedTuple):
    """What became of a letter. `ok`: it is as it was wanted; `changed`: since now."""

    letter: Letter
    ok: bool
    changed: bool
    words: str
    closed: Sequence[int] = ()  # the letters with the same likes that were closed with it


class Applying:
    """The letters with `ids`, locked.

    pasts: of the epochs that they are from, by shard and name.
    choose: of those with the same likes the first is taken, else none of them.
    """

    def __init__(
        self,
        connection: Connection,
        namespace: str,
        ids: Sequence[int],
        *,
        decision: Decision,
        pasts: Mapping[tuple[int, str], EpochPast],
        choose: bool,
    ) -> None:
        self._connection = connection
        self._decision = decision
        self._pasts = pasts
        self._choose = choose
        self._ids = ids
        chosen = find(connection, namespace, ids).values()
        concerned = {*ids}
        for shard, epoch in {(letter.shard, letter.epoch) for letter in chosen}:
            if not pasts[shard, epoch].runs.is_one:
                here = [letter for letter in chosen if (letter.shard, letter.epoch) == (shard, epoch)]
                concerned.update(same_items(connection, namespace, shard, epoch, here))
        # With all that may hold the same likes: of two operators who take one each, one has to wait for the other.
        self._letters = find(connection, namespace, concerned, lock=True)

    def run(self) -> list[Outcome]:
        """Apply them; what became of each, in the order of the ids."""
        outcomes: dict[int, Outcome] = {}
        generations.lock_all(self._connection)
        while waiting := [self._letters[n] for n in self._ids if n in self._letters and n not in outcomes]:
            # One letter an item at a time: a second one may hold the same likes, or be too much for the total.
            ready: dict[tuple[str, str], Letter] = {}
            for letter in waiting:
                if words := self._objection(letter):
                    outcomes[letter.id] = self._left(letter, words)
                else:
                    ready.setdefault((letter.counter, letter.posted_item), letter)
            outcomes |= {outcome.letter.id: outcome for outcome in self._add(ready)}
        if any(outcome.changed for outcome in outcomes.values()):
            generations.renew_all(self._connection)
        return [outcomes[number] for number in self._ids if number in outcomes]

    def _objection(self, letter: Letter) -> str:
        """Why a letter must not be applied; "" if it may."""
        if not letter.is_open:
            return letter.decision
        if letter.delta is None:
            return "it has no number; discard it, and post what it should have been, with likes post"
        same = self._alternatives(letter)
        for other in same:
            if other.applied_delta is not None:
                return f"dead letter {other.id}, which may hold the same likes, was {other.decision}; discard this one"
        if not self._choose and (names := [str(other.id) for other in same if other.is_open]):
            return f"dead letter {', '.join(names)} may hold the same likes: name the one to apply"
        if words := self._pasts[letter.shard, letter.epoch].objection(letter):
            return f"{words}; discard it, and if some are missing post those, with likes post"
        return ""

    def _alternatives(self, letter: Letter) -> list[Letter]:
        runs = self._pasts[letter.shard, letter.epoch].runs
        return [
            other
            for other in self._letters.values()
            if other.entry == letter.entry and runs.are_alternatives(letter, other)
        ]

    def _left(self, letter: Letter, words: str) -> Outcome:
        if letter.applied_delta is None:
            return Outcome(letter, ok=False, changed=False, words=f"not applied: {words}")
        if self._decision.made(letter.resolved_at, letter.resolved_by):
            return Outcome(letter, ok=True, changed=True, words=letter.resolution or "")
        return Outcome(letter, ok=True, changed=False, words=f"already {words}")

    def _add(self, ready: Mapping[tuple[str, str], Letter]) -> Iterator[Outcome]:
        """Add letters of different items to their totals, and write down that they are applied."""
        if not ready:
            return
        deltas = Deltas.of(Delta(*name, letter.delta or 0) for name, letter in sorted(ready.items()))
        refused = {
            (entry.counter, posted_item(entry.item, entry.delta, entry.raw)): entry.reason
            for entry in add_or_refuse(self._connection, deltas, self._decision.at)
        }
        for name, reason in refused.items():
            yield Outcome(ready[name], ok=False, changed=False, words=f"not applied: {reason}")
        applied = [letter for name, letter in ready.items() if name not in refused]
        words = self._decision.words("applied")
        self._resolve([letter.id for letter in applied], words, is_applied=True)
        for letter in applied:
            same = [other.id for other in self._alternatives(letter) if other.is_open]
            if same:
                self._resolve(same, f"closed: dead letter {letter.id} with the same likes was applied")
            yield Outcome(letter, ok=True, changed=True, words=words, closed=same)

    def _resolve(self, ids: Collection[int], words: str, *, is_applied: bool = False) -> None:
        resolve(self._connection, ids, words, self._decision, is_applied=is_applied)
        for number in ids:
            letter = self._letters[number]
            self._letters[number] = letter._replace(
                resolved_at=self._decision.at,
                resolved_by=self._decision.by,
                resolution=words,
                applied_delta=letter.delta if is_applied else None,
            )


def resolve(
    connection: Connection, ids: Collection[int], words: str, decision: Decision, *, is_applied: bool = False
) -> None:
    """Write down what was decided about letters that are locked and open."""
    values = {"resolved_at": decision.at, "resolved_by": decision.by, "resolution": words}
    delta = {"applied_delta": dead_letters.c.delta} if is_applied else {}
    if ids:
        connection.execute(update(dead_letters).where(dead_letters.c.id.in_(ids)).values(**values, **delta))
