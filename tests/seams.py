"""The seams between a worker and its servers: every external call can be watched, held up or broken from outside."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Engine

from likes.buffer.calls import Call
from likes.buffer.links.link import Link
from likes.buffer.scripts import HAND_OFF

# Called around every external call, with its name and the call itself; returns what the call returns.
Around = Callable[[str, Callable[[], Any]], Any]


class TappedLink:
    """A link whose every round trip goes through `around`; each hand-off of a row ends one, as any may be the last."""

    def __init__(self, link: Link, around: Around) -> None:
        self.link = link
        self.where = link.where
        self.around = around

    def send(self, calls: Sequence[Call[Any]]) -> list[Any]:
        replies: list[Any] = []
        for some in _up_to_each_hand_off(calls):
            names = " ".join(dict.fromkeys(map(name, some)))  # each once
            replies += self.around(names, partial(self.link.send, some))
        return replies

    def by_node(self, keys: Mapping[int, bytes]) -> Mapping[str, Collection[int]]:
        return self.link.by_node(keys)

    def close(self) -> None:
        self.link.close()


def _up_to_each_hand_off(calls: Sequence[Call[Any]]) -> Iterator[Sequence[Call[Any]]]:
    first = 0
    for after, call in enumerate(calls, start=1):
        if call.script is HAND_OFF or after == len(calls):
            yield calls[first:after]
            first = after


def name(call: Call[Any]) -> str:
    """The script or command that is called."""
    return call.script.name if call.script else str(call.words[0])


def tap_statements(engine: Engine, around: Around) -> None:
    """Let every statement and commit of an engine go through `around`."""
    dialect: Any = engine.dialect
    for method in ("do_execute", "do_executemany", "do_execute_no_params"):
        setattr(dialect, method, partial(_statement, getattr(dialect, method), around))
    commit = dialect.do_commit
    dialect.do_commit = lambda connection: around("COMMIT", partial(commit, connection))


def _statement(
    execute: Callable[..., Any], around: Around, cursor: Any, statement: str, *rest: Any, **options: Any
) -> Any:
    return around(statement, partial(execute, cursor, statement, *rest, **options))


class SteppedTransactions:
    """Each transaction of an engine as one call: `before` runs before it begins, and for nothing `inside` it."""

    def __init__(self, engine: Engine, before: Callable[[str], None]) -> None:
        self.inside = False
        dialect: Any = engine.dialect
        begin, commit, rollback = dialect.do_begin, dialect.do_commit, dialect.do_rollback

        def do_begin(connection: Any) -> None:
            before("transaction")
            self.inside = True
            begin(connection)

        def do_commit(connection: Any) -> None:
            commit(connection)
            self.inside = False

        def do_rollback(connection: Any) -> None:
            rollback(connection)
            self.inside = False

        dialect.do_begin, dialect.do_commit, dialect.do_rollback = do_begin, do_commit, do_rollback
