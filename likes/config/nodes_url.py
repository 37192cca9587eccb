"""URLs that name several servers: nodes of a Redis Cluster, or Sentinels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote

IN_PASSWORDS = "in a password, / is written %2F, # %23, ? %3F and an at-sign %40"

_URL = re.compile(r"(rediss?)\+(cluster|sentinel)://([^/?#]*)(/[^?#]*)?(?:\?([^#]*))?", re.DOTALL)
_NODE = re.compile(r"(?:\[([^]]+)]|([^]\[:]*))(?::(\d{1,5}))?")

Address = tuple[str, int]


class NodesUrl(NamedTuple):
    """scheme: that of each of them, redis or rediss. credentials: as they stand before the hosts, with the @.

    nodes: host, without the brackets of IPv6, and port. path: without slashes around it.
    """

    scheme: str
    credentials: str
    nodes: Sequence[Address]
    path: str
    query: str


def has_kind(url: str, kind: str) -> bool:
    """True for a URL that begins as those of this kind do: cluster or sentinel."""
    return url.partition("://")[0] in (f"redis+{kind}", f"rediss+{kind}")


def read_nodes_url(url: str, *, allowed: str, port: int) -> NodesUrl:
    """Its parts; raises ValueError for a URL that leads nowhere. port: of a node that has none."""
    parts = _URL.fullmatch(url)
    credentials, at, nodes = parts[3].rpartition("@") if parts else ("", "", "")
    found = [_NODE.fullmatch(node) for node in nodes.split(",")]
    if not parts or not nodes or not all(node and node[0] and 1 <= int(node[3] or port) <= 65535 for node in found):
        raise ValueError(f"it does not parse; allowed: {allowed}, PORT from 1 to 65535; {IN_PASSWORDS}")
    each = [(unquote(node[1] or node[2] or "localhost").lower(), int(node[3] or port)) for node in found if node]
    return NodesUrl(parts[1], credentials + at, each, (parts[4] or "").strip("/"), parts[5] or "")


def written(node: Address) -> str:
    """An address as URLs have it."""
    host, port = node
    return f"{f'[{host}]' if ':' in host else host}:{port}"


def sorted_nodes(nodes: Sequence[Address]) -> str:
    """Nodes in one order, however the URL has them."""
    return ",".join(sorted(map(written, set(nodes))))
