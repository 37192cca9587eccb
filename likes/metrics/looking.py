"""One look at Redis and SQL for the figures that all processes share."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import TypeVar

from likes.buffer.buffer import Buffer
from likes.buffer.health import read_info
from likes.connect import Places
from likes.errors import LikesError, RedisRefused, RedisUnavailable
from likes.metrics.standing import LAST_FLUSH
from likes.metrics.tally import Labels, Snapshot
from likes.reports.status import Status, read_status
from likes.sql.ledger import Ledger
from likes.sql.reports import count_incidents

SERVER_SECONDS = 1.0  # how long a server may take: a scrape waits

Seen = dict[str, Mapping[Labels, list[float]]]
T = TypeVar("T")


class Look:
    """Called, it looks, with connections of its own. Raises nothing of ours: a server that is away is not up.

    interval: seconds between flushes, as they are set here.
    """

    def __init__(self, places: Places, namespace: str, shards: int, interval: float) -> None:
        self._places = replace(
            places,
            redis_timeout=min(SERVER_SECONDS, places.redis_timeout),
            database_timeout=min(SERVER_SECONDS, places.database_timeout),
        )
        self._namespace = namespace
        self._shards = shards
        self._interval = interval
        self._open = ExitStack()
        self._servers: tuple[Buffer, Ledger] | None = None

    def __call__(self) -> Snapshot:
        """What there is to see now; what only a server knows that is away is left out."""
        seen: Seen = {"likes_flush_interval_seconds": {(): [self._interval]}}
        try:
            buffer, ledger = self._connected()
            status = read_status(buffer, ledger, self._shards)
        except LikesError as error:  # the tables are missing, a password is wrong, …: the worker says what
            is_of_redis = isinstance(error, RedisRefused | RedisUnavailable)
            return {**seen, "likes_up": {("redis" if is_of_redis else "database",): [0]}}
        seen["likes_up"] = {
            ("redis",): [status.redis_trouble is None],
            ("database",): [status.database_trouble is None],
        }
        if status.redis_trouble is None:
            infos = _unless_refused(lambda: [read_info(buffer, each) for each in buffer.servers_there_are().values()])
            seen |= _of_redis(status) | _of_memory(infos or [])
        if status.database_trouble is None:
            kinds = _unless_refused(lambda: count_incidents(ledger.engine, ledger.namespace))
            seen |= _of_sql(status) | {"likes_incidents_total": {(kind,): [n] for kind, n in (kinds or {}).items()}}
        return seen

    def close(self) -> None:
        """Close the connections."""
        self._open.close()

    def _connected(self) -> tuple[Buffer, Ledger]:
        if self._servers is None:
            engine = self._places.open_database(pool_size=1)
            self._open.callback(self._places.close_database, engine)
            buffer = self._open.enter_context(self._places.open_buffer(self._namespace))
            self._servers = buffer, Ledger(engine, self._namespace, "metrics")
        return self._servers


def _of_redis(status: Status) -> Seen:
    seen: Seen = {"likes_problems": {(): [len(status.problems)]}}
    if status.pending_items is not None:
        seen["likes_pending_items"] = {(): [status.pending_items]}
        seen["likes_oldest_pending_age_seconds"] = {(): [status.oldest_pending_seconds or 0]}
        seen["likes_in_flight_batches"] = {(): [status.in_flight_batches or 0]}
    return seen if status.workers is None else {**seen, "likes_workers": {(): [len(status.workers)]}}


def _of_memory(infos: Collection[Mapping[str, str]]) -> Seen:
    """Of several nodes the memory of the fullest, and what all of them evicted."""
    names = {
        "likes_redis_memory_used_bytes": "used_memory",
        "likes_redis_memory_max_bytes": "maxmemory",
        "likes_redis_evicted_keys_total": "evicted_keys",
    }
    told = [
        {name: float(info[field]) for name, field in names.items() if info.get(field, "").isdecimal()} for info in infos
    ]
    used, most, evicted = names
    fullest = max(told, key=lambda each: each.get(used, 0) / (each.get(most) or math.inf), default={})
    if evicted in fullest:
        fullest[evicted] = sum(each.get(evicted, 0) for each in told)
    return {name: {(): [value]} for name, value in fullest.items()}


def _of_sql(status: Status) -> Seen:
    return {
        LAST_FLUSH: {(): [status.covered_at.timestamp() if status.covered_at else 0]},
        "likes_dead_letters": {(): [status.dead_letters or 0]},
        "likes_incidents_open": {(): [status.incidents or 0]},
    }


def _unless_refused(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except LikesError:
        return None
