"""The conversation of one `send` on one connection, without I/O.

What is written when, what a reply means and what it means that none came stands here, once; whoever drives an exchange
(`blocking` for threads, `event_loop` for asyncio) only writes, reads, and gives up a connection with replies under way.

redis-py sends again by itself, ten times by default, which counts an increment twice and loses what a GETDEL took. Here
only a call whose script was not run is sent again: once the script is loaded, or with its source where a server loads
none or knows no digests. Of every call the replies say whether it was answered, was certainly not done, or may have
been done; what follows from that is for the caller to decide.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from redis import exceptions as redis_errors

from likes.buffer.calls import Call, Script, Word, command
from likes.buffer.damage import Damaged
from likes.buffer.links.learned import ASKING, GREETING, Learned, mode_of
from likes.buffer.links.window import Window
from likes.buffer.refusals import (
    ANSWERS,
    NotSent,
    is_cluster_node,
    is_of_digests,
    is_sentinel,
    no_connection,
    no_reply,
    no_sense,
    refusal,
    was_not_run,
)
from likes.errors import LikesError

_UNHEARD: Final = object()
_ASIDE: Final = -1  # in place of the index of a call: nobody reads the reply
_GREETING: Final = -2


class Exchange:
    """Sends `calls` to the server at `where`: all of them, and again those whose script was not run.

    The first exchange of a link greets: a node of a cluster, which has some of the shards only, or a Sentinel is sent
    nothing.
    `learned` is what those before it found out about the server.

    Its driver writes the `requests` there are and lets it `hear` one reply, over and over while it `awaits_reply`.
    """

    def __init__(self, calls: Sequence[Call[Any]], where: str, learned: Learned) -> None:
        self._calls = [call if learned.digests else call.whole for call in calls]
        self._where = where
        self._learned = learned
        self._replies: list[Any] = [_UNHEARD] * len(calls)
        self._unsent: deque[tuple[int, Call[Any]]] = deque(enumerate(self._calls))
        if calls and not learned.greeted:
            self._unsent.appendleft((_GREETING, GREETING))
        self._under_way: deque[int] = deque()
        self._window = Window()
        self._held_back: bytes | None = None  # packed, but there was no room for it
        self._loaded: set[int] = set()  # those that were sent again behind their script

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
            self._window.sent(len(request), alone=call.alone or index == _GREETING)
            yield request

    @property
    def awaits_reply(self) -> bool:
        """True while the reply to a request that was given out has not been heard."""
        return bool(self._under_way)

    @property
    def is_over(self) -> bool:
        """True once every request was given out and answered."""
        return not self._under_way and not self._unsent

    def hear(self, reply: object) -> None:
        """Take the reply to the oldest request under way: what redis-py made of it, or one of the errors ANSWERS."""
        self._window.answered()
        self._learned.heard = True
        index = self._under_way.popleft()
        if index == _GREETING:
            self._take_greeting(reply)
        elif index != _ASIDE:
            self._replies[index] = reply
        if not self._under_way and not self._unsent:
            self._send_again()

    def had_no_connection(self, error: Exception) -> None:
        """There was no connection, so nothing was sent."""
        self._stand_in(no_connection(error, self._where, heard=self._learned.heard))

    def broke_off(self, error: Exception) -> None:
        """The connection broke, or no reply came in time."""
        if _GREETING in self._under_way:  # and nothing behind it was sent
            self._learned.greeted = isinstance(
                error, redis_errors.ConnectionError
            )  # some hang up at a word they don't know
            self._stand_in(NotSent(str(no_reply(error, self._where, heard=self._learned.heard))))
        else:
            self._stand_in(no_reply(error, self._where, heard=self._learned.heard))

    def replies(self) -> list[Any]:
        """For each call its reply, read by it, or the LikesError that stands in its place."""
        return [self._understood(call, reply) for call, reply in zip(self._calls, self._replies, strict=True)]

    def _take_greeting(self, reply: object) -> None:
        mode = mode_of(reply)
        if mode in (b"cluster", b"sentinel"):
            self._send_nothing((is_cluster_node if mode == b"cluster" else is_sentinel)(self._where))
        elif isinstance(reply, redis_errors.AuthenticationError):
            self._send_nothing(refusal(redis_errors.AuthenticationError("Authentication required"), self._where))
        else:
            self._learned.greeted = True

    def _send_nothing(self, error: LikesError) -> None:
        self._unsent.clear()
        self._stand_in(error)

    def _send_again(self) -> None:
        """Queue the calls whose script was not run: behind the script, or with its source, as the server takes them."""
        again = [
            i for i, reply in enumerate(self._replies) if was_not_run(reply) and self._calls[i].words[0] == "EVALSHA"
        ]
        self._learned.digests &= not any(is_of_digests(self._replies[i]) for i in again)
        self._learned.loads &= self._loaded.isdisjoint(again)
        if self._learned.digests and self._learned.loads:
            self._loaded.update(again)
            self._unsent.extend((_ASIDE, load) for load in _loads(self._calls[i] for i in again))
        else:
            for i in again:
                self._calls[i] = self._calls[i].whole
        if again:
            again += [i for i, call in enumerate(self._calls) if call.vouches]
        for i in again:
            self._replies[i] = _UNHEARD
            if i and self._calls[i - 1] is ASKING:  # which holds for the next command alone
                self._unsent.append((_ASIDE, ASKING))
            self._unsent.append((i, self._calls[i]))

    def _stand_in(self, error: LikesError) -> None:
        self._replies = [error if reply is _UNHEARD else reply for reply in self._replies]

    def _understood(self, call: Call[Any], reply: Any) -> Any:
        if isinstance(reply, ANSWERS):
            return refusal(reply, self._where, call.key)
        if isinstance(reply, LikesError):
            return reply
        try:
            return call.read(reply)
        except Damaged as error:  # of this call's shard alone
            return error
        except (AttributeError, IndexError, TypeError, ValueError):  # of another shape: who answers so may be no Redis
            return no_sense(reply, self._where)


def packed(words: Sequence[Word]) -> bytes:
    """A command as Redis reads it. Faster than redis-py's packer, which matters for a call with a thousand keys."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        if isinstance(word, bytes):
            parts.append(b"$%d\r\n%b\r\n" % (len(word), word))
        elif isinstance(word, str):
            parts.append(_packed_text(word))
        else:
            parts.append(_bulk(str(word)))
    return b"".join(parts)


def _bulk(word: str) -> bytes:
    raw = word.encode()
    return b"$%d\r\n%b\r\n" % (len(raw), raw)


@lru_cache(maxsize=1024)
def _packed_text(word: str) -> bytes:
    """Most texts are the same from call to call: digests, epochs, producers."""
    return _bulk(word)


def _loads(calls: Iterable[Call[Any]]) -> list[Call[Any]]:
    scripts: dict[str, Script] = {call.script.sha: call.script for call in calls if call.script}
    return [command("SCRIPT", "LOAD", script.source) for script in scripts.values()]
