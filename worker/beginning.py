"""When a flush began, and with which servers: once it is over, all they had accepted before is in SQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from likes.batch import Place
from likes.buffer.buffer import Buffer
from likes.buffer.servers import Server
from likes.sql.ledger import Ledger


class Beginning:
    """The moment a flush begins, to be made just then: by SQL's clock, and by the clock of each server.

    SQL's clock is read first, and the servers' before anything is asked of their shards: both too early, if anything.
    """

    def __init__(self, buffer: Buffer, ledger: Ledger) -> None:
        self._buffer = buffer
        self._ledger = ledger
        self._at = ledger.clock()
        self._servers: list[tuple[Server, Collection[int]]] = []

    def note_servers(self, shards: Collection[int]) -> list[tuple[Server, Collection[int]]]:
        """The servers that answer for these shards, each with those that it has."""
        self._servers = self._buffer.servers(shards)
        return self._servers

    def cover(self, done: Mapping[int, Place]) -> None:
        """Note how far the flush covers the shards of which nothing older is left, and where it left their cursors.

        Not those of a server that was restarted, or followed another, since the flush began: what it forgot then was
        accepted before, in part. Nor those of a replica, which may not have all its master has accepted. Where nothing
        was ever handed off, in whatever shard, an earlier moment stays: perhaps workers alone were led to this Redis,
        by a name that is resolved wrongly, say, and clients like elsewhere.
        """
        if not done:
            return
        is_used = any(place.seq for place in done.values())
        answering = dict(_by_shard(self._buffer.servers(done)))
        for server, shards in self._servers:
            now = {shard: answering[shard] for shard in shards if shard in done}
            sure = [shard for shard, same in now.items() if server.is_the_same_as(same) and not server.is_replica]
            if sure:
                self._ledger.cover(
                    {shard: done[shard] for shard in sure},
                    to=server.now or self._at,
                    at=self._at,
                    by=now[sure[0]].now or self._ledger.clock(),
                    run_id=server.run_id,
                    is_used=is_used,
                )


def _by_shard(servers: Collection[tuple[Server, Collection[int]]]) -> list[tuple[int, Server]]:
    return [(shard, server) for server, shards in servers for shard in shards]
