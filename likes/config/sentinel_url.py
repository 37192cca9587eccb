"""URLs of a master that Sentinels watch: all of these, what they call it, and how to log in to it and to them.

What stands before the hosts, `db`, `username` and `password` are for the server, as in the URL of a single one;
`sentinel_username` and `sentinel_password` are for the Sentinels, which are told nothing else. The options of TLS are
for both.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlencode

from likes.config.nodes_url import Address, has_kind, read_nodes_url, sorted_nodes, written
from likes.config.tls_options import check_tls_options
from likes.config.url_options import OF_SENTINELS, REDIS, REDISS, check_options

ALLOWED = "redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB, or rediss+sentinel:// (TLS)"
_PATH = re.compile(r"([^/]+)(?:/([0-9]{1,5}))?")
_SERVICE = re.compile(r"[^\x00-\x20\x7f]{1,200}")


class SentinelUrl(NamedTuple):
    """nodes: all Sentinels, host, without the brackets of IPv6, and port. service: what they call the master.

    database: its number. credentials: for the server, as they stand before the hosts, with the @.
    """

    scheme: str
    credentials: str
    nodes: Sequence[Address]
    service: str
    database: int
    query: str

    @property
    def hosts(self) -> list[str]:
        """The host of each Sentinel."""
        return [host for host, _ in self.nodes]

    @property
    def name(self) -> str:
        """What the Sentinels call the master, and the database there."""
        return f"{self.service}/{self.database}"

    @property
    def user_of_sentinels(self) -> str:
        """The user that the Sentinels are told."""
        return parse_qs(self.query).get("sentinel_username", ["default"])[0]

    @property
    def address(self) -> str:
        """The Sentinels in one order, however the URL has them."""
        return sorted_nodes(self.nodes)

    def url_of(self, host: str, port: int) -> str:
        """The URL of a server that may be the master."""
        options = [(name, value) for name, value in parse_qsl(self.query) if name not in (*OF_SENTINELS, "db")]
        return self._url(self.credentials, (host, port), f"/{self.database}", options)

    def url_of_sentinel(self, host: str, port: int) -> str:
        """The URL of one of the Sentinels."""
        mine = {name: name.removeprefix("sentinel_") for name in OF_SENTINELS}
        options = [(mine.get(name, name), value) for name, value in parse_qsl(self.query) if name not in REDIS]
        return self._url("", (host, port), "", options)

    def with_nodes(self, nodes: Sequence[Address]) -> str:
        """The same URL with other Sentinels."""
        hosts = ",".join(map(written, nodes))
        path = f"{quote(self.service, safe='')}/{self.database}"
        return f"{self.scheme}+sentinel://{self.credentials}{hosts}/{path}{self.query and f'?{self.query}'}"

    def _url(self, credentials: str, node: Address, path: str, options: list[tuple[str, str]]) -> str:
        query = f"?{urlencode(options)}" if options else ""
        return f"{self.scheme}://{credentials}{written(node)}{path}{query}"


def is_sentinel_url(url: str) -> bool:
    """True for one that begins as these do."""
    return has_kind(url, "sentinel")


def read_sentinel_url(url: str) -> SentinelUrl:
    """Its parts; raises ValueError for a URL that leads nowhere."""
    parts = read_nodes_url(url, allowed=ALLOWED, port=26379)
    path = _PATH.fullmatch(parts.path)
    service = unquote(path[1]) if path else ""
    if not path or not _SERVICE.fullmatch(service):
        raise ValueError(f"it does not say what the Sentinels call the master, and which database; allowed: {ALLOWED}")
    database = parse_qs(parts.query).get("db", [path[2] or "0"])[0]
    if not re.fullmatch(r"[0-9]{1,5}", database):
        raise ValueError("the database is no number; allowed: 0, 1, 2 …")
    return SentinelUrl(parts.scheme, parts.credentials, parts.nodes, service, int(database), parts.query)


def check_sentinel_url(url: str) -> None:
    """Raise ValueError, saying what is allowed, for one that cannot be connected to."""
    sentinel = read_sentinel_url(url)
    check_options(sentinel.query, {**(REDISS if sentinel.scheme == "rediss" else REDIS), **OF_SENTINELS})
    if sentinel.scheme == "rediss":
        check_tls_options(sentinel.query)
