"""A write-behind counter: likes are added up in Redis and moved into SQL, each counted exactly once.

    like() ──add──▶ pending ──GETDEL, seal──▶ batch in flight ──one transaction──▶ totals, cursor, ledger
    (a client)      (Redis)                    (Redis)         (a worker)          (SQL)
                       └────────────── live total = all three ──────────────┘

    from likes import LikeCounter

    likes = LikeCounter.from_settings()
    likes.like("video:42")
    likes.total("video:42")

A like is counted once in Redis, because every call carries its producer's sequence number; and once in SQL, because a
batch is applied only where its shard's cursor stands just before it, in the transaction that adds it to the totals. The
package `worker` moves the batches and says what happens on each failure.

Every error is a LikesError. After RedisUnavailable, RedisRefused or InvalidInput nothing was counted; an AddFailed says
what became of each item, and its OutcomeUnknown that some may have been counted or not.

The names are loaded on first use, so that `import likes` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from likes.async_counter import AsyncLikeCounter
    from likes.config.settings import Settings
    from likes.counter import LikeCounter
    from likes.errors import (
        AddFailed,
        CannotBeDurable,
        DatabaseBusy,
        DatabaseRefused,
        DatabaseUnavailable,
        EntryRefused,
        InvalidInput,
        KeyReused,
        LikesError,
        NoRedisCluster,
        NoRedisSentinel,
        NoScripts,
        NotDurable,
        OutcomeUnknown,
        OutcomeUnknownYet,
        RedisClusterNode,
        RedisFull,
        RedisRefused,
        RedisSentinel,
        RedisUnavailable,
        Resharding,
        SchemaOutdated,
        SettingsError,
        ShardMoving,
        Unavailable,
        WrongDatabase,
        WrongRedis,
        WrongShards,
        WrongUrl,
    )
    from likes.live.total import LiveTotal
    from likes.sql.totals import Total

__all__ = [
    "AddFailed",
    "AsyncLikeCounter",
    "CannotBeDurable",
    "DatabaseBusy",
    "DatabaseRefused",
    "DatabaseUnavailable",
    "EntryRefused",
    "InvalidInput",
    "KeyReused",
    "LikeCounter",
    "LikesError",
    "LiveTotal",
    "NoRedisCluster",
    "NoRedisSentinel",
    "NoScripts",
    "NotDurable",
    "OutcomeUnknown",
    "OutcomeUnknownYet",
    "RedisClusterNode",
    "RedisFull",
    "RedisRefused",
    "RedisSentinel",
    "RedisUnavailable",
    "Resharding",
    "SchemaOutdated",
    "Settings",
    "SettingsError",
    "ShardMoving",
    "Total",
    "Unavailable",
    "WrongDatabase",
    "WrongRedis",
    "WrongShards",
    "WrongUrl",
]

_ELSEWHERE = {
    "AsyncLikeCounter": "likes.async_counter",
    "LikeCounter": "likes.counter",
    "LiveTotal": "likes.live.total",
    "Settings": "likes.config.settings",
    "Total": "likes.sql.totals",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'likes' has no attribute {name!r}")
    return getattr(import_module(_ELSEWHERE.get(name, "likes.errors")), name)


def __dir__() -> list[str]:
    return __all__
