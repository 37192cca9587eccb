"""How calls find their nodes in a cluster, played without one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

import pytest
from redis import exceptions as redis_errors
from redis.crc import key_slot

from likes.buffer.calls import Call, command
from likes.buffer.keys import shard_keys
from likes.buffer.links.delivery import deliver, find_owners
from likes.buffer.links.learned import ASKING
from likes.buffer.links.rounds import Node, Round, Wait
from likes.buffer.links.slots import SLOTS, Slots
from likes.buffer.refusals import Elsewhere, NotNow, NotSent, Unanswered
from likes.buffer.scripts import ADD, wait_for_replicas
from likes.deadline import Deadline
from likes.errors import LikesError, NoRedisCluster, RedisRefused

A, B, NEW = Node("a", 1), Node("b", 2), Node("new", 3)
HALF = 8192
TWO_HALVES = [[0, HALF - 1, [b"a", 1, b"id"]], [HALF, 16383, [b"b", 2, b"id"]]]

Reply = object
Answer = Callable[[Sequence[Call[Any]]], Sequence[Reply]]


def key_of(node: Node, number: int = 0) -> bytes:
    """A key of a slot that belongs to A or B at first."""
    keys = (b"{%d}" % n for n in range(10_000))
    return next(islice((key for key in keys if (key_slot(key) < HALF) == (node == A)), number, None))


def get(node: Node, number: int = 0) -> Call[Any]:
    return command("GET", key_of(node, number), shard=number)


def moved(to: Node, slot: int = 0) -> Elsewhere:
    return Elsewhere("Redis at here:1", redis_errors.MovedError(f"{slot} {to.host}:{to.port}"))


def ask(to: Node, slot: int = 0) -> Elsewhere:
    return Elsewhere("Redis at here:1", redis_errors.AskError(f"{slot} {to.host}:{to.port}"))


class Nodes:
    """Plays the nodes: each answers round after round what is written for it; then each call with its node's name."""

    def __init__(self, slots: Any = TWO_HALVES) -> None:
        self.slots: list[Any] = [slots]  # the last one goes on
        self.script: dict[Node, list[Sequence[Reply]]] = {}
        self.sent: list[dict[Node, list[Call[Any]]]] = []
        self.waits: list[float] = []
        self.asked: list[Node] = []

    def answer(self, need: Round | Wait) -> Any:
        if isinstance(need, Wait):
            self.waits.append(need.seconds)
            return None
        if [*need.legs[0].calls] == [SLOTS]:
            ((node, _),) = need.legs
            self.asked.append(node)
            told = self.slots.pop(0) if len(self.slots) > 1 else self.slots[0]
            return [[told[node] if isinstance(told, Mapping) else told]]
        self.sent.append({leg.node: list(leg.calls) for leg in need.legs})
        return [self._replies(leg.node, leg.calls) for leg in need.legs]

    def _replies(self, node: Node, calls: Sequence[Call[Any]]) -> Sequence[Reply]:
        if written := self.script.get(node):
            return written.pop(0)
        return [node.host for _ in calls]


def play(
    nodes: Nodes,
    calls: Sequence[Call[Any]],
    *,
    routes: Slots | None = None,
    patient: bool = True,
    hurried: bool = False,
    seconds: float = 5,
) -> list[Any]:
    deadline = Deadline(seconds, hurried=hurried)
    delivery = deliver(calls, routes or Slots([A], "the cluster"), deadline, patient=patient, where="the cluster")
    answer = None
    while True:
        try:
            need = delivery.send(answer)
        except StopIteration as end:
            replies: list[Any] = end.value
            return replies
        answer = nodes.answer(need)


def test_calls_go_to_their_nodes_in_one_round_and_those_of_a_shard_in_their_order() -> None:
    nodes, calls = Nodes(), [get(B), get(A), get(B, 1), get(A), command("PING"), get(B)]
    assert play(nodes, calls) == ["b", "a", "b", "a", "a", "b"]
    assert nodes.sent == [{A: [calls[1], calls[3], calls[4]], B: [calls[0], calls[2], calls[5]]}]
    assert nodes.asked == [A]


def test_what_is_known_is_not_asked_again() -> None:
    nodes, routes = Nodes(), Slots([A], "the cluster")
    play(nodes, [get(A)], routes=routes)
    play(nodes, [get(B)], routes=routes)
    assert nodes.asked == [A]


