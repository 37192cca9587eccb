"""Without keys the API is for this machine alone: which requests of browsers are refused then.

A page of any site can have a browser of this machine ask a server on it. Under a name of its own that resolves to this
machine (DNS rebinding) it could read the answers: so the Host has to be a loopback one. And it can send forms without
being asked: so what writes has to come from this server's own pages, or from an origin in LIKES_HTTP_ORIGINS.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from http import HTTPStatus

from likes.api.exposure import is_loopback
from likes.api.problems import Problem
from likes.items import shorten

READING = ("GET", "HEAD", "OPTIONS")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(:\d*)?", re.IGNORECASE)


class Loopback:
    """Decides on requests where no key is asked for. origins: those whose pages may write, as browsers send them."""

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = {origin.encode() for origin in origins}

    def check(self, method: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Raise Problem for a request that a page of another site may be behind. headers: names in lower case."""
        host = origin = site = b""
        for name, value in headers:
            if name == b"host":
                host = value
                self._check_host(value.decode("latin-1"))
            elif name == b"origin":
                origin = value
            elif name == b"sec-fetch-site":
                site = value
        if method in READING or (origin and origin in self._origins):
            return
        is_own = origin in (b"", b"http://" + host, b"https://" + host)
        if not is_own or site not in (b"", b"same-origin", b"none"):
            raise _refused(
                f"pages of {shorten(ascii(origin.decode('latin-1')))} may not write here",
                "put it into LIKES_HTTP_ORIGINS",
            )

    @staticmethod
    def _check_host(host: str) -> None:
        written = _HOST.fullmatch(host)
        if not written or not is_loopback(written[1]):
            shown = shorten(ascii(host), 80)
            raise _refused(
                f"the Host is {shown}, not this machine's localhost", "set LIKES_API_KEYS to be reached under it"
            )


def _refused(why: str, way_out: str) -> Problem:
    return Problem(HTTPStatus.FORBIDDEN, "forbidden", f"this server asks for no key, and {why}; {way_out}")
