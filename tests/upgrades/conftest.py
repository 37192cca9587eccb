"""This version and the one before it, on the same servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from likes.sql.urls import url_of
from tests.rig import Rig
from tests.shell import Shell
from tests.upgrades.previous import NoHistoryError, Previous, unpack

SHARDS = 2


@pytest.fixture(scope="session")
def previous_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the version before; a checkout without history has none."""
    try:
        return unpack(tmp_path_factory.mktemp("previous"))
    except NoHistoryError as missing:
        pytest.skip(str(missing))


@pytest.fixture
def rig(valkey_url: str, engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, engine, shards=SHARDS) as rig:
        yield rig


@pytest.fixture
def new(rig: Rig, tmp_path: Path) -> Shell:
    """The commands of this version."""
    places = {"redis_url": rig.places.redis, "database_url": url_of(rig.engine), "redis_name": "redis"}
    return Shell(tmp_path, **places, shards=SHARDS, interval=0.2, log_format="json")


@pytest.fixture
def old(previous_tree: Path, new: Shell) -> Previous:
    """The commands of the version before."""
    return Previous(previous_tree, new)
