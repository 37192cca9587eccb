"""Whether another server, or the same one after a while, may have forgotten likes, by what it tells of itself."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from likes.buffer.servers import Server
from likes.sql.cursors import Cursor
from likes.sql.incidents import Kind


def what_happened(
    cursor: Cursor, server: Server, lineage: Sequence[str] = (), *, moved: bool = False
) -> tuple[Kind, str] | None:
    """What may have been lost since the cursor's server was noted, and how; None if nothing can have been.

    lineage: the processes of which one took over the memory of the next, whole; see `likes.embedded.stopping`.
    moved: the shard came from one node of a cluster to another, key by key, so that nothing had to be remembered.
    A first replica that joins also changes the replication id, but leaves no id of one before.
    """
    if not cursor.run_id or (cursor.run_id, cursor.replid) == (server.run_id, server.replid):
        return None
    if cursor.run_id == server.run_id:
        if not server.replid_before:
            return None
        return Kind.REDIS_FAILED_OVER, (
            "Redis followed another server for a while: increments that server had not copied may have been lost"
        )
    if moved:
        return None
    if server.replid_before == cursor.replid:
        return Kind.REDIS_FAILED_OVER, (
            "a replica was promoted, or Redis came back from a snapshot: increments not in it may have been lost"
        )
    stopped_in_order = server.run_id in lineage[:1] and cursor.run_id in lineage
    if stopped_in_order or (cursor.durable and server.is_durable):
        return None
    return Kind.REDIS_RESTARTED, (
        "Redis was restarted or replaced: increments it had not written to disk may have been lost"
    )


def is_another(cursor: Cursor, server: Server) -> bool:
    """True if another process answers than the cursor knows."""
    return bool(server.run_id) and cursor.run_id not in ("", server.run_id)


def has_come(cursor: Cursor, server: Server, running: Collection[str]) -> bool:
    """True if a shard may have been moved to the node of a cluster that answers for it now, so that its keys may be of
    two moments. A replica that was promoted has those of one; its master does not run any more.

    running: the processes that run now, and have shards.
    """
    was_promoted = server.replid_before == cursor.replid and cursor.run_id not in running
    return server.in_cluster and is_another(cursor, server) and not was_promoted
