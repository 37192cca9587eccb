"""What it means for a call that Redis refused it, or did not answer."""

from __future__ import annotations

import re

from redis import exceptions as redis_errors

from likes.buffer.damage import damaged
from likes.errors import LikesError, RedisFull, RedisRefused, RedisUnavailable

# Errors that are answers: the connection is still usable, and the call was not carried out.
ANSWERS = (redis_errors.ResponseError, redis_errors.BusyLoadingError, redis_errors.AuthenticationError)
_KIND = re.compile(r"(?:^|-)([A-Z]{3,})\b")
_NOT_NOW = ("LOADING", "MASTERDOWN", "READONLY", "BUSY", "CLUSTERDOWN", "TRYAGAIN", "NOSCRIPT", "NOREPLICAS")
_NOT_ALLOWED = ("NOAUTH", "WRONGPASS", "NOPERM", "MISCONF")
# The same for words that redis-py knows: it takes them off the text.
_NOT_NOW_ERRORS = (
    redis_errors.BusyLoadingError,
    redis_errors.MasterDownError,
    redis_errors.ReadOnlyError,
    redis_errors.ClusterDownError,
    redis_errors.TryAgainError,
    redis_errors.NoScriptError,
)
_NOT_ALLOWED_ERRORS = (redis_errors.AuthenticationError, redis_errors.NoPermissionError)


class NotSent(RedisUnavailable):
    """The call was certainly not carried out."""


class Unanswered(RedisUnavailable):
    """The call was sent and no reply came: it may have been carried out or not."""


def no_connection(error: redis_errors.RedisError, where: str) -> LikesError:
    """The error for a call that found no connection, and so was not sent."""
    if isinstance(error, ANSWERS):
        return refusal(error, where)
    return NotSent(f"{where} cannot be reached: {_reason(error)}")


def no_reply(error: redis_errors.RedisError, where: str) -> LikesError:
    """The error for a call that was sent when the connection broke, or no reply came in time."""
    return Unanswered(f"{where} did not answer: {_reason(error)}")


def refusal(error: redis_errors.RedisError, where: str, key: bytes | None = None) -> LikesError:
    """The LikesError for an answer that is an error. key: the only one that was touched, if that is known."""
    text = _reason(error)
    kind = _KIND.search(text)  # Redis 6.2 wraps what a script ran into: "ERR Error running script …: -OOM …"
    word = kind[1] if kind else ""
    if isinstance(error, redis_errors.OutOfMemoryError) or word == "OOM":
        return RedisFull(f"{where} is full (maxmemory); a flush makes room, or raise maxmemory")
    if isinstance(error, _NOT_NOW_ERRORS) or word in _NOT_NOW:
        return NotSent(f"{where} cannot do this now: {text}")
    if isinstance(error, _NOT_ALLOWED_ERRORS) or word in _NOT_ALLOWED:
        return RedisRefused(f"{where} does not allow this: {text}")
    if word == "WRONGTYPE" and key is not None:
        return damaged(key, "holds another type than ours")
    return RedisRefused(f"{where} answered with an error: {text}")


def _reason(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
