"""Where the likes are at this moment: pending and in flight in Redis, or in the database."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

from sqlalchemy import func, select

from likes.batch import Batch, BatchId
from likes.buffer.keys import epoch_keys, shard_keys
from likes.buffer.links.link import ask
from likes.buffer.scripts import Call, command, read_id
from likes.connect import Places
from likes.sql.engine import reading
from likes.sql.ledger import is_recorded
from likes.sql.tables import batches, cursors, totals

PREFIX, SHARDS = "likes", 16  # the defaults: nothing else lives in the demo's servers


class Figures(NamedTuple):
    """Likes, and the number of batches applied."""

    posted: int = 0
    database: int = 0
    in_flight: int = 0
    pending: int = 0
    batches: int = 0


class InFlight(NamedTuple):
    """A batch handed off and not acknowledged; `applied`: the database has it already."""

    batch: Batch
    applied: bool


class Gauge:
    """Reads both servers of the demo."""

    def __init__(self, places: Places) -> None:
        self.engine = places.open_database()
        self._link = places.open_link()
        self._epochs = dict.fromkeys(range(SHARDS), "")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._link.close()
        self.engine.dispose()

    def figures(self) -> Figures:
        """How many likes are where. What is being applied just now counts as in flight."""
        with reading(self.engine) as connection:  # before Redis, so that nothing is in the database and not yet sealed
            database = connection.scalar(select(func.sum(totals.c.total))) or 0
            applied = connection.scalar(select(func.count()).select_from(batches)) or 0
        states = self._ask_all("HMGET", "state", "accepted", "sealed")
        accepted, sealed = (sum(int(state[i] or 0) for state in states.values()) for i in (0, 1))
        return Figures(accepted, database, sealed - database, accepted - sealed, applied)

    def is_claimed(self) -> bool:
        """True once a worker has looked after this database."""
        with reading(self.engine) as connection:
            return bool(connection.scalar(select(func.count()).select_from(cursors)))

    def any_in_flight(self) -> bool:
        """Whether any batch is in flight."""
        return any(self._ask_all("LRANGE", "in_flight", 0, -1).values())

    def in_flight(self) -> list[InFlight]:
        """The batches in flight."""
        listed = self._ask_all("LRANGE", "in_flight", 0, -1)
        ids = [
            (shard, BatchId(self._epochs[shard], *read_id(text))) for shard, texts in listed.items() for text in texts
        ]
        keys = [epoch_keys(PREFIX, shard, batch.epoch).batch(batch.seq) for shard, batch in ids]
        payloads = ask(self._link, [command("GET", key) for key in keys]) if keys else []
        with reading(self.engine) as connection:
            return [
                InFlight(Batch.unpack(payload), is_recorded(connection, PREFIX, shard, batch))
                for (shard, batch), payload in zip(ids, payloads, strict=True)
                if payload
            ]

    def _ask_all(self, name: str, key: str, *words: str | int) -> dict[int, Any]:
        """The reply of each shard whose epoch is known; the others answer from the next time on."""
        calls: list[Call[Any]] = []
        for shard, epoch in self._epochs.items():
            calls.append(command("GET", shard_keys(PREFIX, shard).epoch))
            calls.append(command(name, getattr(epoch_keys(PREFIX, shard, epoch), key), *words))
        replies = ask(self._link, calls)
        found = {shard: replies[2 * i + 1] for i, (shard, epoch) in enumerate(self._epochs.items()) if epoch}
        self._epochs = {shard: (replies[2 * i] or b"").decode() for i, shard in enumerate(self._epochs)}
        return found
