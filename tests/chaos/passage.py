"""The way from clients to a server, whatever protocol they speak: slow, cut, shut, or with replies that get lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from threading import Thread
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

CHUNK_BYTES = 1 << 16


class Connection:
    """One client's. losing: from now on its replies go to nobody, and with the first of them it ends."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.losing = False
        self.has_lost = False

    @property
    def client_port(self) -> int:
        """Where the client has its end of it."""
        return int(self.client.get_extra_info("peername")[1])

    def end(self) -> None:
        """Both ends of it."""
        self.client.close()
        self.server.close()


class Passage:
    """Stands in front of the server at a URL; `url` leads through it. What is changed holds for what comes next.

    delay: seconds that every packet takes longer. shut: nobody comes in. mute: replies are swallowed.
    lost: how many replies arrived nowhere.
    """

    def __init__(self, server_url: str) -> None:
        self.delay = 0.0
        self.shut = False
        self.mute = False
        self.lost = 0
        self._parts = urlsplit(server_url)
        self._server = (self._parts.hostname or "127.0.0.1", self._parts.port or 0)
        self._open: set[Connection] = set()
        self._losing: tuple[bytes, int] = (b"", 0)
        self._stop_at: tuple[bytes, Callable[[int], None]] | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._listener = self._call(asyncio.start_server(self._carry, "127.0.0.1", 0))
        self.port = self._listener.sockets[0].getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._listener.close()
        for connection in [*self._open]:
            connection.end()
        carrying = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*carrying, return_exceptions=True)

    @property
    def url(self) -> str:
        """The server's, through here."""
        user, at, _ = self._parts.netloc.rpartition("@")
        return self._parts._replace(netloc=f"{user}{at}127.0.0.1:{self.port}").geturl()

    def cut(self) -> None:
        """End all connections there are."""

        async def end_all() -> None:
            for connection in [*self._open]:
                connection.end()

        self._call(end_all())

    def calm(self) -> None:
        """As at first. Whoever lost a reply is cut off: what came next would be taken for it."""
        self.delay, self.shut, self.mute, self._losing = 0.0, False, False, (b"", 0)

        async def end_those_with_losses() -> None:
            for connection in [*self._open]:
                if connection.has_lost:
                    connection.end()

        self._call(end_those_with_losses())

    def lead_to(self, server_url: str) -> None:
        """To another server from now on."""
        parts = urlsplit(server_url)
        self._server = (parts.hostname or "127.0.0.1", parts.port or 0)
        self.cut()

    def lose_reply_to(self, word: str, times: int) -> None:
        """Of the next requests with `word` in them: they arrive, the reply does not, and the connection is cut."""
        self._losing = (word.encode(), times)

    def stop_at(self, word: str, act: Callable[[int], None]) -> None:
        """Before the next request with `word` goes on: `act`, with the port of the client whose it is."""
        self._stop_at = (word.encode(), act)

    def stop_no_more(self) -> None:
        """Forget what `stop_at` was told, if no such request came."""
        self._stop_at = None

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _carry(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            if self.shut:
                raise ConnectionRefusedError
            from_server, to_server = await asyncio.open_connection(*self._server)
        except OSError:
            to_client.close()
            return
        connection = Connection(to_client, to_server)
        self._open.add(connection)
        try:
            requests = asyncio.ensure_future(self._carry_requests(from_client, connection))
            replies = asyncio.ensure_future(self._carry_replies(from_server, connection))
            await asyncio.wait((requests, replies), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._open.discard(connection)
            connection.end()
            await asyncio.gather(requests, replies, return_exceptions=True)

    async def _carry_requests(self, source: asyncio.StreamReader, connection: Connection) -> None:
        while data := await source.read(CHUNK_BYTES):
            await asyncio.sleep(self.delay)
            if self._stop_at and self._stop_at[0] in data:
                act, self._stop_at = self._stop_at[1], None
                await self._loop.run_in_executor(None, act, connection.client_port)
            word, times = self._losing
            if times and word in data and not connection.losing:
                self._losing = (word, times - 1)
                connection.losing = True
            connection.server.write(data)
            await connection.server.drain()

    async def _carry_replies(self, source: asyncio.StreamReader, connection: Connection) -> None:
        while data := await source.read(CHUNK_BYTES):
            await asyncio.sleep(self.delay)
            if connection.losing or self.mute or connection.has_lost:
                self.lost += 1
                connection.has_lost = True
                if connection.losing:
                    return
                continue
            connection.client.write(data)
            await connection.client.drain()
