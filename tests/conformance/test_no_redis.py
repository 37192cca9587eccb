"""Whatever answers in Redis's place, a caller gets a LikesError."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress
from threading import Thread

import pytest

from likes import AsyncLikeCounter, LikeCounter, LikesError

ANSWERS = {
    "a web server": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "no length": b"$many\r\n",
    "no number": b":\xff\r\n",
    "a number": b":1\r\n",
    "a text": b"$4\r\ntext\r\n",
    "nothing": b"$-1\r\n",
    "an empty list": b"*0\r\n",
    "a list of nothing": b"*2\r\n$-1\r\n*0\r\n",
    "half of a list": b"*2\r\n:1\r\n",
    "bytes": bytes(range(256)) + b"\r\n",
    "a hang-up": b"",
}


class Answering:
    """A server that says the same to everybody."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.listener.getsockname()[1]}"
        Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = self.listener.accept()
                Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while connection.recv(1 << 16) and self.answer:
                connection.sendall(self.answer)


@pytest.fixture(params=ANSWERS.values(), ids=ANSWERS.keys())
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    server = Answering(request.param)
    yield server.url
    server.listener.close()


def test_what_is_no_redis_is_an_error_of_ours(url: str) -> None:
    with LikeCounter(redis_url=url, redis_timeout=0.2, shards=1) as likes:
        for call in (likes.like, likes.pending, likes.total, lambda item: likes.add({item: 1})):
            with pytest.raises(LikesError):
                call("video:1")


def test_what_is_no_redis_is_an_error_of_ours_to_asyncio(url: str) -> None:
    async def main() -> None:
        async with AsyncLikeCounter(redis_url=url, redis_timeout=0.2, shards=1) as likes:
            for call in (likes.like, likes.pending, likes.total, lambda item: likes.add({item: 1})):
                with pytest.raises(LikesError):
                    await call("video:1")

    asyncio.run(main())
