"""What it means for a call that Redis refused it, or did not answer."""

from __future__ import annotations

import re

from redis import exceptions as redis_errors

from likes.buffer.damage import damaged
from likes.errors import (
    LikesError,
    NoRedisCluster,
    RedisClusterNode,
    RedisFull,
    RedisRefused,
    RedisUnavailable,
    ShardMoving,
)
from likes.items import shorten

# Errors that are answers: the connection is still usable, and the call was not carried out.
ANSWERS = (redis_errors.ResponseError, redis_errors.BusyLoadingError, redis_errors.AuthenticationError)
_KIND = re.compile(r"(?:^|-)([A-Z]{3,})\b")
_CONNECTING = re.compile(r"^Error -?\d+ connecting to .*?\. ")  # how redis-py begins; our message says where already
_DIGEST = re.compile(r"\bevalsha\b", re.IGNORECASE)
_NOT_PERMITTED = re.compile(r"no permissions? to|user executing the script can't")  # in a script NOPERM may be missing
_NOT_NOW = ("LOADING", "MASTERDOWN", "READONLY", "BUSY", "CLUSTERDOWN", "NOSCRIPT", "NOREPLICAS", "MISCONF")
_NOT_ALLOWED = ("NOAUTH", "WRONGPASS", "NOPERM")
# The same for words that redis-py knows: it takes them off the text.
_NOT_NOW_ERRORS = (
    redis_errors.BusyLoadingError,
    redis_errors.MasterDownError,
    redis_errors.ReadOnlyError,
    redis_errors.ClusterDownError,
    redis_errors.NoScriptError,
)
_NOT_ALLOWED_ERRORS = (redis_errors.AuthenticationError, redis_errors.NoPermissionError)


# What ends a connection: errors of redis-py or of the system, a reply that is none, a loop that closed the socket.
BROKEN = (redis_errors.RedisError, OSError, ValueError, RuntimeError)


class NotSent(RedisUnavailable):
    """The call was certainly not carried out."""


class NotNow(NotSent, ShardMoving):
    """The call was certainly not carried out: the keys of its shard are not all on one node."""


class Elsewhere(RedisClusterNode):
    """The call was certainly not carried out: another node of the cluster has its keys.

    host: "" for that of the node which said so. asks: for this very call; else for its slot from now on.
    """

    def __init__(self, where: str, error: redis_errors.AskError) -> None:
        super().__init__(str(is_cluster_node(where)))
        self.host = str(error.host)
        self.port = int(error.port)
        self.asks = not isinstance(error, redis_errors.MovedError)


class Unanswered(RedisUnavailable):
    """The call was sent and no reply came: it may have been carried out or not."""


def was_not_run(reply: object) -> bool:
    """True if a server answered that it does not have the script, or runs none by its digest."""
    return isinstance(reply, redis_errors.NoScriptError) or is_of_digests(reply)


def is_of_digests(reply: object) -> bool:
    """True if a server answered that it runs no script by its digest."""
    return isinstance(reply, redis_errors.ResponseError) and bool(_DIGEST.search(str(reply)))


def is_cluster_node(where: str) -> LikesError:
    """The error for every call to a node of a Redis Cluster."""
    address = where.removeprefix("Redis at ")
    return RedisClusterNode(f"{where} is a node of a Redis Cluster; name the cluster: redis+cluster://{address}")


def is_no_cluster(error: LikesError, where: str) -> LikesError:
    """The error for a server that does not tell its slots, from what it answered instead."""
    if "cluster support disabled" not in str(error) and "unknown command" not in str(error):
        return error
    address = where.removeprefix("Redis at ")
    return NoRedisCluster(f"{where} is no node of a Redis Cluster; for a single server, name redis://{address}/0")


def no_connection(error: Exception, where: str) -> LikesError:
    """The error for a call that found no connection, and so was not sent."""
    if isinstance(error, ANSWERS):
        return refusal(error, where)
    return NotSent(f"{where} cannot be reached: {_CONNECTING.sub('', _reason(error))}")


def no_reply(error: Exception, where: str) -> LikesError:
    """The error for a call that was sent when the connection broke, or no reply came in time."""
    return Unanswered(f"{where} did not answer: {_reason(error)}")


def no_sense(reply: object, where: str) -> LikesError:
    """The error for a call whose reply is not one to it."""
    return Unanswered(f"{where} answered with what is no answer to this call: {shorten(repr(reply))}; is it a Redis?")


def refusal(error: redis_errors.RedisError, where: str, key: bytes | None = None) -> LikesError:
    """The LikesError for an answer that is an error. key: the only one that was touched, if that is known."""
    if isinstance(error, redis_errors.AskError):  # a MovedError is one, too
        return Elsewhere(where, error)
    text = _reason(error)
    kind = _KIND.search(text)  # Redis 6.2 wraps what a script ran into: "ERR Error running script …: -OOM …"
    word = kind[1] if kind else ""
    if isinstance(error, redis_errors.OutOfMemoryError) or word == "OOM":
        return RedisFull(f"{where} is full (maxmemory); a flush makes room, or raise maxmemory")
    if isinstance(error, redis_errors.TryAgainError):
        return NotNow(f"{where} is just moving this shard to another node: {text}")
    if isinstance(error, _NOT_NOW_ERRORS) or word in _NOT_NOW:
        return NotSent(f"{where} cannot do this now: {text}")
    if isinstance(error, _NOT_ALLOWED_ERRORS) or word in _NOT_ALLOWED or _NOT_PERMITTED.search(text):
        return RedisRefused(f"{where} does not allow this: {text}")
    if word == "WRONGTYPE" and key is not None:
        return damaged(key, "holds another type than ours")
    return RedisRefused(f"{where} answered with an error: {text}")


def _reason(error: BaseException) -> str:
    unsaid = "timed out" if isinstance(error, TimeoutError) else type(error).__name__
    return (str(error).splitlines() or [unsaid])[0].rstrip(".")
