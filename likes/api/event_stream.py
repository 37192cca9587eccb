"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) of what a feed reads.

The first event has everything, each later one what has changed. `id` stands for all that a client knows after an event:
one that comes back with it in Last-Event-ID, to whichever process, is told again only if that is no longer so.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from hashlib import blake2b
from typing import Any, Generic, TypeVar

from fastapi.sse import format_sse_event
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from likes.api.feed import Feed, Watch

K = TypeVar("K")
V = TypeVar("V")

COMMENT_SECONDS = 15.0  # proxies close what is silent for longer, a minute mostly
RETRY_MILLISECONDS = (1000, 3000)  # drawn anew for each stream, so that not all come back in one moment
SEND_SECONDS = 5.0  # one that reads nothing for so long is let go

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # nginx would keep events until it has a page full

# The events that say what has changed: name and data of each.
Words = Callable[[Mapping[K, V]], Sequence[tuple[str, Any]]]


class EventStream(StreamingResponse, Generic[K, V]):
    """The answer that does not end before its client goes, or the process stops.

    words: the events that tell of changes. last_id: the id of the last event that the client has. may_go_on: asked
    every 15 seconds whether the client may go on watching.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        feed: Feed[K, V],
        keys: Sequence[K],
        words: Words[K, V],
        last_id: str | None,
        may_go_on: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        super().__init__(_nothing(), headers=HEADERS)
        self._feed = feed
        self._keys = keys
        self._words = words
        self._last_id = last_id
        self._may_go_on = may_go_on

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream. Raises Problem, before anything is sent, where too much is watched already."""

        async def send_or_give_up(message: Message) -> None:
            try:
                async with asyncio.timeout(SEND_SECONDS):
                    await send(message)
            except TimeoutError:
                raise ClientDisconnect from None

        with self._feed.watching(self._keys) as watch:
            async with aclosing(_events(watch, self._words, self._last_id, self._may_go_on)) as events:
                self.body_iterator = events
                await super().__call__(scope, receive, send_or_give_up)


async def _events(
    watch: Watch[K, V], words: Words[K, V], last_id: str | None, may_go_on: Callable[[], Awaitable[bool]] | None
) -> AsyncGenerator[bytes]:
    asked_at = time.monotonic()
    yield format_sse_event(retry=random.randint(*RETRY_MILLISECONDS), comment="the first event has everything")  # noqa: S311
    while not watch.is_over:
        changed = await watch.changes(COMMENT_SECONDS)
        if may_go_on and time.monotonic() - asked_at >= COMMENT_SECONDS:
            asked_at = time.monotonic()
            if not await may_go_on():
                return
        if not changed:
            if not watch.is_over:
                yield format_sse_event(comment="still here")
            continue
        event_id, before, last_id = _id_of(watch.known), last_id, None
        if event_id != before:
            *first, last = words(changed)
            for name, data in first:  # without an id: who has only those has not all
                yield format_sse_event(event=name, data_str=_as_json(data))
            yield format_sse_event(event=last[0], data_str=_as_json(last[1]), id=event_id)


def _id_of(known: Mapping[Any, Any]) -> str:
    values = sorted((repr(key), repr(value)) for key, value in known.items())
    return blake2b(repr(values).encode("utf-8", "backslashreplace"), digest_size=12).hexdigest()


def _as_json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), default=str)


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
