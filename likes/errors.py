"""Every error a caller may see. One root, `LikesError`; each message says what happened and what to do."""

from __future__ import annotations

from collections.abc import Mapping


class LikesError(Exception):
    """The root of all errors raised on purpose by this package."""


class InvalidInput(LikesError, ValueError):
    """An item, a counter, a count, a setting or another argument is not allowed; nothing was sent."""


class SettingsError(InvalidInput):
    """A setting has a value that is not allowed; the message has a line for each."""


class Unavailable(LikesError):
    """A server cannot be reached, or did not answer in time; the same call may succeed later."""


class RedisUnavailable(Unavailable):
    """Redis cannot be reached, or did not answer; a `like` or `add` that raises this has counted nothing."""


class ShardMoving(RedisUnavailable):
    """A shard is being moved to another node of a Redis Cluster; nothing was done, and later it can be."""


class Resharding(RedisUnavailable):
    """The number of shards is just being changed (`likes reshard`); nothing was counted, and soon it can be."""


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached, or did not answer in time; likes need Redis alone and are still accepted."""


class DatabaseBusy(DatabaseUnavailable):
    """The database answers, but locks or time-outs kept it from doing this at every attempt."""


class DatabaseRefused(LikesError):
    """The database answered that it will not do this (no permission, a broken constraint); nothing was written."""


class RedisRefused(LikesError):
    """Redis answered that it will not do this (no permission, a wrong password); nothing was counted."""


class RedisFull(RedisRefused):
    """Redis is at its memory limit; nothing was counted. A flush makes room."""


class WrongUrl(RedisRefused):
    """What the URL leads to is there, but is to be named by another URL; nothing was counted."""


class RedisClusterNode(WrongUrl):
    """This Redis is a node of a Redis Cluster, which has some of the shards only; nothing was counted."""


class NoRedisCluster(WrongUrl):
    """This Redis is a single server, and was named as a Redis Cluster; nothing was counted."""


class RedisSentinel(WrongUrl):
    """This is a Sentinel, which has no data but says who has; nothing was counted."""


class NoRedisSentinel(WrongUrl):
    """This Redis is a server, and was named as a Sentinel; nothing was counted."""


class NoScripts(RedisRefused):
    """This server runs no scripts, without which nothing is counted exactly once; nothing was counted."""


class NotDurable(LikesError):
    """Replicas, or the disk, did not confirm in time what was handed off (LIKES_DURABILITY): it stays in flight."""


class CannotBeDurable(NotDurable):
    """Redis cannot give what LIKES_DURABILITY asks for; nothing was handed off."""


class WrongRedis(LikesError):
    """The database belongs to another Redis; `likes adopt` accepts this one."""


class WrongDatabase(LikesError):
    """This Redis belongs to another database; `likes adopt --database` takes it over."""


class WrongShards(LikesError):
    """Redis holds likes in another number of shards than LIKES_SHARDS says; nothing was counted, read or flushed."""


def another_number(number: int, mine: int) -> WrongShards:
    """The error where Redis holds likes in `number` of shards, and this process was told `mine`."""
    words = f"this Redis holds likes in {number} shards, and LIKES_SHARDS is {mine} here: set it to {number}"
    way_out = f"and start this anew; or change the number for all, with likes reshard {mine}"
    return WrongShards(f"{words} {way_out} (if that was begun and broken off, likes status says so)")


class SchemaOutdated(LikesError):
    """The tables are missing or older than this version; `likes migrate` makes or updates them."""


class KeyReused(LikesError):
    """An idempotency key was used before for something else; nothing was counted. Draw another key for this."""


class AddFailed(LikesError):
    """Not every item was counted for certain; three mappings say what became of each.

    accepted: item -> count, counted.
    refused:  item -> reason, certainly not counted.
    unknown:  item -> count, counted or not: nobody can tell.
    """

    def __init__(
        self,
        message: str,
        *,
        accepted: Mapping[str, int] | None = None,
        refused: Mapping[str, str] | None = None,
        unknown: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(message)
        self.accepted = dict(accepted or {})
        self.refused = dict(refused or {})
        self.unknown = dict(unknown or {})


class EntryRefused(AddFailed):
    """Redis refused single items (an overflow, a key of another type); the others were counted."""


class OutcomeUnknown(AddFailed):
    """Redis was sent these likes and did not answer, or was replaced before it could: nobody can tell whether they were
    counted. Posting them again may count them twice.
    """

    advice = "compare the live total before you post again"


class OutcomeUnknownYet(OutcomeUnknown):
    """The same, of likes under an idempotency key: posting them again under it tells, and counts them once."""

    advice = "send it again under the same idempotency key, and it counts once"
