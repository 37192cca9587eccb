"""Deciding what becomes of dead letters: applied or discarded, once, with who and when."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from likes.errors import InvalidInput, LikesError
from likes.sql.alternatives import EpochPast, read_past
from likes.sql.applying import Applying, Outcome, resolve
from likes.sql.decision import Decision
from likes.sql.engine import reading
from likes.sql.letters import Letter, Wanted, find, letters
from likes.sql.transaction import transact

AT_ONCE = 500  # letters a transaction


class Resolving:
    """Decides about dead letters of one namespace, some at a time, each of which is resolved whole or not at all."""

    def __init__(self, engine: Engine, namespace: str, decision: Decision) -> None:
        self._engine = engine
        self._namespace = namespace
        self._decision = decision
        self._pasts: dict[tuple[int, str], EpochPast] = {}

    def require(self, ids: Collection[int]) -> None:
        """Raise InvalidInput unless there are letters with all of these ids."""
        with reading(self._engine) as connection:
            known = find(connection, self._namespace, ids)
        if missing := sorted({*ids} - {*known}):
            raise InvalidInput(
                f"there is no dead letter {', '.join(map(str, missing))} under the prefix {self._namespace};"
                " those there are: likes dead-letters list --all"
            )

    def open_ids(self, wanted: Wanted) -> Iterator[int]:
        """The ids of the open letters that are wanted, the oldest first."""
        return (letter.id for letter in letters(self._engine, self._namespace, wanted))

    def apply(self, ids: Iterable[int], *, choose: bool) -> Iterator[Outcome]:
        """Add the letters to their totals, but for those whose likes may be in there already.

        choose: of letters with the same likes the one named first is applied, which closes the others; else none is.
        """
        for some in _some_at_a_time(ids):
            self._look_up(some)
            yield from self._transact(partial(self._apply, ids=some, choose=choose))

    def discard(self, ids: Iterable[int]) -> Iterator[Outcome]:
        """Leave the letters uncounted for good."""
        for some in _some_at_a_time(ids):
            yield from self._transact(partial(self._discard, ids=some))

    def _apply(self, connection: Connection, ids: Sequence[int], *, choose: bool) -> list[Outcome]:
        decision, pasts = self._decision, self._pasts
        return Applying(connection, self._namespace, ids, decision=decision, pasts=pasts, choose=choose).run()

    def _discard(self, connection: Connection, ids: Sequence[int]) -> list[Outcome]:
        found = find(connection, self._namespace, ids, lock=True)
        words = self._decision.words("discarded")
        resolve(connection, [letter.id for letter in found.values() if letter.is_open], words, self._decision)
        return [self._discarded(found[number], words) for number in ids if number in found]

    def _discarded(self, letter: Letter, words: str) -> Outcome:
        if letter.is_open or self._decision.made(letter.resolved_at, letter.resolved_by):
            return Outcome(letter, ok=True, changed=True, words=words)
        if letter.applied_delta is None:
            return Outcome(letter, ok=True, changed=False, words=f"already {letter.decision}")
        return Outcome(letter, ok=False, changed=False, words=f"not discarded: {letter.decision}")

    def _look_up(self, some: Sequence[int]) -> None:
        """Read what became of the epochs of some letters; it may take longer than a transaction should."""
        with reading(self._engine) as connection:
            found = find(connection, self._namespace, some).values()
        for shard, epoch in {(letter.shard, letter.epoch) for letter in found} - {*self._pasts}:
            self._pasts[shard, epoch] = read_past(self._engine, self._namespace, shard, epoch)

    def _transact(self, work: Callable[[Connection], list[Outcome]]) -> list[Outcome]:
        def decide(connection: Connection) -> list[Outcome]:
            outcomes = work(connection)
            if self._decision.dry_run:
                raise _TriedOut(outcomes)
            return outcomes

        try:
            return transact(self._engine, decide)
        except _TriedOut as tried:
            return tried.outcomes
        except DBAPIError as error:  # the totals' part of it is looked into entry by entry, so it is the note or name
            said = str(error.orig).splitlines()[0][:200]
            raise LikesError(f"the database does not take the note or the name: {said}") from error


def _some_at_a_time(ids: Iterable[int]) -> Iterator[Sequence[int]]:
    left = iter(ids)
    while some := [*islice(left, AT_ONCE)]:
        yield some


class _TriedOut(Exception):
    """Ends a transaction that was to be tried out only."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        super().__init__()
        self.outcomes = outcomes
