"""One Redis Cluster for all tests here; each finds it whole and empty, however the one before left it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.clusters import Cluster
from tests.conftest import DECLARED_KEYS
from tests.rig import Rig
from tests.running_servers import running
from tests.servers import valkey


@pytest.fixture(scope="session")
def session_cluster() -> Iterator[Cluster]:
    """Three masters with a replica each."""
    with running(lambda: Cluster(valkey)) as cluster:
        yield cluster


@pytest.fixture
def cluster(session_cluster: Cluster) -> Iterator[Cluster]:
    """The same, whole and empty."""
    session_cluster.mend()
    session_cluster.flush()
    yield session_cluster
    session_cluster.mend()
    undeclared = [key for key in session_cluster.all_keys() if not DECLARED_KEYS.fullmatch(key)]
    session_cluster.flush()
    assert not undeclared, f"keys that design 3 does not list: {undeclared[:5]}"


@pytest.fixture
def new_rig(cluster: Cluster, sqlite_engine) -> Iterator[Callable[..., Rig]]:
    """Makes a rig on the cluster."""
    rigs: list[Rig] = []

    def make(**options) -> Rig:
        rigs.append(Rig(cluster.url, sqlite_engine, **options))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.__exit__()
