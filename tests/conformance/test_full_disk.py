"""The disk of the database is full: likes go on, a flush says so and loses nothing, and goes on once there is room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine

from likes.errors import DatabaseUnavailable
from likes.sql.engine import open_engine
from likes.sql.schema import migrate
from tests.rig import Rig
from tests.running_worker import RunningWorker
from tests.servers import MariaDB, PostgreSQL
from tests.shell import Shell
from tests.waiting import wait_until

NAME = "on_a_small_disk"
FEW = {f"video:{number}": 1 for number in range(100)}
MANY = {f"video:{number:0>200}": number % 7 + 1 for number in range(10_000)}  # some megabytes


class SmallDisk:
    """A file system of 32 MiB in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        with suppress(OSError), self._filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def make_room(self) -> None:
        self._filler.unlink()


@contextmanager
def mounted(folder: Path) -> Iterator[SmallDisk]:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    folder.mkdir(exist_ok=True)
    mounting = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)]
    if subprocess.run(mounting, check=False, capture_output=True).returncode:
        pytest.skip("this machine mounts no file system")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


# Where the totals of each kind of database are put on one: the engine, and the disk.

Site = tuple[Engine, SmallDisk]


@contextmanager
def migrated(url: str) -> Iterator[Engine]:
    engine = open_engine(url, timeout=10)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Site]:
    with mounted(tmp_path / NAME) as disk, migrated(f"sqlite:///{disk.folder / 'likes.db'}") as engine:
        yield engine, disk


@pytest.fixture
def postgres(own_postgres: PostgreSQL) -> Iterator[Site]:
    with mounted(own_postgres.folder / NAME) as disk:
        own_postgres.give(disk.folder)
        with migrated(own_postgres.create(NAME)) as engine:
            with psycopg.connect(own_postgres.url_of(NAME), autocommit=True) as connection:
                connection.execute(f"CREATE TABLESPACE small LOCATION '{disk.folder}'")
                connection.execute("ALTER TABLE likes_totals SET TABLESPACE small")
            yield engine, disk
        own_postgres.stop()


@pytest.fixture
def mariadb(mariadb_server: MariaDB) -> Iterator[Site]:
    url = mariadb_server.create(NAME)
    try:
        with mounted(mariadb_server.data / NAME) as disk, migrated(url) as engine:
            yield engine, disk
    finally:
        mariadb_server.drop(NAME)


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def site(request: pytest.FixtureRequest) -> Site:
    found: Site = request.getfixturevalue(request.param)
    return found


def test_a_full_disk_loses_nothing_and_sets_nothing_aside(site: Site, valkey_url: str, tmp_path: Path) -> None:
    engine, disk = site
    with Rig(valkey_url, engine, shards=2, batch_items=250) as rig:
        rig.likes.add(FEW)
        rig.flush()
        disk.fill()
        rig.likes.add(MANY)
        with pytest.raises(DatabaseUnavailable, match=r"full|No space left"):
            rig.flush()
        shell = Shell(
            tmp_path, redis_url=valkey_url, redis_name="redis", database_url=str(rig.places.database), shards=2
        )
        with RunningWorker(shell, interval=1) as worker:
            assert "goes on trying" in worker.wait_for("trouble")["message"]
            rig.likes.add(FEW)
            disk.make_room()
            wait_until(lambda: rig.totals() == {**dict.fromkeys(FEW, 2), **MANY}, timeout=60)
            assert worker.stop() == 0
        assert (rig.dead_letters(), rig.kinds()) == ([], [])
        assert shell("audit", "--json").json["ok"]
