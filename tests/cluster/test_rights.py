"""docs/deploying.md: on a Redis Cluster each user needs two rights more, and no others, also to wait for replicas."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from likes import LikeCounter, LikesError
from likes.sql.urls import url_of
from tests.clusters import Cluster, slot_of_shard
from tests.docs.users import NAMES, rights_in_a_cluster, rights_to_wait, rules_of, url_for
from tests.docs.whole_way import go_the_whole_way
from tests.shell import Shell

ITEMS = {f"video:{number}": 1 for number in range(100)}
IN_VAIN = {"config|get", "likes-embedded:lineage"}  # what is asked for and gone without, as the page says


class Users:
    """The users on every node."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def have(self, more: Sequence[str], for_worker: Sequence[str] = ()) -> None:
        """Just what the page has for them, and this."""
        for node in self.cluster.nodes:
            for name in NAMES:
                node("ACL", "SETUSER", name, "reset", *rules_of(name), *more)
            node("ACL", "SETUSER", "likes_worker", *for_worker)
            node("ACL", "LOG", "RESET")

    def go(self) -> None:
        for node in self.cluster.nodes:
            node("ACL", "DELUSER", *NAMES)

    def denied(self) -> set[str]:
        """What was asked for and not allowed, anywhere."""
        entries: list[Any] = [entry for node in self.cluster.nodes for entry in node.client.acl_log()]
        return {entry["object"] for entry in entries}


@pytest.fixture
def users(cluster: Cluster) -> Iterator[Users]:
    users = Users(cluster)
    users.have(rights_in_a_cluster())
    yield users
    users.go()


@pytest.mark.parametrize("durability", ["none", "replicas:1"])
def test_they_are_enough_for_the_whole_way(
    cluster: Cluster, users: Users, sqlite_engine: Engine, tmp_path: Path, durability: str
) -> None:
    users.have(rights_in_a_cluster(), rights_to_wait().get(durability, []))
    likes = go_the_whole_way(
        lambda name: url_for(cluster.url, name), sqlite_engine, tmp_path, durability=durability, redis_timeout=30
    )
    assert users.denied() <= IN_VAIN
    assert likes("check").code == 0


def move(cluster: Cluster, shard: int, likes: LikeCounter) -> None:
    """Move all keys of a shard, and post while some are there already."""
    slot = slot_of_shard(shard)
    to = next(node for node in cluster.masters() if node is not cluster.owner(slot))
    source = cluster.open_slot(slot, to)
    while cluster.move_keys(slot, source, to):
        pass
    likes.add(ITEMS)
    cluster.close_slot(slot, to)


def test_they_are_enough_while_a_slot_moves(
    cluster: Cluster, users: Users, sqlite_engine: Engine, tmp_path: Path
) -> None:
    worker = url_for(cluster.url, "likes_worker")
    shell = Shell(tmp_path, redis_url=worker, database_url=url_of(sqlite_engine), shards=4, redis_timeout=30)
    with LikeCounter(redis_url=url_for(cluster.url, "likes_app"), shards=4, redis_timeout=30) as likes:
        likes.add(ITEMS)
        assert shell("flush", "--json").json["items"] == len(ITEMS)
        likes.add(ITEMS)
        move(cluster, 1, likes)
    assert shell("flush", "--json").json["items"] == len(ITEMS)
    assert shell("audit", "--json").json["ok"]
    assert users.denied() <= IN_VAIN


@pytest.mark.parametrize("right", rights_in_a_cluster())
def test_either_is_needed_and_named(cluster: Cluster, users: Users, right: str) -> None:
    name = right.removeprefix("+")
    users.have([other for other in rights_in_a_cluster() if other != right])
    with (
        LikeCounter(redis_url=url_for(cluster.url, "likes_app"), shards=4, redis_timeout=30) as likes,
        pytest.raises(LikesError, match=f"does not allow this: .*{re.escape(name)}"),
    ):
        likes.add(ITEMS)
        move(cluster, 1, likes)
    assert name in users.denied()


def test_a_check_names_them_and_the_node(cluster: Cluster, users: Users, sqlite_engine: Engine, tmp_path: Path) -> None:
    worker, node = url_for(cluster.url, "likes_worker"), cluster.nodes[1]
    shell = Shell(tmp_path, redis_url=worker, database_url=url_of(sqlite_engine))
    node("ACL", "SETUSER", "likes_worker", "-asking", "-scan")
    checked = shell("check", "--json")
    assert checked.code == 1
    (error,) = [each for each in checked.json["findings"] if each["level"] == "error"]
    assert error["name"] == "permission"
    assert error["found"].startswith(f"refused: SCAN, ASKING (Redis at {node.address} does not allow this: ")
    assert error["fix"] == "redis-cli ACL SETUSER likes_worker ~{likes:* +scan +asking"
    node("ACL", "SETUSER", "likes_worker", "+asking", "+scan")
    assert shell("check").code == 0
