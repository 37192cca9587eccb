"""A connection that loses replies: what was asked is carried out, and the one who asked never hears of it.

It may also stand in for servers that know fewer commands, or answer them in their own way.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import BinaryIO, Self
from urllib.parse import urlsplit

from likes.buffer.links.exchange import packed


class Proxy:
    """Stands in front of a server at `url`; `lose_reply_to` cuts connections, `forget_connections` leaves them mute;
    `refuse` and `answer` are for good.
    """

    def __init__(self, server_url: str) -> None:
        parts = urlsplit(server_url)
        self._server = (parts.hostname or "127.0.0.1", parts.port or 6379)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = parts._replace(netloc=f"127.0.0.1:{self._listener.getsockname()[1]}").geturl()
        self.lost = 0
        self._word: bytes = b""
        self._times = 0
        self._then: Callable[[], object] = lambda: None
        self._instead: dict[bytes, bytes] = {}
        self._forgotten = 0  # how many connections
        self._accepted = 0
        Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def lose_reply_to(self, word: str, *, times: int = 1, then: Callable[[], object] = lambda: None) -> None:
        """For the next requests with `word` in them: once the server has answered, do `then` and cut the connection."""
        self._word, self._times, self._then = word.encode(), times, then

    def refuse(self, command: str, error: str = "") -> None:
        """Answer a command with an error: it is not known, unless it says otherwise."""
        text = error or f"ERR unknown command '{command}', with args beginning with: "
        self._instead[command.upper().encode()] = packed(("EVAL", "return redis.error_reply(ARGV[1])", 0, text))

    def answer(self, command: str, text: str) -> None:
        """Answer a command with a text."""
        self._instead[command.upper().encode()] = packed(("EVAL", "return ARGV[1]", 0, text))

    def hang_up_at(self, command: str) -> None:
        """End every connection on which a command is sent."""
        self._instead[command.upper().encode()] = b""

    def forget_connections(self) -> None:
        """Carry nothing more over those there are, and do not say so, as a firewall does that finds them idle."""
        self._forgotten = self._accepted

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            self._accepted += 1
            server = socket.create_connection(self._server)
            Thread(target=self._carry_replies, args=(server, client), daemon=True).start()
            Thread(target=self._carry_requests, args=(client, server, self._accepted), daemon=True).start()

    def _carry_requests(self, client: socket.socket, server: socket.socket, number: int) -> None:
        with client, server, client.makefile("rb") as requests:
            while request := next_of(requests):
                if number <= self._forgotten:
                    continue
                if self._times and self._word in request:
                    self._times -= 1
                    self._lose(request)
                    self.lost += 1
                    break
                if not (request := self._instead.get(request.split(b"\r\n", 3)[2].upper(), request)):
                    break
                server.sendall(request)
            hang_up(client, server)

    def _lose(self, request: bytes) -> None:
        with socket.create_connection(self._server) as aside:  # its reply is carried to nobody
            aside.sendall(request)
            assert receive(aside)
        self._then()

    def _carry_replies(self, server: socket.socket, client: socket.socket) -> None:
        while data := receive(server):
            try:
                client.sendall(data)
            except OSError:
                return


def next_of(requests: BinaryIO) -> bytes:
    """The next whole request, an array of bulk strings however many packets bring it; nothing once they are over."""
    try:
        parts = [requests.readline()]
        for _ in range(int(parts[0][1:] or 0)):
            parts.append(length := requests.readline())
            parts.append(requests.read(int(length[1:]) + len("\r\n")))
    except (OSError, ValueError):  # ended within a request
        return b""
    return b"".join(parts)


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
