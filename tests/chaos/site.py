"""Where stands are put up: servers that several rounds use in turn are started when first asked for."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Self

from sqlalchemy import text

from likes.sql.engine import open_engine, reading
from likes.sql.schema import migrate
from tests.chaos.stand import Stand
from tests.clusters import Cluster
from tests.databases import Shelf
from tests.servers import MariaDB, PostgreSQL, valkey


class Site:
    """Lends stands of each kind; `folder` is where they keep their files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.versions = {"python": platform.python_version()}
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @contextmanager
    def stand(self, kind: str, name: str) -> Iterator[Stand]:
        """One for a round: `postgresql`, `mariadb`, `sqlite`, or `cluster`, which has PostgreSQL, too."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)  # of a campaign before
        folder.mkdir(parents=True)
        with ExitStack() as lent:
            cluster = lent.enter_context(self._whole_cluster()) if kind == "cluster" else None
            if kind == "sqlite":
                stand = Stand(folder, self._new_file(folder), None, cluster)
            else:
                server, shelf = self._mariadb if kind == "mariadb" else self._postgresql
                url = lent.enter_context(shelf.lent())
                lent.callback(lambda: server.is_running or server.start())  # before the shelf takes it back
                stand = Stand(folder, url, server, cluster)
            with stand:
                self._note_versions(kind, stand)
                yield stand

    @cached_property
    def _postgresql(self) -> tuple[PostgreSQL, Shelf]:
        server = PostgreSQL()
        self._opened.callback(server.remove)
        return server.start(), Shelf(server)

    @cached_property
    def _mariadb(self) -> tuple[MariaDB, Shelf]:
        server = MariaDB()
        self._opened.callback(server.remove)
        return server.start(), Shelf(server)

    @cached_property
    def _cluster(self) -> Cluster:
        cluster = Cluster(valkey)
        self._opened.callback(cluster.remove)
        return cluster.start()

    @contextmanager
    def _whole_cluster(self) -> Iterator[Cluster]:
        self._cluster.mend()
        self._cluster.flush()
        yield self._cluster

    @cached_property
    def _template(self) -> Path:
        path = self.folder / "likes.db"
        engine = open_engine(f"sqlite:///{path}", timeout=30)
        migrate(engine)
        engine.dispose()
        return path

    def _new_file(self, folder: Path) -> str:
        return f"sqlite:///{shutil.copy(self._template, folder)}"

    def _note_versions(self, kind: str, stand: Stand) -> None:
        if kind in self.versions:
            return
        if kind != "cluster":
            self.versions["valkey"] = stand.rig.redis.info("server")["valkey_version"]
        with reading(stand.engine) as connection:
            version = "sqlite_version()" if kind == "sqlite" else "version()"
            self.versions[kind] = str(connection.scalar(text(f"SELECT {version}"))).split(" on ")[0]
