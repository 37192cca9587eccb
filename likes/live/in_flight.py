"""The batches in flight: they never change, so a process fetches each once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from threading import Lock

from likes.batch import BatchId
from likes.buffer.calls import command
from likes.buffer.damage import LaterBatch, read_batch
from likes.buffer.keys import epoch_keys
from likes.deadline import Deadline
from likes.errors import LikesError
from likes.live.asking import ask
from likes.member import Member, member_of
from likes.posting.steps import Steps


class SeenBatches:
    """The batches seen in flight lately. Safe to share between threads."""

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self._lock = Lock()
        self._batches: dict[BatchId, Mapping[Member, int]] = {}

    def get(self, batch: BatchId) -> Mapping[Member, int] | None:
        """Its deltas, if it was seen."""
        with self._lock:
            return self._batches.get(batch)

    def put(self, batch: BatchId, deltas: Mapping[Member, int]) -> None:
        """Remember its deltas, and forget the oldest batch if there are too many."""
        with self._lock:
            self._batches[batch] = deltas
            if len(self._batches) > self._most:
                del self._batches[next(iter(self._batches))]

    def fetch(
        self, namespace: str, flying: Iterable[BatchId], deadline: Deadline
    ) -> Steps[dict[BatchId, Mapping[Member, int] | LikesError | None]]:
        """The deltas of each batch; None for one that is gone, or of a later version, which will be gone soon; an error
        for one that cannot be read.
        """
        found: dict[BatchId, Mapping[Member, int] | LikesError | None] = {each: self.get(each) for each in flying}
        wanted = [each for each, deltas in found.items() if deltas is None]
        if not wanted:
            return found
        keys = [epoch_keys(namespace, each.shard, each.epoch).batch(each.seq) for each in wanted]
        gets = [command("GET", key, shard=each.shard) for key, each in zip(keys, wanted, strict=True)]
        replies = yield from ask(gets, deadline)
        for batch_id, key, payload in zip(wanted, keys, replies, strict=True):
            if isinstance(payload, LikesError):
                found[batch_id] = payload
            elif payload:
                found[batch_id] = self._read(batch_id, key, payload)
        return found

    def _read(self, batch_id: BatchId, key: bytes, payload: bytes) -> Mapping[Member, int] | LikesError | None:
        try:
            batch = read_batch(key, payload)
        except LaterBatch:
            return None
        except LikesError as error:
            return error
        if batch.id != batch_id:
            return None
        deltas = {member_of(delta.item.encode(), delta.counter.encode()): delta.delta for delta in batch.deltas}
        self.put(batch_id, deltas)
        return deltas
