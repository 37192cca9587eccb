"""URLs of a Redis Cluster: some of its nodes, which tell of the others, and how to log in to all of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import parse_qs, unquote

from likes.config.tls_options import check_tls_options
from likes.config.url_options import REDIS, REDISS, check_options

ALLOWED = "redis+cluster://HOST:PORT,HOST:PORT, or rediss+cluster:// (TLS)"

_URL = re.compile(r"(rediss?)\+cluster://([^/?#]*)(/[^?#]*)?(?:\?([^#]*))?", re.DOTALL)
_NODE = re.compile(r"(?:\[([^]]+)]|([^]\[:]*))(?::(\d{1,5}))?")


class ClusterUrl(NamedTuple):
    """nodes: host, without the brackets of IPv6, and port. credentials: as they stand before the hosts, with the @."""

    scheme: str
    credentials: str
    nodes: Sequence[tuple[str, int]]
    query: str

    @property
    def hosts(self) -> list[str]:
        """The host of each node."""
        return [host for host, _ in self.nodes]

    @property
    def address(self) -> str:
        """Its nodes in one order, however the URL has them."""
        return ",".join(sorted({_shown(host, port) for host, port in self.nodes}))

    def url_of(self, host: str, port: int) -> str:
        """The URL of one node."""
        return f"{self.scheme}://{self.credentials}{_shown(host, port)}{self.query and f'?{self.query}'}"


def is_cluster_url(url: str) -> bool:
    """True for one that begins as these do."""
    return url.partition("://")[0] in ("redis+cluster", "rediss+cluster")


def read_cluster_url(url: str) -> ClusterUrl:
    """Its parts; raises ValueError for a URL that leads nowhere."""
    parts = _URL.fullmatch(url)
    credentials, at, nodes = parts[2].rpartition("@") if parts else ("", "", "")
    found = [_NODE.fullmatch(node) for node in nodes.split(",")]
    if not parts or not nodes or not all(node and node[0] and 1 <= int(node[3] or 6379) <= 65535 for node in found):
        raise ValueError(
            f"it does not parse; allowed: {ALLOWED}, PORT from 1 to 65535; "
            "in a password, / is written %2F, # %23, ? %3F and an at-sign %40"
        )
    each = [(unquote(node[1] or node[2] or "localhost").lower(), int(node[3] or 6379)) for node in found if node]
    return ClusterUrl(parts[1], credentials + at, each, parts[4] or "")


def check_cluster_url(url: str) -> None:
    """Raise ValueError, saying what is allowed, for one that cannot be connected to."""
    cluster = read_cluster_url(url)
    path = (_URL.fullmatch(url) or [""] * 4)[3] or ""
    if {path.strip("/") or "0", *parse_qs(cluster.query).get("db", [])} != {"0"}:
        raise ValueError("it names a database; a Redis Cluster has just number 0, so leave that out")
    check_options(cluster.query, REDISS if cluster.scheme == "rediss" else REDIS)
    if cluster.scheme == "rediss":
        check_tls_options(cluster.query)


def _shown(host: str, port: int) -> str:
    return f"{f'[{host}]' if ':' in host else host}:{port}"