def test_a_moved_slot_is_followed_and_learnt_from_the_node_that_has_it_now() -> None:
    nodes, routes = Nodes(), Slots([A], "the cluster")
    nodes.slots.append([[0, 16383, [b"new", 3, b"id"]]])
    nodes.script[A] = [["first", moved(NEW), moved(NEW), "fourth"]]
    calls = [get(A), get(A, 1), get(A, 1), get(A)]
    assert play(nodes, calls, routes=routes) == ["first", "new", "new", "fourth"]
    assert nodes.sent == [{A: calls}, {NEW: calls[1:3]}]
    assert nodes.asked == [A, NEW]
    assert nodes.waits == []
    assert play(nodes, [get(B)], routes=routes) == ["new"]


def test_a_node_that_does_not_say_where_it_is_means_its_own_host() -> None:
    nodes = Nodes([[0, 16383, [b"", 1, b"id"]]])
    nodes.script[A] = [[Elsewhere("here", redis_errors.MovedError("0 :9"))]]
    assert play(nodes, [get(A)]) == ["a"]
    assert [*nodes.sent[1]] == [Node("a", 9)]


def test_an_asked_node_is_asked_for_this_very_call() -> None:
    nodes, routes = Nodes(), Slots([A], "the cluster")
    call = ADD.call(0, [key_of(A)], [], str)
    nodes.script = {A: [[ask(NEW), "stays"], ["back"]], NEW: [["OK", "added"]]}
    assert play(nodes, [call, get(A)], routes=routes) == ["added", "stays"]
    assert nodes.sent[1] == {NEW: [ASKING, call]}
    assert play(nodes, [get(A)], routes=routes) == ["back"]  # the slot is A's still
    assert nodes.asked == [A]


def test_where_a_call_vouches_for_others_nothing_is_sent_again() -> None:
    """What is sent later it would not have vouched for."""
    keys = next(keys for n in range(16) if key_slot((keys := shard_keys("likes", n)).owner) < HALF)
    witness, wait = get(A).on(A.where), wait_for_replicas(keys, 1, 100).on(A.where)
    nodes, undone = Nodes(), NotSent("not now")
    nodes.script[A] = [[undone, 1]]
    assert play(nodes, [witness, wait, get(B)]) == [undone, 1, "b"]
    assert len(nodes.sent) == 1


def test_what_is_on_two_nodes_is_sent_again_after_a_while_and_the_others_are_not() -> None:
    nodes, calls = Nodes(), [get(A), get(A, 1), get(A, 1)]
    nodes.script[A] = [["done", NotNow("two"), NotNow("two")], [NotNow("two"), "third"], ["second"]]
    assert play(nodes, calls) == ["done", "second", "third"]
    assert nodes.sent == [{A: calls}, {A: calls[1:]}, {A: [calls[1]]}]
    assert nodes.waits == sorted(nodes.waits)
    assert len(nodes.waits) == 2


def test_who_is_in_a_hurry_is_told_what_was_answered_and_waits_for_the_rest_alone() -> None:
    nodes, moving = Nodes(), NotNow("two")
    nodes.script[A] = [["done", moving], [moving], ["now"]]
    done, waits = play(nodes, [get(A), get(A, 1)], hurried=True)
    assert (done, type(waits)) == ("done", NotNow)
    assert nodes.waits == []
    assert play(nodes, [get(A, 1)], hurried=True) == ["now"]
    assert len(nodes.waits) == 1


def test_who_is_not_patient_does_not_wait_for_a_shard_that_moves() -> None:
    nodes = Nodes()
    nodes.script[A] = [["done", NotNow("two")]]
    done, moving = play(nodes, [get(A), get(A, 1)], patient=False)
    assert done == "done"
    assert type(moving) is NotNow
    assert str(moving) == "Redis at a:1 is just moving shard 1 to another node"
    assert nodes.waits == []


@pytest.mark.parametrize("patient", [True, False])
def test_after_a_failover_the_call_goes_to_the_new_master(patient: bool) -> None:
    nodes, routes = Nodes(), Slots([A], "the cluster")
    nodes.slots += [TWO_HALVES, [[0, 16383, [b"new", 3, b"id"], [b"a", 1, b"id"]]]]
    nodes.script[B] = [[NotSent("cannot be reached")], [NotSent("READONLY")]]
    assert play(nodes, [get(A), get(B)], routes=routes, patient=patient) == ["a", "new"]
    assert [[*each] for each in nodes.sent] == [[A, B], [B], [NEW]]
    assert nodes.asked == [A, A, A]
    assert len(nodes.waits) == 2


