"""Which workers are alive and what each is doing: told to Redis for people to see; nothing depends on it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from threading import Lock

import msgpack

from likes.buffer.buffer import Buffer
from likes.buffer.calls import command
from likes.buffer.keys import shard_keys
from likes.buffer.links.link import ask
from likes.buffer.scripts import beat
from likes.errors import LikesError, Unavailable

EVERY_SECONDS = 5.0
MOST = 1000  # workers that are shown
ALIVE_SECONDS = 120.0  # longer than a flush may be without a sign of life where a server is slow


@dataclass(frozen=True, slots=True)
class Doing:
    """What a worker does since when: "waiting", "flushing", "retrying" or "stopping".

    flushed_at: when its last whole flush was done. trouble: what keeps it from flushing.
    database_away_since: when it began to miss the database.
    """

    doing: str
    since: datetime
    flushed_at: datetime | None = None
    trouble: str | None = None
    database_away_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class SeenWorker:
    """A worker, the token of its leases, when Redis heard of it last, and what it said.

    durability: its setting, which should be that of all others.
    """

    name: str
    token: str
    seen_at: datetime
    said: Doing
    durability: str = "none"


class Heartbeat:
    """Tells Redis of one worker, every five seconds at most. For any number of threads.

    token: of its leases. refused: why Redis does not take it, once it did not.
    """

    def __init__(self, buffer: Buffer, name: str, token: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.refused: LikesError | None = None
        self._buffer = buffer
        self._name = name
        self._token = token
        self._clock = clock
        self._lock = Lock()
        self._told_at: float | None = None

    def beat(self, doing: Doing, *, at_once: bool = False) -> None:
        """Tell what the worker does now. Where that fails it has no other effect: the flushes tell what is wrong."""
        with self._lock:
            now = self._clock()
            if self._told_at is not None and now - self._told_at < EVERY_SECONDS and not at_once:
                return
            self._told_at = now
        of_its_own = {"name": self._name, "durability": self._buffer.durability.wanted}
        self._send(json.dumps({**of_its_own, **asdict(doing)}, default=datetime.isoformat))

    def end(self) -> None:
        """Tell that it ends, if anything was told before."""
        if self._told_at is not None:
            self._send("")

    def _send(self, said: str) -> None:
        keys, now = shard_keys(self._buffer.namespace, 0), time.time_ns() // 1_000_000
        call = beat(keys, worker=self._token, said=said, now=now, forget=int(ALIVE_SECONDS * 1000))
        (reply,) = self._buffer.link.send([call])
        if isinstance(reply, LikesError) and not isinstance(reply, Unavailable):
            self.refused = reply


def read_workers(buffer: Buffer) -> list[SeenWorker] | None:
    """The workers heard of lately, by name; None where Redis does not tell. Raises Unavailable."""
    try:
        now = buffer.now()
        (told,) = ask(
            buffer.link, [command("HSCAN", shard_keys(buffer.namespace, 0).workers, 0, "COUNT", MOST, shard=0)]
        )
    except Unavailable:
        raise
    except LikesError:
        return None
    records = dict(zip(told[1][::2], told[1][1::2], strict=True))  # a scan may tell something twice
    seen = [_read(token, record) for token, record in records.items()]
    alive = [worker for worker in seen if worker and now - worker.seen_at.timestamp() < ALIVE_SECONDS]
    return sorted(alive, key=lambda worker: (worker.name, worker.token))


def _read(token: bytes, record: bytes) -> SeenWorker | None:
    """None for what no worker of ours wrote."""
    try:
        milliseconds, text = msgpack.unpackb(record)
        told = json.loads(text)
        said = {field.name: told.get(field.name) for field in fields(Doing)}
        moments = {name: datetime.fromisoformat(said[name]) for name in said if name in _MOMENTS and said[name]}
        seen_at = datetime.fromtimestamp(milliseconds / 1000, UTC)
        doing, durability = Doing(**{**said, **moments}), str(told.get("durability", "none"))
        return SeenWorker(str(told["name"]), token.decode(), seen_at, doing, durability)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError):
        return None


_MOMENTS = ("since", "flushed_at", "database_away_since")
