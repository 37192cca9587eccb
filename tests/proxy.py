"""A connection that loses replies: what was asked is carried out, and the one who asked never hears of it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Self
from urllib.parse import urlsplit


class Proxy:
    """Stands in front of a server at `url`; `lose_reply_to` cuts connections."""

    def __init__(self, server_url: str) -> None:
        parts = urlsplit(server_url)
        self._server = (parts.hostname or "127.0.0.1", parts.port or 6379)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = parts._replace(netloc=f"127.0.0.1:{self._listener.getsockname()[1]}").geturl()
        self.lost = 0
        self._word: bytes = b""
        self._times = 0
        self._then: Callable[[], object] = lambda: None
        Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def lose_reply_to(self, word: str, *, times: int = 1, then: Callable[[], object] = lambda: None) -> None:
        """For the next requests with `word` in them: once the server has answered, do `then` and cut the connection."""
        self._word, self._times, self._then = word.encode(), times, then

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            server = socket.create_connection(self._server)
            Thread(target=self._carry_replies, args=(server, client), daemon=True).start()
            Thread(target=self._carry_requests, args=(client, server), daemon=True).start()

    def _carry_requests(self, client: socket.socket, server: socket.socket) -> None:
        with client, server:
            while data := receive(client):
                if self._times and self._word in data:
                    self._times -= 1
                    self._lose(data)
                    self.lost += 1
                    hang_up(client, server)
                    return
                server.sendall(data)
            hang_up(client, server)

    def _lose(self, data: bytes) -> None:
        with socket.create_connection(self._server) as aside:  # its replies are carried to nobody
            aside.sendall(data)
            assert receive(aside)
        self._then()

    def _carry_replies(self, server: socket.socket, client: socket.socket) -> None:
        while data := receive(server):
            try:
                client.sendall(data)
            except OSError:
                return


def receive(connection: socket.socket) -> bytes:
    """What comes next; nothing once the connection is over."""
    try:
        return connection.recv(1 << 20)
    except OSError:
        return b""


def hang_up(*connections: socket.socket) -> None:
    """End connections, so that whoever waits on them wakes up."""
    for connection in connections:
        with suppress(OSError):  # gone already
            connection.shutdown(socket.SHUT_RDWR)
