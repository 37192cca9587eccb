"""An API shared by the tests of a file, where starting one for each would only take time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running_api import RunningApi
from tests.servers import Server
from tests.shell import Shell


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
