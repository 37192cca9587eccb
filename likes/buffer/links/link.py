"""One round trip to Redis, for threads and for asyncio.

redis-py resends by itself, ten times by default, which counts an increment twice and loses what a GETDEL took. A link
never does. It says of every call whether it was answered, was certainly not done, or may have been done; what follows
from that is for the caller to know.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from redis import ConnectionPool
from redis import exceptions as redis_errors

from likes.buffer.calls import Call, Script, Word, command
from likes.buffer.links.window import Window
from likes.buffer.refusals import ANSWERS, no_connection, no_reply, refusal
from likes.errors import LikesError


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
        """Send all calls, in one round trip unless they are long; then once more those whose script was not there."""
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
            return [no_connection(error, self.where)] * len(calls)
        replies: list[Any] = []
        window = Window()
        try:
            for call in calls:
                request = packed(call.words)  # while the server is at work on those before
                while not window.has_room(len(request)):
                    replies.append(_answer(connection))
                    window.answered()
                connection.send_packed_command([request])
                window.sent(len(request), alone=call.alone)
            while window:
                replies.append(_answer(connection))
                window.answered()
        except redis_errors.RedisError as error:
            connection.disconnect()
            replies += [no_reply(error, self.where)] * (len(calls) - len(replies))
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
        """Send all calls, in one round trip unless they are long; then once more those whose script was not there."""
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
            return [no_connection(error, self.where)] * len(calls)
        replies: list[Any] = []
        window = Window()
        requests: list[bytes] = []
        try:
            for call in calls:
                request = packed(call.words)
                if not window.has_room(len(request)):
                    await connection.send_packed_command(requests)
                    requests = []
                while not window.has_room(len(request)):
                    replies.append(await _async_answer(connection))
                    window.answered()
                requests.append(request)
                window.sent(len(request), alone=call.alone)
            await connection.send_packed_command(requests)
            while window:
                replies.append(await _async_answer(connection))
                window.answered()
        except redis_errors.RedisError as error:
            await connection.disconnect(nowait=True)
            replies += [no_reply(error, self.where)] * (len(calls) - len(replies))
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


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response(disconnect_on_error=False)  # errors may be answers
    except ANSWERS as error:
        return error


async def _async_answer(connection: Any) -> Any:
    try:
        return await connection.read_response(disconnect_on_error=False)
    except ANSWERS as error:
        return error


def _without_script(replies: Sequence[Any]) -> list[int]:
    return [i for i, reply in enumerate(replies) if isinstance(reply, redis_errors.NoScriptError)]


def _loads(calls: Any) -> list[Call[Any]]:
    scripts: dict[str, Script] = {call.script.sha: call.script for call in calls}
    return [command("SCRIPT", "LOAD", script.source) for script in scripts.values()]


def _understood(call: Call[Any], reply: Any, where: str) -> Any:
    if isinstance(reply, ANSWERS):
        return refusal(reply, where)
    return reply if isinstance(reply, LikesError) else call.read(reply)
