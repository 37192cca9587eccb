"""From the URL of a Redis to a link: to a single server, to the nodes of a cluster, or to the master of Sentinels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from urllib.parse import unquote, urlsplit

from likes.buffer.encryption import named
from likes.buffer.links import connections
from likes.buffer.links.blocking import BlockingLink
from likes.buffer.links.connections import Connect
from likes.buffer.links.event_loop import EventLoopLink
from likes.buffer.links.learned import Learned
from likes.buffer.links.link import AsyncLink, Link
from likes.buffer.links.loop_routed import LoopRoutedLink
from likes.buffer.links.rounds import Node
from likes.buffer.links.routed import RoutedLink
from likes.buffer.links.sentinels import SentinelNode, Sentinels
from likes.buffer.links.slots import Slots
from likes.config.cluster_url import ClusterUrl, is_cluster_url, read_cluster_url
from likes.config.sentinel_url import SentinelUrl, is_sentinel_url, read_sentinel_url

Opens = Callable[[str], Connect]  # from a URL to what makes connections


def open_link(url: str, timeout: float) -> Link:
    """A link that has not been used yet. timeout: for how many seconds an answer is waited for without a deadline."""
    if is_cluster_url(url):
        cluster = read_cluster_url(url)
        connect = partial(_to_node, connections.connect_to, cluster)
        return RoutedLink(connect, _slots(cluster), _shown_cluster(cluster), timeout)
    if is_sentinel_url(url):
        sentinel = read_sentinel_url(url)
        routes = _sentinels(sentinel)
        connect = partial(_to_master, connections.connect_to, connections.connect_to_master, sentinel, routes)
        return RoutedLink(connect, routes, _shown_master(sentinel), timeout)
    return BlockingLink(connections.connect_to(url), shown(url), timeout)


def open_async_link(url: str) -> AsyncLink:
    """The same for asyncio."""
    if is_cluster_url(url):
        cluster = read_cluster_url(url)
        connect = partial(_to_node, connections.connect_async_to, cluster)
        return LoopRoutedLink(connect, _slots(cluster), _shown_cluster(cluster))
    if is_sentinel_url(url):
        sentinel = read_sentinel_url(url)
        routes = _sentinels(sentinel)
        opens = connections.connect_async_to, connections.connect_async_to_master
        return LoopRoutedLink(partial(_to_master, *opens, sentinel, routes), routes, _shown_master(sentinel))
    return EventLoopLink(connections.connect_async_to(url), shown(url))


def open_sentinels(url: str, timeout: float) -> dict[tuple[str, int], Link]:
    """A link to each of the Sentinels in a URL, by its host and port."""
    sentinel = read_sentinel_url(url)
    links: dict[tuple[str, int], Link] = {}
    for node in _nodes(sentinel):
        connect = connections.connect_to(sentinel.url_of_sentinel(node.host, node.port))
        links[node.host, node.port] = BlockingLink(connect, node.where, timeout, Learned(greeted=True))
    return links


def shown(redis_url: str) -> str:
    """Where a single server is, for messages: never a password."""
    parts = urlsplit(redis_url)
    if parts.scheme == "unix":
        return named(unquote(parts.path), tls=False)
    return named(f"{parts.hostname or 'localhost'}:{parts.port or 6379}", tls=parts.scheme == "rediss")


def _to_node(connect: Opens, cluster: ClusterUrl, node: Node) -> Connect:
    return connect(cluster.url_of(node.host, node.port))


def _slots(cluster: ClusterUrl) -> Slots:
    tls = cluster.scheme == "rediss"
    return Slots([Node(*address, tls) for address in cluster.nodes], _shown_cluster(cluster))


def _shown_cluster(cluster: ClusterUrl) -> str:
    return f"the Redis Cluster at {cluster.address}"


def _to_master(to_sentinel: Opens, to_master: Opens, sentinel: SentinelUrl, routes: Sentinels, node: Node) -> Connect:
    if isinstance(node, SentinelNode):
        return to_sentinel(sentinel.url_of_sentinel(node.host, node.port))
    connect = to_master(sentinel.url_of(node.host, node.port))

    def vetted() -> object:
        routes.vet(node)
        return connect()

    return vetted


def _sentinels(sentinel: SentinelUrl) -> Sentinels:
    return Sentinels(_nodes(sentinel), sentinel.service, _shown_master(sentinel))


def _nodes(sentinel: SentinelUrl) -> list[SentinelNode]:
    tls = sentinel.scheme == "rediss"
    return [*dict.fromkeys(SentinelNode(*address, tls) for address in sentinel.nodes)]


def _shown_master(sentinel: SentinelUrl) -> str:
    return f"the Redis {sentinel.service} of the Sentinels at {sentinel.address}"
