"""Requests as bytes over a socket, for what no well-behaved client sends."""

from __future__ import annotations

import json
import socket
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit


class Answer(NamedTuple):
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)


class Wire:
    """A connection to the server at `address`, `http://host:port` or `unix:/path`."""

    def __init__(self, address: str, timeout: float = 30) -> None:
        if address.startswith("unix:"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(address.removeprefix("unix:"))
        else:
            parts = urlsplit(address)
            assert parts.hostname and parts.port
            self.socket = socket.create_connection((parts.hostname, parts.port), timeout)
        self._read = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def ask(self, data: bytes) -> Answer:
        """Send bytes, and read an answer."""
        self.send(data)
        return self.answer()

    def answer(self) -> Answer:
        """The next answer; EOFError if the connection ends before it is whole."""
        head = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        return Answer(int(head[0].split()[1]), headers, self._take(int(headers.get("content-length", "0"))))

    def wait_for(self, word: bytes) -> None:
        """Read until `word` has come."""
        self._until(word)

    def ends(self) -> bool:
        """True once the server has closed, with nothing more said; the time-out of the socket otherwise."""
        try:
            return self._read + self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _until(self, end: bytes) -> bytes:
        while end not in self._read:
            self._more()
        found, _, self._read = self._read.partition(end)
        return found

    def _take(self, length: int) -> bytes:
        while len(self._read) < length:
            self._more()
        taken, self._read = self._read[:length], self._read[length:]
        return taken

    def _more(self) -> None:
        more = self.socket.recv(65536)
        if not more:
            raise EOFError(f"the connection ended; read so far: {self._read!r}")
        self._read += more
