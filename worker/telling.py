"""Who is told: a command, by JSON on its stdin, or a URL, by a POST. Within seconds, or not at all."""

from __future__ import annotations

import base64
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping
from concurrent.futures import Future
from tempfile import TemporaryFile
from threading import Thread
from typing import Protocol
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from likes.config.urls import origin_of

SECONDS = 10.0


class NotTold(Exception):
    """What was in the way."""


class Listener(Protocol):
    """name: which of them, in keys and figures. where: for the log, nothing secret in it."""

    name: str
    where: str

    def tell(self, body: bytes) -> None:
        """Tell it; raises NotTold."""


class Command:
    """A program, started without a shell, in a session of its own."""

    name = "command"

    def __init__(self, words: str) -> None:
        self._words = shlex.split(words)
        self.where = f"the command {self._words[0]}"

    def tell(self, body: bytes) -> None:
        """Run it with `body` on its stdin; raises NotTold unless it exits with 0 in time."""
        with TemporaryFile() as said:
            try:
                process = subprocess.Popen(
                    self._words, stdin=subprocess.PIPE, stdout=said, stderr=said, start_new_session=True
                )
            except (OSError, ValueError) as error:
                raise NotTold(f"it cannot be started: {error}") from None
            with process:
                try:
                    process.communicate(body, timeout=SECONDS)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)  # its children, too
                    raise NotTold(f"it did not end within {SECONDS:g} s") from None
            if process.returncode:
                said.seek(max(0, said.seek(0, os.SEEK_END) - 200))
                last = " ".join(said.read().decode(errors="replace").split())
                raise NotTold(f"it ended with {process.returncode}{last and ': '}{last}")


class Url:
    """A URL that takes a POST. User and password in it go into the header meant for them."""

    name = "url"

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
        self._headers = {"Content-Type": "application/json", "User-Agent": "likes", **_credentials(url)}
        self.where = origin_of(url)
        self._opener = build_opener(_NoRedirect)

    def tell(self, body: bytes) -> None:
        """POST `body`; raises NotTold unless the answer begins in time with 2xx."""
        answer: Future[None] = Future()

        def post() -> None:
            request = Request(self._url, body, self._headers, method="POST")  # noqa: S310 (settings allow http and https)
            try:
                self._opener.open(request, timeout=SECONDS).close()
                answer.set_result(None)
            except HTTPError as error:
                error.close()
                answer.set_exception(NotTold(f"it answered {error.code}"))
            except Exception as error:  # noqa: BLE001 (urllib lets through what sockets, TLS and proxies raise)
                answer.set_exception(NotTold(f"{getattr(error, 'reason', None) or error or type(error).__name__}"))

        # In a thread: the time-out of urllib is one of each read, and none of a name's look-up.
        Thread(target=post, name="likes-notice", daemon=True).start()
        try:
            answer.result(SECONDS)
        except TimeoutError:
            raise NotTold(f"it did not answer within {SECONDS:g} s") from None


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        """None: a POST that is redirected would become a GET, which tells nobody."""


def _credentials(url: str) -> Mapping[str, str]:
    parts = urlsplit(url)
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
