"""Which master a link believes in, by what Sentinels say, played without them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from likes.buffer.calls import Call, command
from likes.buffer.links import sentinels
from likes.buffer.links.delivery import deliver, find_owners
from likes.buffer.links.rounds import Leg, Node, Round, Wait
from likes.buffer.links.sentinels import SentinelNode, Sentinels
from likes.buffer.refusals import NotSent, Unanswered
from likes.deadline import Deadline
from likes.errors import LikesError, NoRedisSentinel, RedisRefused

A, B, C = (SentinelNode(host, 26379) for host in "abc")
OLD, NEW, STRANGE = Node("old", 1), Node("new", 2), Node("strange", 3)
AWAY = NotSent("the Sentinel at c:26379 cannot be reached: refused")
CALL = command("GET", b"key", shard=0)


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(sentinels, "time", clock)
    return clock


class Play:
    """Three Sentinels and the servers: each says what is written for it; a server answers with its host."""

    def __init__(self, *, a: object = OLD, b: object = OLD, c: object = OLD) -> None:
        self.says: dict[Node, object] = {A: a, B: b, C: c}
        self.answers: dict[Node, list[object]] = {}
        self.routes = Sentinels([C, A, B], "mymaster", "the Redis mymaster")
        self.asked: list[list[Node]] = []
        self.sent: list[Node] = []
        self.takes: Callable[[], None] = lambda: None

    def carry_out(self, need: Round | Wait) -> Any:
        if isinstance(need, Wait):
            return None
        if isinstance(need.legs[0].node, SentinelNode):
            self.asked.append([leg.node for leg in need.legs])
            assert need.deadline.left() <= sentinels.ASKING_SECONDS
            self.takes()
            return [[_as_sent(self.says[leg.node])] for leg in need.legs]
        return [self._served(leg) for leg in need.legs]

    def _served(self, leg: Leg) -> Sequence[object]:
        try:
            self.routes.vet(leg.node)
        except ConnectionError as error:
            return [NotSent(str(error))] * len(leg.calls)
        self.sent.append(leg.node)
        written = self.answers.get(leg.node)
        return [written.pop(0) if written else leg.node.host for _ in leg.calls]

    def send(self, *calls: Call[Any], seconds: float = 5) -> list[Any]:
        delivery = deliver(calls or (CALL,), self.routes, Deadline(seconds), patient=True, where="the Redis mymaster")
        return self._run(delivery)

    def owners(self) -> Any:
        return self._run(find_owners({3: b"x", 5: b"y"}, self.routes, Deadline(5), "the Redis mymaster"))

    def _run(self, steps: Any) -> Any:
        answer = None
        while True:
            try:
                need = steps.send(answer)
            except StopIteration as end:
                return end.value
            answer = self.carry_out(need)


def _as_sent(says: object) -> object:
    return [says.host.encode(), b"%d" % says.port] if isinstance(says, Node) else says


def test_all_are_asked_side_by_side_and_what_most_name_is_the_master() -> None:
    play = Play(a=STRANGE, b=NEW, c=NEW)
    assert play.send() == ["new"]
    assert play.asked == [[A, B, C]]
    assert play.owners() == {NEW: [3, 5]}


@pytest.mark.parametrize("others", [(AWAY, AWAY), (OLD, STRANGE), (None, None), (AWAY, NEW)])
def test_one_alone_is_not_believed(others: tuple[object, object]) -> None:
    play = Play(a=NEW if others == (OLD, STRANGE) else OLD, b=others[0], c=others[1])
    (reply,) = play.send(seconds=0.1)
    assert isinstance(reply, LikesError)
    assert play.sent == []


def test_most_of_those_configured_not_of_those_that_answer() -> None:
    play = Play(a=OLD, b=AWAY, c=AWAY)
    (reply,) = play.send(seconds=0.1)
    assert type(reply) is NotSent
    assert str(reply) == (
        "the Redis mymaster: no 2 of 3 name one master: the Sentinel at a:26379 names old:1; "
        "the Sentinel at c:26379 cannot be reached: refused; the Sentinel at c:26379 cannot be reached: refused"
    )


def test_who_was_silent_is_asked_only_where_the_others_are_too_few(clock: Clock) -> None:
    play = Play(c=AWAY)
    play.send()
    clock.now += sentinels.WORD_SECONDS
    play.send()
    play.says |= {B: AWAY, C: OLD}
    clock.now += sentinels.WORD_SECONDS
    assert play.send() == ["old"]
    assert play.asked == [[A, B, C], [A, B], [A, B], [C]]


def test_what_they_say_holds_for_a_second(clock: Clock) -> None:
    play = Play()
    play.send()
    play.says |= {A: NEW, B: NEW}
    clock.now += sentinels.WORD_SECONDS - 0.01
    assert play.send() == ["old"]
    clock.now += 0.01
    assert play.send() == ["new"]


def test_a_master_that_takes_no_calls_is_left_and_the_calls_go_to_the_next_in_their_order() -> None:
    play = Play()
    calls = [command("GET", b"%d" % n, shard=0) for n in range(3)]
    play.answers[OLD] = ["done", NotSent("READONLY"), NotSent("READONLY")]
    play.takes = lambda: play.says.update({A: NEW, C: NEW} if play.sent else {})
    assert play.send(*calls) == ["done", "new", "new"]
    assert play.sent == [OLD, NEW]


def test_what_was_sent_and_not_answered_is_not_sent_again_and_the_next_call_asks_anew() -> None:
    play = Play()
    play.answers[OLD] = [Unanswered("reset")]
    assert type(play.send()[0]) is Unanswered
    play.says |= {A: NEW, B: NEW, C: NEW}
    assert play.send() == ["new"]


def test_without_them_the_master_goes_on_and_they_are_let_alone_for_a_while(clock: Clock) -> None:
    play = Play()
    play.send()

    def takes_its_time() -> None:
        clock.now += 0.5

    play.says, play.takes = dict.fromkeys(play.says, AWAY), takes_its_time
    for _ in range(20):
        clock.now += 0.4
        assert play.send() == ["old"]
    assert play.asked == [[A, B, C]] * 2 + [[A, B, C]]  # at first, after a second, and ten times as long as that took


def test_a_connection_is_opened_only_on_their_word_or_beside_one_that_answers(clock: Clock) -> None:
    routes = Play().routes
    with pytest.raises(ConnectionError):
        routes.vet(OLD)
    play = Play()
    play.send()
    clock.now += sentinels.WORD_SECONDS - 0.01
    play.routes.vet(OLD)
    play.routes.answered(OLD)
    clock.now += sentinels.WORD_SECONDS - 0.01
    play.routes.vet(OLD)
    with pytest.raises(ConnectionError):
        play.routes.vet(NEW)
    play.routes.doubt(OLD)
    with pytest.raises(ConnectionError, match=r"^2 of 3 have to name it first$"):
        play.routes.vet(OLD)


@pytest.mark.parametrize(
    ("says", "kind", "words"),
    [
        (
            RedisRefused("x answered: unknown command 'SENTINEL'"),
            NoRedisSentinel,
            "a:26379 is no Sentinel; .*redis://a:",
        ),
        (RedisRefused("x does not allow this: NOAUTH"), RedisRefused, "NOAUTH"),
        (None, RedisRefused, "the Sentinel at a:26379 watches no mymaster; see SENTINEL MASTERS"),
    ],
)
def test_what_waiting_does_not_cure_is_said_at_once(says: object, kind: type[LikesError], words: str) -> None:
    play = Play(a=says, b=says, c=AWAY)
    (reply,) = play.send()
    assert type(reply) is kind
    assert len(play.asked) == 1
    with pytest.raises(kind, match=words):
        raise reply


def test_nonsense_is_no_vote() -> None:
    play = Play(a=[b"old"], b=[b"old", b"x"], c=b"old:1")
    assert isinstance(play.send(seconds=0.1)[0], LikesError)
    assert play.sent == []
