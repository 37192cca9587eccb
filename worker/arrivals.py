"""Shards that came to another node of a Redis Cluster: their keys are of one moment, or they are not flushed.

Moved in order, a shard has what it had. But where a move was broken off and mended with REPLACE, say, keys of two
moments stand side by side, and what was flushed before may be pending again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from functools import partial

from likes.buffer.servers import Server
from likes.buffer.standing import ShardView
from likes.buffer.tally import weigh
from likes.errors import ShardMoving
from likes.sql.cursors import Cursor
from worker.lost_memory import has_come
from worker.missing import Missing
from worker.recovery import Recovery


class Arrivals:
    """The servers that answer at the beginning of a flush, and which shards came to theirs since the one before.

    What it means that another server answers is recorded; for what has come only by `note_received`: whoever dies
    before leaves that to the next flush, which receives it again.
    """

    def __init__(
        self,
        recovery: Recovery,
        missing: Missing,
        cursors: Mapping[int, Cursor],
        servers: Collection[tuple[Server, Collection[int]]],
    ) -> None:
        self._recovery = recovery
        self._missing = missing
        self._cursors = cursors
        self._servers = {shard: server for server, shards in servers for shard in shards}
        self._come = {shard for shard, server in self._servers.items() if has_come(cursors[shard], server)}
        self._received: dict[tuple[Server, bool], list[Cursor]] = defaultdict(list)  # by server, and whether it moved
        self._now = recovery.buffer.run_ids() if self._come else set()
        self._before = {cursor.run_id for cursor in cursors.values()}
        for server, shards in servers:
            recovery.note_server([cursors[shard] for shard in shards if shard not in self._come], server)

    def node(self, shard: int) -> str | None:
        """The node of a cluster that has a shard, as messages call it; None without a cluster."""
        server = self._servers[shard]
        return server.where if server.in_cluster else None

    def receiving(self, shard: int) -> Callable[[Cursor, ShardView], None] | None:
        """What is to be done with a shard before anything is handed off; None if it was there before."""
        return partial(self._receive, self._servers[shard]) if shard in self._come else None

    def note_received(self) -> None:
        """Record what it means that another server answers for what was received: one incident each, for all that has
        come there; once some shards know the server, the others, which another worker receives, seem to have moved.
        """
        for (server, moved), cursors in self._received.items():
            come = [self._cursors[shard] for shard in self._come if self._servers[shard] is server]
            self._recovery.note_server(cursors, server, moved=moved, exposed=come)

    def _receive(self, server: Server, cursor: Cursor, view: ShardView) -> None:
        """See whether just that is pending which was accepted and not handed off.

        What is missing is looked for, and written off by an incident. Where there is too much, nobody can tell what was
        counted before: the epoch is given up. Raises ShardMoving as long as likes that come in hide which of these it
        is.
        """
        epoch = view.epochs.get(cursor.epoch or "")
        if epoch is not None and epoch.pending:
            self._weigh(cursor.shard, epoch.epoch)
        moved = cursor.run_id in self._now or server.run_id in self._before
        self._received[server, moved].append(cursor)

    def _weigh(self, shard: int, epoch: str) -> None:
        weighed = weigh(self._recovery.buffer, shard, epoch)
        if weighed.missing and not weighed.is_sure:
            raise ShardMoving(f"shard {shard} came to another node, and what is pending there does not add up yet")
        if weighed.missing > 0:
            self._missing.put_back({shard: epoch})
        elif weighed.missing < 0:
            self._recovery.set_apart(shard, epoch, -weighed.missing)
