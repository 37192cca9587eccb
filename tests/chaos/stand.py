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
from tests.servers import Server, valkey_as
from tests.shell import Shell

SHARDS = 4
LEASE_SECONDS = 1.0
# Clients see a table of nodes' own addresses: in front of a cluster there can be no passage.
WORKER_SETTINGS = {"interval": 0.3, "lease_seconds": LEASE_SECONDS, "redis_timeout": 3, "database_timeout": 5}


class Stand:
    """Servers for one round. `rig` looks at them directly, past the passages.

    database: the server, to be killed and started; None where it is a file.
    cluster: the Redis Cluster, else there is `redis`, one server.
    """

    def __init__(
        self,
        folder: Path,
        database_url: str,
        database: Server | None,
        cluster: Cluster | None = None,
    ) -> None:
        self.folder = folder
        self.database = database
        self.cluster = cluster
        self._opened = ExitStack()
        self._servers: list[BreakableRedis] = []
        self.redis = None if cluster else self.new_redis()
        redis_url = cluster.url if cluster else self.redis.url
        self.to_redis_for_clients = self._passage(redis_url)
        self.to_redis_for_workers = self._passage(redis_url)
        self.to_database = self._passage(database_url) if database else None
        self.database_url = database_url
        self.engine: Engine = open_engine(database_url, timeout=30)
        self._opened.callback(self.engine.dispose)
        self.rig = self._opened.enter_context(Rig(redis_url, self.engine, shards=SHARDS))
        self.shell = self._shell()

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
        self.redis = server
        self.to_redis_for_clients.lead_to(server.url)
        self.to_redis_for_workers.lead_to(server.url)
        self.rig = self._opened.enter_context(Rig(server.url, self.engine, shards=SHARDS))

    def passage_to(self, server: Server) -> Passage:
        """One more, to be used as a block."""
        return Passage(server.url)

    def readings(self, began: float, ended: float) -> list[tuple[float, float]]:
        """What Redis's clock may have shown between two moments of ours."""
        clocks = [server.clock for server in self._servers]
        return [reading for clock in clocks for reading in clock.readings(began, ended)] or [(began, ended)]

    @property
    def passages(self) -> list[Passage]:
        """All there are."""
        all_of_them = (self.to_redis_for_clients, self.to_redis_for_workers, self.to_database)
        return [passage for passage in all_of_them if passage]

    @property
    def places(self) -> dict[str, Any]:
        """Where clients find all of it."""
        return {
            "redis_url": self.cluster.url if self.cluster else self.to_redis_for_clients.url,
            "database_url": self.to_database.url if self.to_database else self.database_url,
            "shards": SHARDS,
        }

    def _passage(self, url: str) -> Passage | None:
        return None if "cluster" in url else self._opened.enter_context(Passage(url))

    def _shell(self) -> Shell:
        redis_url = self.cluster.url if self.cluster else self.to_redis_for_workers.url
        places = {**self.places, "redis_url": redis_url, "redis_name": "redis"}
        return Shell(self.folder, **places, **WORKER_SETTINGS, batch_items=20)
