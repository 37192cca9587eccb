"""What it means for a call that Redis refused it, or did not answer."""

from __future__ import annotations

import re

from redis import exceptions as redis_errors

from likes.buffer.damage import damaged
from likes.buffer.encryption import address_of, advised, url_of
from likes.errors import (
    LikesError,
    NoRedisCluster,
    NoRedisSentinel,
    NoScripts,
    RedisClusterNode,
    RedisFull,
    RedisRefused,
    RedisSentinel,
    RedisUnavailable,
    Resharding,
    ShardMoving,
)
from likes.items import shorten

# Errors that are answers: the connection is still usable, and the call was not carried out.
ANSWERS = (redis_errors.ResponseError, redis_errors.BusyLoadingError, redis_errors.AuthenticationError)
_KIND = re.compile(r"(?:^|-)([A-Z]{3,})\b")
_CONNECTING = re.compile(r"^Error -?\d+ connecting to .*?\. ")  # how redis-py begins; our message says where already
_UNDER_WAY = re.compile(
    r"^Error while reading from .*? : \(-?\d+, ['\"](.*)['\"]\)$|^Error -?\d+ while writing to socket\. "
)
_DIGEST = re.compile(r"\bevalsha\b", re.IGNORECASE)
# Of a command that is not known, and in Garnet's words. Not permitted is another matter: an administrator permits it.
_NO_SCRIPTS = re.compile(r"unknown command ['`]?eval\b|scripting support disabled", re.IGNORECASE)
_NOT_PERMITTED = re.compile(r"no permissions? to|user executing the script can't")  # in a script NOPERM may be missing
_KNOWS_NO_SELECT = re.compile(r"unknown command '?select\b", re.IGNORECASE)  # as redis-py sends it for ?db=1
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


class NotAccepted(NotSent, Resharding):
    """The call was certainly not carried out: no likes are accepted while the number of shards is being changed."""


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
    return RedisClusterNode(f"{where} is a node of a Redis Cluster; name the cluster: {url_of(where, '+cluster')}")


def is_no_cluster(error: LikesError, where: str) -> LikesError:
    """The error for a server that does not tell its slots, from what it answered instead."""
    if "cluster support disabled" not in str(error) and "unknown command" not in str(error):
        return error
    single, sentinel = url_of(where), url_of(where, "+sentinel")
    others = f"for a single server, name {single}/0, for a Sentinel {sentinel}/SERVICE/0"
    return NoRedisCluster(f"{where} is no node of a Redis Cluster; {others}")


def is_sentinel(where: str) -> LikesError:
    """The error for every call to a Sentinel."""
    url = url_of(where, "+sentinel")
    return RedisSentinel(f"{where} is a Sentinel; name what it watches: {url}/SERVICE/0")


def is_no_sentinel(error: LikesError, where: str) -> LikesError:
    """The error for a server that does not tell which is the master, from what it answered instead."""
    if "unknown command" not in str(error):
        return error
    return NoRedisSentinel(f"{address_of(where)} is no Sentinel; for a single server, name {url_of(where)}/0")


def no_connection(error: Exception, where: str, *, heard: bool) -> LikesError:
    """The error for a call that found no connection, and so was not sent. heard: others were answered."""
    if _KNOWS_NO_SELECT.search(str(error)):
        return is_sentinel(where)
    if isinstance(error, ANSWERS):
        return refusal(error, where)
    reason = _CONNECTING.sub("", _reason(error))
    return NotSent(f"{where} cannot be reached: {advised(reason, where, heard=heard)}")


def no_reply(error: Exception, where: str, *, heard: bool) -> LikesError:
    """The error for a call that was sent when the connection broke, or no reply came in time. heard: as before."""
    reason = _UNDER_WAY.sub(r"\1", _reason(error))
    return Unanswered(f"{where} did not answer: {advised(reason, where, heard=heard)}")


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
    if not_now := _not_now(error, word, text, where):
        return not_now
    if _NO_SCRIPTS.search(text):
        return NoScripts(
            f"{where} runs no scripts (EVALSHA and EVAL are refused), and nothing counts exactly once without them; "
            "switch them on there, or use a Redis or Valkey that runs them"
        )
    if isinstance(error, _NOT_ALLOWED_ERRORS) or word in _NOT_ALLOWED or _NOT_PERMITTED.search(text):
        return RedisRefused(f"{where} does not allow this: {text}")
    if word == "WRONGTYPE" and key is not None:
        return damaged(key, "holds another type than ours")
    return RedisRefused(f"{where} answered with an error: {text}")


def _not_now(error: redis_errors.RedisError, word: str, text: str, where: str) -> LikesError | None:
    """The error for what was not done and may be done later; None if it is something else."""
    if word == "RESHARDING":
        return NotAccepted(f"{where} accepts no likes while their number of shards is being changed (likes reshard)")
    if isinstance(error, redis_errors.TryAgainError):
        return NotNow(f"{where} is just moving this shard to another node: {text}")
    if isinstance(error, _NOT_NOW_ERRORS) or word in _NOT_NOW:
        return NotSent(f"{where} cannot do this now: {text}")
    return None


def _reason(error: BaseException) -> str:
    unsaid = "timed out" if isinstance(error, TimeoutError) else type(error).__name__
    return (str(error).splitlines() or [unsaid])[0].rstrip(".")
