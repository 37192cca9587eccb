"""Likes that were accepted and are neither sealed nor pending: found again, or written off by an incident.

A key that was deleted or overwritten by hand leaves such a difference. Where only entries of `pending` are gone the
deltas are still there, and are pushed again; what is left of a difference is lost. It counts as sealed from then on, so
that it is found once, and `audit` has it among what incidents have written off.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from likes.buffer.buffer import Buffer
from likes.buffer.servers import Server
from likes.buffer.tally import Tally, count_as_sealed, put_back_deltas, take_tally
from likes.sql.incidents import Kind
from likes.sql.ledger import Ledger
from likes.sql.locked_shard import LockedShard


class Missing:
    """Looks for what is missing. It remembers for which differences it has searched all keys."""

    def __init__(self, buffer: Buffer, ledger: Ledger) -> None:
        self._buffer = buffer
        self._ledger = ledger
        self._searched: dict[int, tuple[str, int]] = {}

    def put_back(self, epochs: Mapping[int, str]) -> list[int]:
        """Compare what each shard has accepted under its epoch with what became of it, and put right what differs.

        Returns the shards in which deltas are pending again.
        """
        tallies = take_tally(self._buffer, epochs)
        return [shard for shard, tally in tallies.items() if tally.missing and self._search(tally)]

    def _search(self, tally: Tally) -> bool:
        shard, epoch = tally.standing.shard, tally.standing.epoch
        found = 0
        if self._searched.get(shard) != (epoch, tally.missing):
            server = self._server(shard)
            found = put_back_deltas(self._buffer, shard, epoch)
            again = take_tally(self._buffer, {shard: epoch}).get(shard)
            if server.in_cluster and (again is None or self._server(shard).run_id != server.run_id):
                return bool(found)  # it is being moved, so that the search may have missed keys
            tally = again or tally
            self._searched[shard] = epoch, tally.missing
        if tally.missing:
            self._write_off(tally)
        return bool(found)

    def _server(self, shard: int) -> Server:
        ((server, _),) = self._buffer.servers([shard])
        return server

    def _write_off(self, tally: Tally) -> None:
        shard, epoch = tally.standing.shard, tally.standing.epoch
        if books := self._ledger.locked(shard, partial(self._record, tally=tally)):
            before, now = books
            count_as_sealed(self._buffer, shard, epoch, before=before, now=now)

    def _record(self, locked: LockedShard, tally: Tally) -> tuple[int, int] | None:
        """Record what is missing, unless that was done before; returns what Redis and SQL have written off then.

        None if it is not as it was seen any more: the next flush looks again.
        """
        epoch = tally.standing.epoch
        redis = take_tally(self._buffer, {tally.standing.shard: epoch}).get(tally.standing.shard)
        if redis is None or redis.missing != tally.missing or redis.standing.place != locked.cursor.place:
            return None
        recorded = locked.written_off(Kind.DELTAS_MISSING, epoch)
        due = recorded - redis.standing.written_off  # a worker died after the incident, before Redis's sums knew
        if locked.unaccounted(redis.standing.sealed, 0) != -due:
            return None  # more or less was sealed than SQL has: in flight with another worker, or an audit shows it
        if lost := redis.missing - due:
            sums = f"accepted - sealed is {redis.standing.accepted - redis.standing.sealed:+,}"
            detail = f"{sums}, but {redis.pending:+,} is pending: were keys of this shard deleted or changed by hand?"
            locked.record(Kind.DELTAS_MISSING, detail, epoch, lost)
        return redis.standing.written_off, recorded + lost
