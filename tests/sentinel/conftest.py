"""One master with replicas and Sentinels for all tests here; each finds them whole and without keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.conftest import DECLARED_KEYS
from tests.rig import Rig
from tests.running_servers import running
from tests.sentinels import Watched


@pytest.fixture(scope="session")
def session_watched() -> Iterator[Watched]:
    """A master with two replicas, and three Sentinels."""
    with running(Watched) as watched:
        yield watched


@pytest.fixture
def watched(session_watched: Watched) -> Iterator[Watched]:
    """The same, whole and without keys."""
    session_watched.mend()
    yield session_watched
    session_watched.mend(forget=False)
    master = session_watched.master()
    undeclared = [key for key in master.client.scan_iter(count=1000) if not DECLARED_KEYS.fullmatch(key)]
    master.client.flushall()
    assert not undeclared, f"keys that design 3 does not list: {undeclared[:5]}"


@pytest.fixture
def new_rig(watched: Watched, sqlite_engine) -> Iterator[Callable[..., Rig]]:
    """Makes a rig on the master."""
    rigs: list[Rig] = []

    def make(**options) -> Rig:
        rigs.append(Rig(watched.url, sqlite_engine, **options))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.__exit__()
