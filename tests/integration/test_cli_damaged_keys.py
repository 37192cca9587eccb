"""The command with a key deleted or overwritten: what it says names the key and what to do, and is no traceback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import Engine

from likes.sql.urls import url_of
from tests.shell import Ran, Shell

COMMANDS = [["status"], ["status", "--json"], ["audit"], ["get", "a"], ["post", "a"], ["flush"]]
OUTSIDE = ("epoch", "epochs")
KEYS = (*OUTSIDE, "state", "pending", "in_flight", "producers", "delta:likes:a")


class Damaged:
    """A shard with something in the database and something pending."""

    def __init__(self, likes: Shell, admin: Any) -> None:
        self.likes = likes
        self.redis = admin
        assert [likes(*words).code for words in (["post", "a"], ["flush"], ["post", "a"])] == [0, 0, 0]
        self.epoch = admin.get("{likes:0}:epoch").decode()

    def key(self, name: str) -> str:
        return f"{{likes:0}}:{name}" if name in OUTSIDE else f"{{likes:0}}:{self.epoch}:{name}"

    def run_all(self) -> dict[str, Ran]:
        ran = {" ".join(words): self.likes(*words) for words in COMMANDS}
        for words, result in ran.items():
            assert result.code in (0, 1, 3), (words, result)
            assert "unexpected" not in result.err and "Traceback" not in result.err + result.out, (words, result)
        return ran


@pytest.fixture
def damaged(valkey_url: str, sqlite_engine: Engine, tmp_path: Path) -> Iterator[Damaged]:
    with redis.Redis.from_url(valkey_url) as admin:
        yield Damaged(Shell(tmp_path, redis_url=valkey_url, database_url=url_of(sqlite_engine), shards=1), admin)


@pytest.mark.parametrize("name", ["epoch", "state", "pending"])
def test_a_key_that_is_gone(damaged: Damaged, name: str) -> None:
    damaged.redis.delete(damaged.key(name))
    damaged.run_all()
    assert damaged.likes("flush").code == 0
    assert damaged.likes("audit").code == 0


@pytest.mark.parametrize("name", KEYS)
def test_a_key_of_another_type(damaged: Damaged, name: str) -> None:
    key = damaged.key(name)
    was = damaged.redis.type(key)
    damaged.redis.delete(key)
    if was == b"string":
        damaged.redis.rpush(key, "a list")
    else:
        damaged.redis.set(key, "a text")
    ran = damaged.run_all()
    if not name.startswith("delta"):
        said = f"the key {key} holds another type than ours; delete it"
        assert said in ran["status"].out and said in ran["audit"].out
        assert any(said in problem for problem in ran["status --json"].json["problems"])
        assert said in ran["flush"].err
        assert damaged.redis.delete(key)  # as it says
    damaged.likes("flush")
    assert damaged.likes("flush").code == 0
    assert damaged.likes("audit").code == 0
    assert damaged.likes("status", "--json").json["problems"] == []


def test_the_rest_is_shown_beside_a_lease_of_another_type(damaged: Damaged) -> None:
    damaged.redis.rpush("{likes:0}:lease", "a list")
    shown = damaged.likes("status", "--json").json
    assert shown["pending_items"] == 1
    assert "the key {likes:0}:lease holds another type than ours; delete it" in shown["problems"][0]
    assert damaged.likes("flush", "--json").json["delta"] == 1