def test_who_did_not_answer_is_asked_last_and_what_was_sent_is_never_sent_again() -> None:
    nodes, routes = Nodes(), Slots([A], "the cluster")
    silent = Unanswered("timed out")
    nodes.script[A] = [[silent]]
    assert play(nodes, [get(A)], routes=routes) == [silent]
    assert len(nodes.sent) == 1
    play(nodes, [get(B)], routes=routes)
    assert nodes.asked == [A, B]


def test_another_node_is_asked_where_one_does_not_tell() -> None:
    nodes = Nodes({A: Unanswered("timed out"), B: [], NEW: TWO_HALVES})
    assert play(nodes, [get(A)], routes=Slots([A, B, NEW], "the cluster")) == ["a"]
    assert nodes.asked == [A, B, NEW]


def test_a_slot_on_no_node_is_waited_for_and_then_said_to_be_on_none() -> None:
    half = TWO_HALVES[:1]
    nodes = Nodes(half)
    nodes.slots += [half, TWO_HALVES]
    assert play(nodes, [get(A), get(B, 7)]) == ["a", "b"]
    nodes = Nodes(half)
    answered, homeless = play(nodes, [get(A), get(B, 7)], seconds=0.1)
    assert answered == "a"
    assert type(homeless) is NotSent
    assert str(homeless) == "the cluster: shard 7 is on no node now"
    assert len(nodes.sent) == 1


def test_where_nobody_tells_nothing_was_sent() -> None:
    nodes = Nodes(NotSent("Redis at a:1 cannot be reached: refused"))
    (reply,) = play(nodes, [get(A)], seconds=0.1)
    assert type(reply) is NotSent
    assert str(reply) == "the cluster: Redis at a:1 cannot be reached: refused"
    assert nodes.sent == []
    assert nodes.waits


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("ERR This instance has cluster support disabled", NoRedisCluster, "name redis://a:1/0"),
        ("ERR unknown command 'CLUSTER'", NoRedisCluster, "name redis://a:1/0"),
        ("NOPERM this user has no permissions", RedisRefused, "NOPERM"),
    ],
)
def test_what_waiting_does_not_cure_is_said_at_once(said: str, kind: type[LikesError], words: str) -> None:
    nodes = Nodes({A: RedisRefused(said), B: NotSent("away")})
    (reply,) = play(nodes, [get(A)], routes=Slots([B, A], "the cluster"))
    assert type(reply) is kind
    assert words in str(reply)
    assert nodes.waits == []


def test_a_call_that_is_sent_round_and_round_is_given_up_and_was_not_done() -> None:
    nodes = Nodes()
    nodes.script[A] = [[ask(B)]] * 1000
    nodes.script[B] = [["OK", moved(A)]] * 1000
    (reply,) = play(nodes, [get(A)], seconds=0.2)
    assert type(reply) is NotSent
    assert nodes.waits  # it does not spin


def test_what_is_for_one_node_alone_does_not_follow_its_slot() -> None:
    nodes, routes = Nodes(), Slots([A], "the cluster")
    pinned = get(A).on(A.where)
    for answer in (moved(B), ask(B)):
        nodes.script[A] = [[answer, "there"]]
        elsewhere, there = play(nodes, [pinned, get(A)], routes=routes)
        assert type(elsewhere) is NotNow
        assert there == "there"
    nodes.slots.append([[0, 16383, [b"b", 2, b"id"]]])
    routes.is_stale = True
    sent = len(nodes.sent)
    nodes.slots.pop(0)
    assert type(play(nodes, [pinned], routes=routes)[0]) is NotNow
    assert len(nodes.sent) == sent


def test_nonsense_about_slots_is_no_answer() -> None:
    nodes = Nodes({A: [[0], [1, 2], ["x", 3, [b"c", 1]], [0, 16383, [b"?", 0, b"id"]], 7], B: TWO_HALVES})
    assert play(nodes, [get(A)], routes=Slots([A, B], "the cluster")) == ["a"]


def test_the_shards_of_each_node_are_those_it_has_now() -> None:
    nodes, routes = Nodes(), Slots([A], "the cluster")
    finding = find_owners({5: key_of(A), 6: key_of(B), 7: key_of(A, 1)}, routes, Deadline(5), "the cluster")
    answer = None
    with pytest.raises(StopIteration) as end:
        while True:
            answer = nodes.answer(finding.send(answer))
    assert end.value.value == {A: [5, 7], B: [6]}
