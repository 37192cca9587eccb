"""What an application hands in instead of URLs: a redis-py client and a SQLAlchemy engine. Both stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel

from likes.buffer.encryption import named
from likes.buffer.links import connections
from likes.buffer.links.blocking import BlockingLink
from likes.buffer.links.event_loop import EventLoopLink
from likes.errors import InvalidInput

if TYPE_CHECKING:
    from sqlalchemy import Engine

Client = redis.Redis | redis.ConnectionPool
AsyncClient = redis.asyncio.Redis | redis.asyncio.ConnectionPool

_SENTINEL = (redis.sentinel.SentinelConnectionPool, redis.asyncio.sentinel.SentinelConnectionPool)
_OVER_TLS = (redis.SSLConnection, redis.asyncio.SSLConnection)
_CLUSTER = (redis.RedisCluster, redis.asyncio.RedisCluster)


class HandedRedis:
    """The server that a client or a pool leads to. Links have connections of their own, opened as the client's are.

    Only its address, credentials and TLS are taken from the client: never its retries, which count a like twice.
    """

    def __init__(self, client: object, *, asynchronous: bool, timeout: float) -> None:
        """`timeout`: seconds. Raises InvalidInput for a client that cannot be used, and says which can."""
        self._pool: Any = _pool_of(client, asynchronous=asynchronous)
        self._where = _where(self._pool)
        self._timeout = timeout

    def open_link(self) -> BlockingLink:
        """A link to it that has not been used yet."""
        return BlockingLink(connections.connect_like(self._pool), self._where, self._timeout)

    def open_async_link(self) -> EventLoopLink:
        """The same for asyncio."""
        return EventLoopLink(connections.connect_async_like(self._pool), self._where)


class HandedDatabase:
    """The database of an engine, which stays open when a counter is closed."""

    def __init__(self, engine: object, *, timeout: float) -> None:
        """`timeout`: seconds. Raises InvalidInput for an engine that cannot be used, and says which can."""
        from likes.sql.lent import lent_engine

        self._engine = lent_engine(engine, timeout=timeout)

    def open_database(self) -> Engine:
        """The engine with the options of our transactions."""
        return self._engine

    def close_database(self, engine: Engine) -> None:
        """Does nothing: its owner closes it."""


def _pool_of(client: object, *, asynchronous: bool) -> Any:
    of_threads, of_asyncio = (redis.Redis, redis.ConnectionPool), (redis.asyncio.Redis, redis.asyncio.ConnectionPool)
    mine, others = (of_asyncio, of_threads) if asynchronous else (of_threads, of_asyncio)
    name = "redis.asyncio" if asynchronous else "redis"
    allowed = f"pass a {name}.Redis or {name}.ConnectionPool that leads to a single server, or redis_url"
    pool = client.connection_pool if isinstance(client, redis.Redis | redis.asyncio.Redis) else client
    if isinstance(client, _CLUSTER) or isinstance(pool, _SENTINEL):
        kind, url = (
            ("a Redis Cluster", "cluster://") if isinstance(client, _CLUSTER) else ("Redis Sentinel", "sentinel://")
        )
        raise InvalidInput(f"redis is a client of {kind}; pass redis_url='redis+{url}HOST:PORT,…'")
    if isinstance(client, others):
        kinds = ("threads", "asyncio") if asynchronous else ("asyncio", "threads")
        raise InvalidInput("redis is a client for {}, and this counter is for {}; {}".format(*kinds, allowed))
    if not isinstance(client, mine):
        raise InvalidInput(f"redis is of type {type(client).__name__}; {allowed}")
    return pool


def _where(pool: Any) -> str:
    options: Mapping[str, Any] = pool.connection_kwargs
    address = options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"
    return named(address, tls=issubclass(pool.connection_class, _OVER_TLS))
