"""`likes serve` on servers of each test's own; or one shared by a file's tests, where more would only take time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running_api import RunningApi
from tests.servers import Server
from tests.shell import Shell


@pytest.fixture
def likes(tmp_path: Path, valkey_url: str, sqlite_url: str, sqlite_template: Path) -> Shell:
    """Commands on an empty Redis and a migrated SQLite of the test's own."""
    shutil.copy(sqlite_template, tmp_path)
    return Shell(tmp_path, redis_url=valkey_url, database_url=sqlite_url)


@pytest.fixture
def api(likes: Shell) -> Iterator[RunningApi]:
    """`likes serve` there."""
    with RunningApi(likes) as api:
        yield api


@pytest.fixture(scope="module")
def shared_shell(tmp_path_factory: pytest.TempPathFactory, valkey_server: Server, sqlite_template: Path) -> Shell:
    """Commands on the servers of `shared_api`; its keys have a prefix of the file's own."""
    folder = tmp_path_factory.mktemp("api")
    database = shutil.copy(sqlite_template, folder)
    return Shell(folder, redis_url=valkey_server.url, database_url=f"sqlite:///{database}", prefix=folder.name)


@pytest.fixture(scope="module")
def shared_api(shared_shell: Shell) -> Iterator[RunningApi]:
    """`likes serve` without keys, on a Redis and a database that only the tests of one file use."""
    with RunningApi(shared_shell) as api:
        yield api
