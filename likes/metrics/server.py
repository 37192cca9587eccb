"""A small server for `/metrics` alone, for a process that serves nothing else."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from socketserver import TCPServer, ThreadingMixIn
from threading import Semaphore, Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from likes.errors import SettingsError
from likes.metrics.exposition import Exposition

IDLE_SECONDS = 10.0  # a connection that says nothing is closed
MOST = 16  # connections at a time: who asks too much must not keep likes from being flushed


class _Handler(WSGIRequestHandler):
    timeout = IDLE_SECONDS

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what is logged is of the worker."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False  # a scrape under way does not hold the end

    def __init__(self, *given: Any, **named: Any) -> None:
        self._free = Semaphore(MOST)
        super().__init__(*given, **named)

    def server_bind(self) -> None:
        """As HTTPServer, which also asks a name server what this machine is called."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def verify_request(self, *_: object) -> bool:
        """Whether there is a thread for one more."""
        return self._free.acquire(blocking=False)

    def process_request_thread(self, *given: Any) -> None:
        """Answer, in a thread."""
        try:
            super().process_request_thread(*given)
        finally:
            self._free.release()


@contextmanager
def serving(host: str, port: int, scrape: Callable[[str], Exposition]) -> Iterator[int]:
    """Answer `/metrics` with `scrape(accept)` until the block ends, in threads; the port, which 0 leaves to the system.

    Raises SettingsError if it cannot listen there.
    """

    def answer(environ: dict[str, Any], start: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/metrics" or environ["REQUEST_METHOD"] != "GET":
            return _said(start, HTTPStatus.NOT_FOUND, b"GET /metrics\n", "text/plain")
        return _said(start, HTTPStatus.OK, *scrape(environ.get("HTTP_ACCEPT", "")))

    server = _listening(host, port, answer)
    Thread(target=server.serve_forever, name="likes-metrics", daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def _said(
    start: Callable[[str, list[tuple[str, str]]], object], status: HTTPStatus, content: bytes, media_type: str
) -> Iterable[bytes]:
    start(f"{status.value} {status.phrase}", [("Content-Type", media_type), ("Content-Length", str(len(content)))])
    return [content]


def _listening(host: str, port: int, answer: Any) -> WSGIServer:
    try:
        (family, *_, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        server = type("Here", (_Server,), {"address_family": family})
        return make_server(str(address[0]), port, answer, server, _Handler)
    except OSError as error:
        raise SettingsError(
            f"LIKES_METRICS_PORT: cannot listen on {host} port {port}: {error.strerror or error}; choose a free port "
            "(LIKES_METRICS_PORT), and an address of this machine (LIKES_HTTP_HOST)"
        ) from None
