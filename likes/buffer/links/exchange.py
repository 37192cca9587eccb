"""The conversation of one `send` on one connection, without I/O.

What is written when, what a reply means and what it means that none came stands here, once; whoever drives an exchange
(`blocking` for threads, `event_loop` for asyncio) only writes, reads, and gives up a connection with replies under way.

redis-py sends again by itself, ten times by default, which counts an increment twice and loses what a GETDEL took. Here
only a call whose script was missing is sent twice: it did nothing the first time. Of every call the replies say whether
it was answered, was certainly not done, or may have been done; what follows from that is for the caller to decide.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from redis import exceptions as redis_errors

from likes.buffer.calls import Call, Script, Word, command
from likes.buffer.damage import Damaged
from likes.buffer.links.window import Window
from likes.buffer.refusals import ANSWERS, no_connection, no_reply, refusal
from likes.errors import LikesError

_UNHEARD: Final = object()


class Exchange:
    """Sends `calls` to the server at `where`: all of them, and once more those whose script was missing.

    Its driver writes the `requests` there are and lets it `hear` one reply, over and over while it `awaits_reply`.
    """

    def __init__(self, calls: Sequence[Call[Any]], where: str) -> None:
        self._calls = calls
        self._where = where
        self._replies: list[Any] = [_UNHEARD] * len(calls)
        self._unsent: deque[tuple[int | None, Call[Any]]] = deque(enumerate(calls))  # None: no call's reply
        self._under_way: deque[int | None] = deque()
        self._window = Window()
        self._held_back: bytes | None = None  # packed, but there was no room for it
        self._loaded = False

    def requests(self) -> Iterator[bytes]:
        """What may be written now, packed one by one: meanwhile the server is at work on those before."""
        while self._unsent:
            index, call = self._unsent[0]
            request = self._held_back or packed(call.words)
            if not self._window.has_room(len(request)):
                self._held_back = request
                return
            self._held_back = None
            self._unsent.popleft()
            self._under_way.append(index)
            self._window.sent(len(request), alone=call.alone)
            yield request

    @property
    def awaits_reply(self) -> bool:
        """True while the reply to a request that was given out has not been heard."""
        return bool(self._under_way)

    def hear(self, reply: object) -> None:
        """Take the reply to the oldest request under way: what redis-py made of it, or one of the errors ANSWERS."""
        self._window.answered()
        index = self._under_way.popleft()
        if index is not None:
            self._replies[index] = reply
        if not self._under_way and not self._unsent and not self._loaded:
            self._load_scripts()

    def had_no_connection(self, error: redis_errors.RedisError) -> None:
        """There was no connection, so nothing was sent."""
        self._stand_in(no_connection(error, self._where))

    def broke_off(self, error: redis_errors.RedisError) -> None:
        """The connection broke, or no reply came in time."""
        self._stand_in(no_reply(error, self._where))

    def replies(self) -> list[Any]:
        """For each call its reply, read by it, or the LikesError that stands in its place."""
        return [self._understood(call, reply) for call, reply in zip(self._calls, self._replies, strict=True)]

    def _load_scripts(self) -> None:
        """Queue the scripts that were missing, and behind them the calls that lacked them."""
        self._loaded = True
        lacking = [i for i, reply in enumerate(self._replies) if isinstance(reply, redis_errors.NoScriptError)]
        for i in lacking:
            self._replies[i] = _UNHEARD
        self._unsent.extend((None, load) for load in _loads(self._calls[i] for i in lacking))
        self._unsent.extend((i, self._calls[i]) for i in lacking)

    def _stand_in(self, error: LikesError) -> None:
        self._replies = [error if reply is _UNHEARD else reply for reply in self._replies]

    def _understood(self, call: Call[Any], reply: Any) -> Any:
        if isinstance(reply, ANSWERS):
            return refusal(reply, self._where, call.key)
        try:
            return reply if isinstance(reply, LikesError) else call.read(reply)
        except Damaged as error:  # of this call's shard alone
            return error


def packed(words: Sequence[Word]) -> bytes:
    """A command as Redis reads it. Faster than redis-py's packer, which matters for a call with a thousand keys."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        raw = word if type(word) is bytes else str(word).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(raw), raw))
    return b"".join(parts)


def _loads(calls: Iterable[Call[Any]]) -> list[Call[Any]]:
    scripts: dict[str, Script] = {call.script.sha: call.script for call in calls if call.script}
    return [command("SCRIPT", "LOAD", script.source) for script in scripts.values()]
