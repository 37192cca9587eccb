"""From settings to servers: the one place that opens connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from likes.buffer.buffer import Buffer
from likes.buffer.encryption import named
from likes.buffer.links import connections
from likes.buffer.links.blocking import BlockingLink
from likes.buffer.links.cluster import ClusterLink
from likes.buffer.links.connections import Connect
from likes.buffer.links.event_loop import EventLoopLink
from likes.buffer.links.link import AsyncLink, Link
from likes.buffer.links.loop_cluster import LoopClusterLink
from likes.buffer.links.routes import Node
from likes.config.cluster_url import ClusterUrl, is_cluster_url, read_cluster_url
from likes.config.folder import default_folder, prepare
from likes.config.urls import address_of, name_of
from likes.errors import SchemaOutdated

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from likes.config.settings import Settings

DATABASE_FILE = "likes.db"


@dataclass(frozen=True, slots=True)
class Places:
    """Where Redis and the database are. Without a URL, the embedded one in `data_dir`. Time-outs are in seconds."""

    redis: str | None
    database: str | None
    data_dir: Path | None
    redis_timeout: float
    database_timeout: float
    name: str | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Places:
        """The places that settings name."""
        return cls(
            redis=settings.redis_url.get_secret_value() if settings.redis_url else None,
            database=settings.database_url.get_secret_value() if settings.database_url else None,
            data_dir=settings.data_dir,
            redis_timeout=settings.redis_timeout,
            database_timeout=settings.database_timeout,
            name=settings.redis_name,
        )

    def folder(self) -> Path:
        """The data folder, made if it is missing."""
        return prepare(self.data_dir or default_folder())

    def redis_url(self) -> str:
        """The URL of Redis; the embedded server is started where there is none."""
        if self.redis:
            return self.redis
        from likes import embedded

        return embedded.ensure_running(self.folder())

    def database_url(self) -> str:
        """The URL of the database; the embedded one where there is none."""
        return self.database or f"sqlite:///{self.folder() / DATABASE_FILE}"

    def redis_name(self) -> str:
        """What the database calls this Redis, so that it is not taken for another one."""
        if self.name or self.redis:
            return self.name or name_of(self.redis_url())
        from likes import embedded

        return f"embedded:{embedded.identity(self.folder())}"

    def former_redis_names(self) -> list[str]:
        """What earlier versions called it, unless it was given its name."""
        return [] if self.name else [address_of(self.redis_url())]

    def open_link(self) -> Link:
        """A link to Redis that has not been used yet."""
        url = self.redis_url()
        if is_cluster_url(url):
            cluster = read_cluster_url(url)
            connect = partial(_to_node, connections.connect_to, cluster)
            return ClusterLink(connect, _seeds(cluster), _shown_cluster(cluster), self.redis_timeout)
        return BlockingLink(connections.connect_to(url), shown(url), self.redis_timeout)

    @contextmanager
    def open_buffer(
        self, namespace: str, batch_items: int = 250, *, writes_through: bool = True, durability: str = "none"
    ) -> Iterator[Buffer]:
        """A worker's side of Redis, closed at the end of the block."""
        with closing(self.open_link()) as link:
            yield Buffer(
                link,
                self.open_link,
                namespace,
                batch_items,
                writes_through=writes_through,
                durability=durability,
                patience=self.redis_timeout / 2,  # else no answer would come in time
            )

    def open_async_link(self) -> AsyncLink:
        """A link to Redis for asyncio that has not been used yet."""
        url = self.redis_url()
        if is_cluster_url(url):
            cluster = read_cluster_url(url)
            connect = partial(_to_node, connections.connect_async_to, cluster)
            return LoopClusterLink(connect, _seeds(cluster), _shown_cluster(cluster))
        return EventLoopLink(connections.connect_async_to(url), shown(url))

    def open_database(self, pool_size: int = 5) -> Engine:
        """An engine for the database; the tables of the embedded one are made or updated first."""
        from likes.sql.engine import open_engine
        from likes.sql.schema import migrate, require_head

        engine = open_engine(self.database_url(), timeout=self.database_timeout, pool_size=pool_size)
        if self.database:
            return engine
        try:
            require_head(engine)
        except SchemaOutdated:
            migrate(engine)
        return engine

    def close_database(self, engine: Engine) -> None:
        """Close the connections of an engine that `open_database` returned."""
        engine.dispose()


def _to_node(connect: Callable[[str], Connect], cluster: ClusterUrl, node: Node) -> Connect:
    return connect(cluster.url_of(node.host, node.port))


def _seeds(cluster: ClusterUrl) -> list[Node]:
    return [Node(host, port, cluster.scheme == "rediss") for host, port in cluster.nodes]


def _shown_cluster(cluster: ClusterUrl) -> str:
    return f"the Redis Cluster at {cluster.address}"


def shown(redis_url: str) -> str:
    """Where Redis is, for messages: never a password."""
    parts = urlsplit(redis_url)
    if parts.scheme == "unix":
        return named(unquote(parts.path), tls=False)
    return named(f"{parts.hostname or 'localhost'}:{parts.port or 6379}", tls=parts.scheme == "rediss")
