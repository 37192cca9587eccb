"""`likes reshard`: another number of shards on a live system. Killed anywhere, it goes on or back when begun again.

No two clients may hold likes in different numbers of shards at once: what one accepts, the other would not see. So all
shards are closed to likes first, and flushed until nothing is left. Only then is one after the other pointed at an
epoch of the other number, closed as it is; and only when all are so, and SQL knows it, are they opened. Reads go on.
What is to be done next shows in the shards themselves, so that any run, with any number, goes on from there; the number
before leads back. `tests/model/reshard.py` checks it over every interleaving, and shows what breaks without each rule.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from likes.buffer.resharding import close_shards, numbers_left, open_shards, repoint
from likes.buffer.standing import ShardView
from likes.errors import LikesError
from likes.sql.cursors import Cursor
from worker.flush import Flusher

PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 0.1

Tell = Callable[[str], object]


class Reshard:
    """The change `to` so many shards; `before`: how many there are, where the epochs do not say.

    flusher: one that flushes whatever the number of shards is. tell: is given each step.
    """

    def __init__(self, flusher: Flusher, to: int, before: int, tell: Tell = lambda _step: None) -> None:
        self._flusher = flusher
        self._buffer = flusher.buffer
        self._ledger = flusher.ledger
        self._to = to
        self._tell = tell
        shards = {*flusher.shards_in_use(), *range(max(to, before))}
        root = self._buffer.look({0: None})[0]
        self.before = root.number or (before if root.current else to)
        self.shards = range(max(*shards, self.before - 1) + 1)

    def is_done(self) -> bool:
        """True if nothing is to be done. Raises as `Flusher.claim` does."""
        cursors, views = self._look()
        return all(self._is_moved(cursors[shard], view) and not view.resharding for shard, view in views.items())

    def run(self) -> None:
        """Change the number. Raises WrongRedis and WrongDatabase with nothing done, and LikesError where a shard cannot
        be emptied: all are as they were then, unless one points elsewhere already, or a change goes on that was begun
        before. Then they stay closed.
        """
        _, views = self._look()
        marks = {view.resharding for view in views.values()}
        if any(view.number != self._to for view in views.values()) or marks - {"", str(self._to)}:
            try:
                self._close()
                self._drain()
                self._repoint()
            except BaseException:
                if marks == {""}:
                    self._give_up()
                raise
        self._adopt()
        self._open()

    def _close(self) -> None:
        self._tell(f"closing {len(self.shards)} shards: likes wait or are refused until this is over")
        if others := close_shards(self._buffer, self.shards, self._to):
            raise LikesError(f"shard {others[0]} belongs to another database now; see likes check")
        for shard, view in self._look()[1].items():
            if not view.current:
                self._buffer.begin_epoch(shard, "", self.before)

    def _drain(self) -> None:
        """Flush until all that was accepted is in SQL, and SQL says so."""
        self._tell("flushing what is pending")
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            self._flusher.flush(self.shards)
            cursors, views = self._look()
            full = [shard for shard, view in views.items() if not _is_drained(cursors[shard], view)]
            if not full:
                return
            if time.monotonic() > until:
                raise _busy(full[0])
            time.sleep(PAUSE_SECONDS)

    def _repoint(self) -> None:
        self._tell(f"pointing them at epochs of {self._to} shards")
        left = numbers_left(self._buffer)
        for shard, view in self._look()[1].items():
            if view.number != self._to:
                done = repoint(self._buffer, shard, view.current, to=self._to, before=self.before, left=left)
                if done.why_not == "busy":
                    raise _busy(shard)
        self._adopt()

    def _adopt(self) -> None:
        """Let SQL know the epochs that the shards point at."""
        cursors, views = self._look()
        for shard, view in views.items():
            is_new = view.number == self._to and cursors[shard].epoch != view.current
            if is_new and self._buffer.durability.has_epoch(shard, view.current):
                self._flusher.recovery.adopt(cursors[shard], view.current)

    def _open(self) -> None:
        cursors, views = self._look()
        allowed = ("", str(self._to))
        for shard, view in views.items():
            if not self._is_moved(cursors[shard], view) or view.resharding not in allowed:
                raise self._disturbed(shard)
        self._tell("opening them")
        if others := open_shards(self._buffer, {shard: view.current for shard, view in views.items()}, self._to):
            raise self._disturbed(others[0])

    def _give_up(self) -> None:
        """Open what was closed, if nothing has changed yet."""
        with suppress(LikesError):
            views = self._buffer.look(dict.fromkeys(self.shards))
            if any(view.number == self._to for view in views.values()):
                return
            open_shards(self._buffer, {shard: view.current for shard, view in views.items()}, self._to)

    def _look(self) -> tuple[Mapping[int, Cursor], Mapping[int, ShardView]]:
        cursors = self._flusher.claim(self.shards)
        views = self._buffer.look({shard: cursors[shard].epoch for shard in self.shards})
        for view in views.values():
            if view.error is not None:
                raise view.error
        return cursors, views

    def _is_moved(self, cursor: Cursor, view: ShardView) -> bool:
        return view.number == self._to and cursor.epoch == view.current

    def _disturbed(self, shard: int) -> LikesError:
        return LikesError(
            f"shard {shard} is not as it was left: is another likes reshard running, or was Redis emptied? The shards "
            f"stay closed; begin again: likes reshard {self._to}"
        )


def _is_drained(cursor: Cursor, view: ShardView) -> bool:
    current = view.epochs.get(view.current)
    is_empty = not any(epoch.pending or epoch.in_flight for epoch in view.epochs.values())
    return current is not None and is_empty and current.place == cursor.place


def _busy(shard: int) -> LikesError:
    return LikesError(
        f"shard {shard} does not become empty: does a client of an older version go on posting? Update or stop it, "
        "then begin again; nothing is lost"
    )
