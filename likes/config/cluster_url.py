"""URLs of a Redis Cluster: some of its nodes, which tell of the others, and how to log in to all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import parse_qs

from likes.config.nodes_url import Address, has_kind, read_nodes_url, sorted_nodes, written
from likes.config.tls_options import check_tls_options
from likes.config.url_options import REDIS, REDISS, check_options

ALLOWED = "redis+cluster://HOST:PORT,HOST:PORT, or rediss+cluster:// (TLS)"


class ClusterUrl(NamedTuple):
    """nodes: host, without the brackets of IPv6, and port. credentials: as they stand before the hosts, with the @."""

    scheme: str
    credentials: str
    nodes: Sequence[Address]
    query: str

    @property
    def hosts(self) -> list[str]:
        """The host of each node."""
        return [host for host, _ in self.nodes]

    @property
    def address(self) -> str:
        """Its nodes in one order, however the URL has them."""
        return sorted_nodes(self.nodes)

    def url_of(self, host: str, port: int) -> str:
        """The URL of one node."""
        return f"{self.scheme}://{self.credentials}{written((host, port))}{self.query and f'?{self.query}'}"


def is_cluster_url(url: str) -> bool:
    """True for one that begins as these do."""
    return has_kind(url, "cluster")


def read_cluster_url(url: str) -> ClusterUrl:
    """Its parts; raises ValueError for a URL that leads nowhere."""
    parts = read_nodes_url(url, allowed=ALLOWED, port=6379)
    return ClusterUrl(parts.scheme, parts.credentials, parts.nodes, parts.query)


def check_cluster_url(url: str) -> None:
    """Raise ValueError, saying what is allowed, for one that cannot be connected to."""
    parts = read_nodes_url(url, allowed=ALLOWED, port=6379)
    if {parts.path or "0", *parse_qs(parts.query).get("db", [])} != {"0"}:
        raise ValueError("it names a database; a Redis Cluster has just number 0, so leave that out")
    check_options(parts.query, REDISS if parts.scheme == "rediss" else REDIS)
    if parts.scheme == "rediss":
        check_tls_options(parts.query)
