"""Clients that like one item over HTTP, one request after the other, and count what became of them."""

from __future__ import annotations

import http.client
from threading import Event, Lock, Thread
from typing import Self
from urllib.parse import urlsplit


class Likers:
    """So many clients at once, in a block; every other one has a connection for each request. Nothing is sent again.

    answered: with 202. failed: what every other request came to.
    """

    def __init__(self, address: str, clients: int = 8, item: str = "a") -> None:
        self.answered = 0
        self.failed: list[object] = []
        self._netloc = urlsplit(address).netloc
        self._path = f"/v1/items/{item}/likes"
        self._lock = Lock()
        self._enough = Event()
        self._threads = [Thread(target=self._like, args=(number % 2 == 0,)) for number in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join()

    def _like(self, keeps: bool) -> None:
        connection = http.client.HTTPConnection(self._netloc, timeout=20)
        while not self._enough.is_set():
            try:
                connection.request("POST", self._path, headers={} if keeps else {"Connection": "close"})
                answer = connection.getresponse()
                body = answer.read()
                outcome = None if answer.status == 202 else (answer.status, body)
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                outcome = error
            with self._lock:
                if outcome is None:
                    self.answered += 1
                else:
                    self.failed.append(outcome)
        connection.close()


class Streams:
    """So many streams of events, open all the time in a block: one that was ended is opened again.

    ended: as they should, the last chunk read. failed: otherwise.
    """

    def __init__(self, address: str, streams: int = 4, path: str = "/stream") -> None:
        self.ended = 0
        self.opened = 0
        self.failed: list[object] = []
        self._netloc = urlsplit(address).netloc
        self._path = path
        self._lock = Lock()
        self._enough = Event()
        self._threads = [Thread(target=self._watch) for _ in range(streams)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.let_end()
        for thread in self._threads:
            thread.join()

    def let_end(self) -> None:
        """Open none again; it is the server's to end those that are open."""
        self._enough.set()

    def _watch(self) -> None:
        while not self._enough.is_set():
            connection = http.client.HTTPConnection(self._netloc, timeout=60)
            try:
                connection.request("GET", self._path)
                answer = connection.getresponse()
                first = answer.readline()
                with self._lock:
                    self.opened += 1
                outcome = None if (first, answer.read()) == (b"begin\n", b"end\n") else (first, answer.status)
            except (OSError, http.client.HTTPException) as error:
                outcome = error
            finally:
                connection.close()
            with self._lock:
                if outcome is None:
                    self.ended += 1
                else:
                    self.failed.append(outcome)
