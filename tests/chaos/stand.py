"""The servers of one round, as they are when nothing is broken: Redis, a database, and passages in front of them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine

from likes.sql.engine import open_engine
from tests.chaos.breakable import BreakableRedis
from tests.chaos.passage import Passage
from tests.clusters import Cluster
from tests.rig import Rig
from tests.servers import RedisServer, Server, valkey_as
from tests.shell import Shell

SHARDS = 4
LEASE_SECONDS = 1.0
WORKER_SETTINGS = {"interval": 0.3, "lease_seconds": LEASE_SECONDS, "redis_timeout": 3, "database_timeout": 5}


class Stand:
    """Servers for one round. `rig` looks at them directly, past the passages.

    kind: a Redis Cluster, or one server, which may be killed, and with which database; see `Site`.
    """

    def __init__(self, folder: Path, database_url: str, database: Server | None, cluster: Cluster | None) -> None:
        self.folder = folder
        self.database_url = database_url
        self._database = database
        self._cluster = cluster
        self._opened = ExitStack()
        self._servers: list[BreakableRedis] = []
        self._redis = None if cluster else self.new_redis()
        redis_url = cluster.url if cluster else self.redis.url
        self._to_redis = [] if cluster else [self._passage(redis_url) for _ in range(2)]
        self._to_database = [self._passage(database_url)] if database else []
        self.engine: Engine = open_engine(database_url, timeout=30)
        self._opened.callback(self.engine.dispose)
        self.rig = self._opened.enter_context(Rig(redis_url, self.engine, shards=SHARDS))
        self.shell = Shell(self.folder, **self.worker_places, **WORKER_SETTINGS, batch_items=20)

    @property
    def redis(self) -> BreakableRedis:
        """The one server."""
        assert self._redis, "it is a cluster"
        return self._redis

    @property
    def cluster(self) -> Cluster:
        """The cluster."""
        assert self._cluster, "it is one server"
        return self._cluster

    @property
    def database(self) -> Server:
        """The database's server."""
        assert self._database, "it is a file"
        return self._database

    @property
    def to_redis_for_clients(self) -> Passage:
        """The way of those who like and read."""
        return self._to_redis[0]

    @property
    def to_redis_for_workers(self) -> Passage:
        """The way of those who flush."""
        return self._to_redis[1]

    @property
    def to_database(self) -> Passage:
        """The way of everybody."""
        return self._to_database[0]

    @property
    def passages(self) -> list[Passage]:
        """All there are: a cluster tells clients its nodes' own addresses, so there is none to it."""
        return [*self._to_redis, *self._to_database]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def new_redis(self) -> BreakableRedis:
        """Another server, gone with the stand."""
        server = valkey_as(BreakableRedis)
        self._opened.callback(server.remove)
        self._servers.append(server)
        server.start()
        return server

    def lead_to(self, server: BreakableRedis) -> None:
        """Everybody finds this server under Redis's address from now on; the rig, too."""
        self._redis = server
        self.to_redis_for_clients.lead_to(server.url)
        self.to_redis_for_workers.lead_to(server.url)
        self.rig = self._opened.enter_context(Rig(server.url, self.engine, shards=SHARDS))

    def passage_to(self, server: RedisServer) -> Passage:
        """One more, to be used as a block."""
        return Passage(server.url)

    def readings(self, began: float, ended: float) -> list[tuple[float, float]]:
        """What Redis's clock may have shown between two moments of ours."""
        clocks = [server.clock for server in self._servers]
        return [reading for clock in clocks for reading in clock.readings(began, ended)] or [(began, ended)]

    @property
    def places(self) -> dict[str, Any]:
        """Where clients find all of it."""
        return {
            "redis_url": self._cluster.url if self._cluster else self.to_redis_for_clients.url,
            "database_url": self.to_database.url if self._database else self.database_url,
            "shards": SHARDS,
        }

    @property
    def worker_places(self) -> dict[str, Any]:
        """Where workers do."""
        redis_url = self._cluster.url if self._cluster else self.to_redis_for_workers.url
        return {**self.places, "redis_url": redis_url, "redis_name": "redis"}

    def _passage(self, url: str) -> Passage:
        return self._opened.enter_context(Passage(url))
