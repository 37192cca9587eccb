"""redis-py's connections as links need them: replies as they come, time-outs that are a call's own, and never a retry.

What may be sent again carries a sequence number, and only our own code sends it: a retry of redis-py's would count an
INCRBY twice and lose what a GETDEL took.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 (else the first connect imports it, and a child forked just then finds it locked)
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

_OURS: Final = {
    "socket_timeout": None,
    "socket_connect_timeout": None,
    "protocol": 2,
    "driver_info": None,
    "health_check_interval": 0,
}

# Options of another pool that change what a reply or a repetition means, or how long it takes, or that are of that pool
# alone. The others say where it leads, as whom, and by which kind of connection (TLS, a unix socket).
_NOT_TAKEN_OVER = {
    *("retry", "retry_on_error", "retry_on_timeout", "health_check_interval"),
    *("socket_timeout", "socket_connect_timeout"),
    *("protocol", "legacy_responses", "decode_responses", "encoding", "encoding_errors"),
    *("parser_class", "command_packer", "cache", "cache_config"),
    *("driver_info", "lib_name", "lib_version"),
    *("event_dispatcher", "himport_registry"),
    *("maint_notifications_config", "maint_notifications_pool_handler", "oss_cluster_maint_notifications_handler"),
    *("maintenance_state", "maintenance_notification_hash"),
    *("orig_host_address", "orig_socket_timeout", "orig_socket_connect_timeout"),
}


Connect = Callable[[], Any]  # makes a connection that is not open yet; redis-py leaves its methods untyped


def connect_to(url: str) -> Connect:
    """Makes connections to the server at `url`."""
    return _connect(redis.ConnectionPool.from_url(url, retry=_never(), **_OURS))


def connect_async_to(url: str) -> Connect:
    """The same for asyncio."""
    return _connect(redis.asyncio.ConnectionPool.from_url(url, retry=_never_async(), **_OURS))


def connect_to_master(url: str) -> Connect:
    """Makes connections to the server at `url`, if it says that it is a master; else it is as if it were away."""
    return _connect(redis.ConnectionPool.from_url(url, redis_connect_func=_require_master, retry=_never(), **_OURS))


def connect_async_to_master(url: str) -> Connect:
    """The same for asyncio."""
    return _connect(
        redis.asyncio.ConnectionPool.from_url(
            url, redis_connect_func=_require_master_async, retry=_never_async(), **_OURS
        )
    )


def connect_like(pool: redis.ConnectionPool) -> Connect:
    """Makes connections to the server that `pool` leads to, with its credentials."""
    options = taken_over(pool.connection_kwargs) | _OURS
    return _connect(redis.ConnectionPool(pool.connection_class, retry=_never(), **options))


def connect_async_like(pool: redis.asyncio.ConnectionPool) -> Connect:
    """The same for asyncio."""
    options = taken_over(pool.connection_kwargs) | _OURS
    return _connect(redis.asyncio.ConnectionPool(pool.connection_class, retry=_never_async(), **options))


def taken_over(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the `options` another pool connects with that one of ours connects with, too."""
    return {name: value for name, value in options.items() if name not in _NOT_TAKEN_OVER}


def _never() -> Retry:
    return Retry(NoBackoff(), 0)


def _never_async() -> AsyncRetry:
    return AsyncRetry(NoBackoff(), 0)


def _require_master(connection: Any) -> None:
    connection.on_connect()
    connection.send_command("ROLE")
    _read_role(connection.read_response())


async def _require_master_async(connection: Any) -> None:
    await connection.on_connect()
    await connection.send_command("ROLE")
    _read_role(await connection.read_response())


def _read_role(reply: Any) -> None:
    """Raise ConnectionError if it is not that of a master."""
    if reply[0] != b"master":
        raise redis.ConnectionError("it says that it is no master")


def _connect(pool: redis.ConnectionPool | redis.asyncio.ConnectionPool) -> Connect:
    return partial(pool.connection_class, **pool.connection_kwargs)
