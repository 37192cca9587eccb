"""What a link to a cluster promises: its nodes work side by side, and what one does not answer is no other's reply."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.crc import key_slot

from likes.buffer.calls import Call, command
from likes.buffer.links.loop_routed import LoopRoutedLink
from likes.buffer.links.rounds import Node
from likes.buffer.links.routed import RoutedLink
from likes.buffer.links.slots import Slots
from likes.buffer.refusals import Unanswered
from likes.deadline import Deadline
from tests.clusters import Cluster
from tests.servers import valkey


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Three masters without replicas: whoever is frozen stays master."""
    cluster = Cluster(valkey, 3, replicas=False)
    try:
        yield cluster.start()
    finally:
        cluster.remove()


def calls_of(cluster: Cluster) -> list[Call[Any]]:
    """A call for each node; each is answered with what stands at its key."""
    keys: dict[int, bytes] = {}
    for number in range(100):
        key = b"{likes:%d}:x" % number
        keys.setdefault(cluster.owner(key_slot(key)).server.port, key)
    for node in cluster.nodes:
        node("SET", keys[node.server.port], node.server.port)
    return [command("GET", key, shard=0) for key in keys.values()]


def slots(cluster: Cluster) -> Slots:
    return Slots([Node("127.0.0.1", node.server.port) for node in cluster.nodes], "here")


def send(cluster: Cluster, calls: Sequence[Call[Any]], log: list[str]) -> list[Any]:
    class Watched(redis.Connection):
        def send_packed_command(self, command: Any, check_health: bool = True) -> None:
            log.append("wrote")
            super().send_packed_command(command, check_health)

        def read_response(self, *arguments: Any, **options: Any) -> Any:
            reply = super().read_response(*arguments, **options)
            log.append("heard")
            return reply

    with closing(RoutedLink(lambda node: partial(Watched, port=node.port), slots(cluster), "here", 5)) as link:
        link.send(calls)  # opens the connections, which takes requests of its own
        log.clear()
        return link.send(calls)


def send_async(cluster: Cluster, calls: Sequence[Call[Any]], log: list[str]) -> list[Any]:
    class Watched(redis.asyncio.Connection):
        async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
            log.append("wrote")
            await super().send_packed_command(command, check_health)

        async def read_response(self, *arguments: Any, **options: Any) -> Any:
            reply = await super().read_response(*arguments, **options)
            log.append("heard")
            return reply

    async def work() -> list[Any]:
        link = LoopRoutedLink(lambda node: partial(Watched, port=node.port), slots(cluster), "here")
        await link.send(calls, Deadline(5))
        log.clear()
        replies = await link.send(calls, Deadline(5))
        await link.close()
        return replies

    return asyncio.run(work())


@pytest.mark.parametrize("send", [send, send_async])
def test_all_nodes_are_written_to_before_the_first_is_waited_for(cluster: Cluster, send: Any) -> None:
    log: list[str] = []
    replies = send(cluster, calls_of(cluster), log)
    assert sorted(map(int, replies)) == sorted(node.server.port for node in cluster.nodes)
    assert log == ["wrote"] * 3 + ["heard"] * 3


def test_what_a_frozen_node_does_not_answer_takes_nothing_from_the_others(cluster: Cluster) -> None:
    calls = calls_of(cluster)
    expected = [b"%d" % cluster.owner(key_slot(call.words[1])).server.port for call in calls]
    frozen = cluster.nodes[1]
    position = expected.index(b"%d" % frozen.server.port)

    def connect(node: Node) -> Any:
        return partial(redis.Connection, port=node.port, protocol=2)

    with closing(RoutedLink(connect, slots(cluster), "here", 30)) as link:
        assert link.send(calls) == expected
        frozen.server.pause()
        replies = link.send(calls, Deadline(1))
        frozen.server.resume()
        assert isinstance(replies.pop(position), Unanswered)
        assert replies == [each for i, each in enumerate(expected) if i != position]
        assert link.send(calls) == expected
