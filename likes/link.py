"""One round trip to Redis, for threads and for asyncio.

redis-py resends by itself, ten times by default, which counts an increment twice and loses what a GETDEL took. A link
never does. It says of every call whether it was answered, was certainly not done, or may have been done; what follows
from that is for the caller to know.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol

from redis import ConnectionPool
from redis import exceptions as redis_errors

from likes.errors import LikesError, RedisFull, RedisRefused, RedisUnavailable
from likes.lua import Call, Script, Word, command


class NotSent(RedisUnavailable):
    """The call was certainly not carried out."""


class Unanswered(RedisUnavailable):
    """The call was sent and no reply came: it may have been carried out or not."""


# Errors that are answers: the connection is in step, and what was asked was not done.
_ANSWERS = (redis_errors.ResponseError, redis_errors.BusyLoadingError, redis_errors.AuthenticationError)
_KIND = re.compile(r"(?:^|-)([A-Z]{3,})\b")
_NOT_NOW = ("LOADING", "MASTERDOWN", "READONLY", "BUSY", "CLUSTERDOWN", "TRYAGAIN", "NOSCRIPT", "NOREPLICAS")
_NOT_ALLOWED = ("NOAUTH", "WRONGPASS", "NOPERM", "MISCONF")


class Link(Protocol):
    """Sends calls to Redis."""

    where: str

    def send(self, calls: Sequence[Call[Any]]) -> list[Any]:
        """A reply for each call, read by it, or the LikesError that stands in its place."""
        ...

    def close(self) -> None:
        """Give up all connections."""
        ...


class AsyncLink(Protocol):
    """Sends calls to Redis, for asyncio."""

    where: str

    async def send(self, calls: Sequence[Call[Any]]) -> list[Any]:
        """A reply for each call, read by it, or the LikesError that stands in its place."""
        ...

    async def close(self) -> None:
        """Give up all connections."""
        ...


def ask(link: Link, calls: Sequence[Call[Any]]) -> list[Any]:
    """Send `calls` and return their replies; raise the first error among them."""
    replies = link.send(calls)
    for reply in replies:
        if isinstance(reply, LikesError):
            raise reply
    return replies


class StandaloneLink:
    """A link to one server, by a redis-py connection pool; safe to share between threads."""

    def __init__(self, pool: ConnectionPool, where: str) -> None:
        self.where = where
        self._pool = pool

    def send(self, calls: Sequence[Call[Any]]) -> list[Any]:
        """Send all calls in one round trip, load the scripts that are not there, and send those calls."""
        replies = self._round_trip(calls)
        unknown = _without_script(replies)
        if unknown:
            loads = _loads(calls[i] for i in unknown)
            again = self._round_trip([*loads, *(calls[i] for i in unknown)])[len(loads) :]
            for i, reply in zip(unknown, again, strict=True):
                replies[i] = reply
        return [_understood(call, reply, self.where) for call, reply in zip(calls, replies, strict=True)]

    def _round_trip(self, calls: Sequence[Call[Any]]) -> list[Any]:
        try:
            connection: Any = self._pool.get_connection()  # redis-py leaves a connection's methods untyped
        except redis_errors.RedisError as error:
            return [_no_connection(error, self.where)] * len(calls)
        replies: list[Any] = []
        try:
            for call in calls:  # one by one: the server is at work on the first while the next is packed
                connection.send_packed_command([packed(call.words)])
            for _ in calls:
                try:
                    replies.append(connection.read_response(disconnect_on_error=False))  # errors may be answers
                except _ANSWERS as error:
                    replies.append(error)
        except redis_errors.RedisError as error:
            connection.disconnect()
            replies += [_no_reply(error, self.where)] * (len(calls) - len(replies))
        except BaseException:
            connection.disconnect()  # replies still under way would be taken for those of the next call
            raise
        finally:
            self._pool.release(connection)
        return replies

    def close(self) -> None:
        """Give up all connections."""
        self._pool.disconnect()


class AsyncStandaloneLink:
    """The same for asyncio."""

    def __init__(self, pool: Any, where: str) -> None:
        self.where = where
        self._pool = pool

    async def send(self, calls: Sequence[Call[Any]]) -> list[Any]:
        """Send all calls in one round trip, load the scripts that are not there, and send those calls."""
        replies = await self._round_trip(calls)
        unknown = _without_script(replies)
        if unknown:
            loads = _loads(calls[i] for i in unknown)
            again = (await self._round_trip([*loads, *(calls[i] for i in unknown)]))[len(loads) :]
            for i, reply in zip(unknown, again, strict=True):
                replies[i] = reply
        return [_understood(call, reply, self.where) for call, reply in zip(calls, replies, strict=True)]

    async def _round_trip(self, calls: Sequence[Call[Any]]) -> list[Any]:
        try:
            connection: Any = await self._pool.get_connection()
        except redis_errors.RedisError as error:
            return [_no_connection(error, self.where)] * len(calls)
        replies: list[Any] = []
        try:
            await connection.send_packed_command([packed(call.words) for call in calls])
            for _ in calls:
                try:
                    replies.append(await connection.read_response(disconnect_on_error=False))
                except _ANSWERS as error:
                    replies.append(error)
        except redis_errors.RedisError as error:
            await connection.disconnect(nowait=True)
            replies += [_no_reply(error, self.where)] * (len(calls) - len(replies))
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        finally:
            await self._pool.release(connection)
        return replies

    async def close(self) -> None:
        """Give up all connections."""
        await self._pool.disconnect()


def packed(words: Sequence[Word]) -> bytes:
    """A command as Redis reads it; faster than redis-py's packer, which shows when a thousand keys go out."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        raw = word if type(word) is bytes else str(word).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(raw), raw))
    return b"".join(parts)


def _without_script(replies: Sequence[Any]) -> list[int]:
    return [i for i, reply in enumerate(replies) if isinstance(reply, redis_errors.NoScriptError)]


def _loads(calls: Any) -> list[Call[Any]]:
    scripts: dict[str, Script] = {call.script.sha: call.script for call in calls}
    return [command("SCRIPT", "LOAD", script.source) for script in scripts.values()]


def _understood(call: Call[Any], reply: Any, where: str) -> Any:
    if isinstance(reply, _ANSWERS):
        return _refusal(reply, where)
    return reply if isinstance(reply, LikesError) else call.read(reply)


def _no_connection(error: redis_errors.RedisError, where: str) -> LikesError:
    if isinstance(error, _ANSWERS):
        return _refusal(error, where)
    return NotSent(f"{where} cannot be reached: {_reason(error)}")


def _no_reply(error: redis_errors.RedisError, where: str) -> LikesError:
    return Unanswered(f"{where} did not answer: {_reason(error)}")


def _refusal(error: redis_errors.RedisError, where: str) -> LikesError:
    text = _reason(error)
    kind = _KIND.search(text)  # Redis 6.2 wraps what a script ran into: "ERR Error running script …: -OOM …"
    word = kind[1] if kind else ""
    if isinstance(error, redis_errors.OutOfMemoryError) or word == "OOM":
        return RedisFull(f"{where} is full (maxmemory); a flush makes room, or raise maxmemory")
    if isinstance(error, redis_errors.BusyLoadingError | redis_errors.ReadOnlyError) or word in _NOT_NOW:
        return NotSent(f"{where} cannot do this now: {text}")
    if isinstance(error, redis_errors.AuthenticationError) or word in _NOT_ALLOWED:
        return RedisRefused(f"{where} does not allow this: {text}")
    return RedisRefused(f"{where} answered with an error: {text}")


def _reason(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
