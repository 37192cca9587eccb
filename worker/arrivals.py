"""Shards that came to another node of a Redis Cluster: their keys are of one moment, or they are not flushed.

Moved in order, a shard has what it had. But where a move was broken off and mended with REPLACE, say, keys of two
moments stand side by side, and what was flushed before may be pending again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from likes.buffer.buffer import Buffer
from likes.buffer.servers import Server
from likes.buffer.standing import ShardView
from likes.buffer.tally import weigh
from likes.errors import ShardMoving
from likes.sql.cursors import Cursor
from likes.sql.ledger import Ledger
from worker.lost_memory import has_come, is_another, what_happened
from worker.missing import Missing
from worker.recovery import Recovery


class Arrivals:
    """The servers that answer at the beginning of a flush, and which shards came to theirs since the one before."""

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
        self._servers = servers
        self._server_of = {shard: server for server, shards in servers for shard in shards}
        others = any(server.in_cluster and is_another(cursors[s], server) for s, server in self._server_of.items())
        self._running = recovery.buffer.run_ids() if others else set()
        self._come = {s for s, server in self._server_of.items() if has_come(cursors[s], server, self._running)}

    def node(self, shard: int) -> str | None:
        """The node of a cluster that has a shard, as messages call it; None without a cluster."""
        server = self._server_of[shard]
        return server.where if server.in_cluster else None

    def receive(self, views: Mapping[int, ShardView]) -> dict[int, Exception]:
        """See to those of these shards that have come, then record what it means that another server answers: for all
        that are in order, and before anything is handed off. Returns what keeps others from being flushed.
        """
        in_order, errors = set(self._cursors) - self._come, {}
        for shard in self._come & views.keys():
            try:
                self._see_to(self._cursors[shard], views[shard])
                in_order.add(shard)
            except Exception as error:  # noqa: BLE001 (told by the flush: one shard must not keep the others from being flushed)
                errors[shard] = error
        for server, shards in self._servers:
            known = [self._cursors[shard] for shard in shards if shard in in_order]
            come = [self._cursors[shard] for shard in shards if shard in self._come]
            note_server(self._recovery.buffer, self._recovery.ledger, known, server, come=come, running=self._running)
        return errors

    def _see_to(self, cursor: Cursor, view: ShardView) -> None:
        """See whether just that is pending which was accepted and not handed off.

        What is missing is looked for, and written off by an incident. Where there is too much, nobody can tell what was
        counted before: the epoch is given up. Raises ShardMoving as long as likes that come in hide which of these it
        is.
        """
        if view.error is not None:
            raise view.error
        epoch = view.epochs.get(cursor.epoch or "")
        if epoch is not None and epoch.pending:
            self._weigh(cursor.shard, epoch.epoch)

    def _weigh(self, shard: int, epoch: str) -> None:
        weighed = weigh(self._recovery.buffer, shard, epoch)
        if weighed.missing and not weighed.is_sure:
            raise ShardMoving(f"shard {shard} came to another node, and what is pending there does not add up yet")
        if weighed.missing > 0:
            self._missing.put_back({shard: epoch})
        elif weighed.missing < 0:
            self._recovery.set_apart(shard, epoch, -weighed.missing)


def note_server(
    buffer: Buffer,
    ledger: Ledger,
    known: Collection[Cursor],
    server: Server,
    *,
    come: Collection[Cursor] = (),
    running: Collection[str] = (),
) -> None:
    """Record one incident where these cursors know another server, or the same before it may have lost memory.

    come: those of all shards that came to it from another node of a cluster, whoever flushes them. The incident
    tells of them, too: once one shard knows the server, the others seem to have moved there.
    running: the processes that run now. A shard that one of them had was moved.
    """
    now = server.run_id, server.replid, int(server.is_durable)
    others = [cursor for cursor in known if (cursor.run_id, cursor.replid, cursor.durable) != now]
    if not server.run_id or not others:
        return
    suspects = {cursor.shard: cursor for cursor in (*others, *come)}.values()
    lineage = buffer.lineage() if any(cursor.run_id != server.run_id for cursor in suspects) else []
    what = {c: what_happened(c, server, lineage, moved=c.run_id in running) for c in suspects}
    ledger.note_server(
        others,
        server.run_id,
        server.replid,
        durable=server.is_durable,
        incident=next(filter(None, what.values()), None),
        exposed=[*come, *(cursor for cursor, incident in what.items() if incident)],
        redis_now=server.now,
    )
