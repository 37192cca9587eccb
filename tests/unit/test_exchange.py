"""The conversation of one send, played without a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from redis import exceptions as redis_errors

from likes.buffer.calls import Call, command
from likes.buffer.links.exchange import Exchange, packed
from likes.buffer.links.learned import ASKING, GREETING, Learned
from likes.buffer.links.window import BYTES_UNDER_WAY
from likes.buffer.refusals import NotSent, Unanswered, is_cluster_node
from likes.buffer.scripts import ACKNOWLEDGE, ADD, HAND_OFF
from likes.errors import NoScripts, RedisClusterNode, RedisFull, RedisRefused, RedisUnavailable

MISSING = redis_errors.NoScriptError("No matching script.")
TIMEOUT = redis_errors.TimeoutError("Timeout reading from socket")


def script_call(script: Any, *words: str) -> Call[Any]:
    return script.call(0, [], words, lambda reply: f"read {reply}")


def exchange_of(calls: Sequence[Call[Any]], where: str = "Redis") -> Exchange:
    """One over a link that has greeted its server."""
    learned = Learned()
    learned.greeted = True
    return Exchange(calls, where, learned)


def load(script: Any) -> bytes:
    return packed(("SCRIPT", "LOAD", script.source))


def written(exchange: Exchange) -> list[bytes]:
    return [*exchange.requests()]


def requests_of(calls: Sequence[Call[Any]]) -> list[bytes]:
    return [packed(call.words) for call in calls]


def test_a_command_is_packed_as_redis_reads_it() -> None:
    assert packed(("SET", b"\xff\r\n", 12)) == b"*3\r\n$3\r\nSET\r\n$3\r\n\xff\r\n\r\n$2\r\n12\r\n"


def test_all_is_written_and_then_heard_in_order() -> None:
    calls = [command("GET", "a"), script_call(ADD, "b"), command("GET", "c")]
    exchange = exchange_of(calls)
    assert written(exchange) == requests_of(calls)
    for reply in (b"1", b"2", None):
        assert exchange.awaits_reply
        exchange.hear(reply)
        assert written(exchange) == []
    assert not exchange.awaits_reply
    assert exchange.replies() == [b"1", "read b'2'", None]


def test_each_request_may_be_written_before_the_next_is_packed() -> None:
    exchange = exchange_of([command("GET", "a"), Call(None, str)])  # type: ignore[arg-type]  # cannot be packed
    assert next(exchange.requests()) == packed(("GET", "a"))


def test_nothing_to_send_is_nothing_to_wait_for() -> None:
    exchange = exchange_of([])
    assert written(exchange) == []
    assert not exchange.awaits_reply
    assert exchange.replies() == []


def test_what_has_no_room_is_written_once_it_has() -> None:
    texts = [b"." * (BYTES_UNDER_WAY // 3)] * 4
    exchange = exchange_of([command("ECHO", text) for text in texts])
    assert len(written(exchange)) == 2
    assert written(exchange) == []
    exchange.hear(texts[0])
    assert len(written(exchange)) == 1


def test_nothing_is_written_behind_a_hand_off_before_it_is_answered() -> None:
    calls = [script_call(HAND_OFF), script_call(HAND_OFF), command("GET", "a")]
    exchange = exchange_of(calls)
    first, *others = requests_of(calls)
    assert written(exchange) == [first]
    for request in others:
        exchange.hear(b"")
        assert written(exchange) == [request]


def test_an_error_that_is_an_answer_stands_for_its_call_only() -> None:
    exchange = exchange_of([script_call(ADD, "a"), script_call(ADD, "b"), script_call(ADD, "c")])
    written(exchange)
    for reply in (redis_errors.OutOfMemoryError("command not allowed"), b"2", redis_errors.ResponseError("ERR odd")):
        exchange.hear(reply)
    full, counted, odd = exchange.replies()
    assert (type(full), counted, type(odd)) == (RedisFull, "read b'2'", RedisRefused)


# A script that is missing.


def test_what_vouches_for_the_calls_before_it_is_sent_again_behind_those_that_are() -> None:
    wait = Call(("WAIT", 1, 100), int, vouches=True)
    calls = [script_call(ADD, "a"), script_call(ACKNOWLEDGE), wait]
    exchange = exchange_of(calls)
    written(exchange)
    for reply in (b"1", MISSING, 1):
        exchange.hear(reply)
    assert written(exchange) == [load(ACKNOWLEDGE), packed(calls[1].words), packed(wait.words)]
    for reply in (ACKNOWLEDGE.sha.encode(), MISSING, 1):  # it keeps no scripts
        exchange.hear(reply)
    assert written(exchange) == [packed(calls[1].whole.words), packed(wait.words)]
    exchange.hear(b"2")
    assert exchange.awaits_reply
    exchange.hear(0)
    assert exchange.replies() == ["read b'1'", "read b'2'", 0]


def test_what_vouched_before_a_call_was_sent_again_is_void_though_the_connection_breaks_then() -> None:
    exchange = exchange_of([script_call(ADD), Call(("WAIT", 1, 100), int, vouches=True)])
    written(exchange)
    for reply in (MISSING, 1):
        exchange.hear(reply)
    exchange.broke_off(TIMEOUT)
    assert [type(reply) for reply in exchange.replies()] == [Unanswered, Unanswered]


def test_what_lacked_its_script_is_sent_once_more_behind_each_script_once() -> None:
    calls = [script_call(ADD, "a"), script_call(ACKNOWLEDGE), command("GET", "b"), script_call(ADD, "c")]
    exchange = exchange_of(calls)
    written(exchange)
    for reply in (MISSING, b"2", b"3"):
        exchange.hear(reply)
        assert written(exchange) == []  # the last one may lack its script, too
    exchange.hear(MISSING)
    assert written(exchange) == [load(ADD), packed(calls[0].words), packed(calls[3].words)]
    for reply in (ADD.sha.encode(), b"1", b"4"):
        exchange.hear(reply)
    assert written(exchange) == []
    assert not exchange.awaits_reply
    assert exchange.replies() == ["read b'1'", "read b'2'", b"3", "read b'4'"]


def test_what_is_asked_of_a_node_is_asked_again_behind_its_script() -> None:
    call = script_call(ADD, "a")
    exchange = exchange_of([ASKING, call, call])
    written(exchange)
    for reply in (b"OK", MISSING, MISSING):
        exchange.hear(reply)
    assert written(exchange) == [load(ADD), packed(ASKING.words), packed(call.words), packed(call.words)]
    for reply in (ADD.sha.encode(), b"OK", b"1", b"2"):
        exchange.hear(reply)
    assert exchange.replies() == [b"OK", "read b'1'", "read b'2'"]


def eval_of(call: Call[Any]) -> bytes:
    assert call.script
    return packed(("EVAL", call.script.source, *call.words[2:]))


def hear(exchange: Exchange, *replies: object) -> list[bytes]:
    """Let it write what it has and hear these; what it writes then."""
    written(exchange)
    for reply in replies:
        exchange.hear(reply)
    return written(exchange)


NO_LOADING = redis_errors.NoPermissionError("this user has no permissions to run the 'script|load' command")
NO_DIGESTS = [
    redis_errors.NoPermissionError("this user has no permissions to run the 'evalsha' command"),
    redis_errors.ResponseError("unknown command 'EVALSHA', with args beginning with: '6f0b…' "),
    redis_errors.ResponseError("unknown command `evalsha`"),
]


def test_a_script_that_is_not_loaded_is_sent_with_the_call() -> None:
    learned, call = Learned(), script_call(ADD)
    learned.greeted = True
    exchange = Exchange([call], "Redis", learned)
    hear(exchange, MISSING)
    assert hear(exchange, NO_LOADING, MISSING) == [eval_of(call)]
    exchange.hear(b"1")
    assert (exchange.awaits_reply, exchange.replies()) == (False, ["read b'1'"])
    later = Exchange([call], "Redis", learned)
    assert written(later) == [packed(call.words)]  # which loaded it
    assert hear(later, MISSING) == [eval_of(call)]


@pytest.mark.parametrize("refusal", NO_DIGESTS)
def test_a_server_without_digests_is_sent_the_source_from_then_on(refusal: redis_errors.RedisError) -> None:
    learned, calls = Learned(), [script_call(ADD), command("GET", "a"), script_call(ACKNOWLEDGE)]
    learned.greeted = True
    exchange = Exchange(calls, "Redis", learned)
    assert hear(exchange, refusal, b"2", refusal) == [eval_of(calls[0]), eval_of(calls[2])]
    assert hear(exchange, b"1", b"3") == []
    assert exchange.replies() == ["read b'1'", b"2", "read b'3'"]
    assert written(Exchange(calls, "Redis", learned)) == [eval_of(calls[0]), packed(calls[1].words), eval_of(calls[2])]


def test_a_server_without_scripts_is_told_of_once() -> None:
    no_scripts = redis_errors.ResponseError("unknown command 'EVAL'")
    exchange = exchange_of([script_call(ADD)])
    hear(exchange, NO_DIGESTS[0])
    assert hear(exchange, no_scripts) == []
    assert type(exchange.replies()[0]) is NoScripts


def test_a_server_that_never_answered_may_be_one_with_tls() -> None:
    learned, ended = Learned(greeted=True), redis_errors.ConnectionError("Connection closed by server.")
    for asked in ("; if that port is one for TLS, the URL has to begin with rediss", ""):
        exchange = Exchange([command("GET", "a")], "Redis at a:1", learned)
        assert [*exchange.requests()]
        exchange.broke_off(ended)
        assert str(exchange.replies()[0]) == f"Redis at a:1 did not answer: Connection closed by server{asked}"
        answered = Exchange([command("GET", "a")], "Redis at a:1", learned)
        assert [*answered.requests()]
        answered.hear(b"1")


# The greeting.

STANDALONE = [b"server", b"redis", b"mode", b"standalone", b"role", b"master"]
CLUSTER = [b"server", b"redis", b"mode", b"cluster", b"role", b"master"]


def test_a_link_greets_once_and_nothing_goes_out_before_the_answer() -> None:
    learned, calls = Learned(), [command("GET", "a"), command("GET", "b")]
    exchange = Exchange(calls, "Redis", learned)
    assert written(exchange) == [packed(GREETING.words)]
    assert hear(exchange, STANDALONE) == requests_of(calls)
    assert written(Exchange(calls, "Redis", learned)) == requests_of(calls)


def test_without_calls_there_is_nobody_to_greet() -> None:
    exchange = Exchange([], "Redis", Learned())
    assert (written(exchange), exchange.awaits_reply) == ([], False)


def test_a_node_of_a_cluster_is_sent_nothing_however_often() -> None:
    learned, calls = Learned(), [command("GET", "a"), script_call(ADD)]
    for _ in range(2):
        exchange = Exchange(calls, "Redis at here:1", learned)
        assert written(exchange) == [packed(GREETING.words)]
        assert hear(exchange, CLUSTER) == []
        assert not exchange.awaits_reply
        assert [str(reply) for reply in exchange.replies()] == [str(is_cluster_node("Redis at here:1"))] * 2


@pytest.mark.parametrize("reply", [redis_errors.ResponseError("unknown command 'HELLO'"), b"odd", [b"mode"]])
def test_a_server_that_does_not_greet_is_used_all_the_same(reply: object) -> None:
    learned, call = Learned(), command("GET", "a")
    assert hear(Exchange([call], "Redis", learned), reply) == [packed(call.words)]
    assert written(Exchange([call], "Redis", learned)) == [packed(call.words)]


def test_a_server_that_lets_nobody_in_is_sent_nothing_and_greeted_again() -> None:
    learned, call = Learned(), command("GET", "a")
    exchange = Exchange([call], "Redis", learned)
    assert hear(exchange, redis_errors.AuthenticationError("HELLO must be called with …")) == []
    assert [str(reply) for reply in exchange.replies()] == ["Redis does not allow this: Authentication required"]
    assert written(Exchange([call], "Redis", learned)) == [packed(GREETING.words)]


@pytest.mark.parametrize(
    ("error", "greets_again"), [(redis_errors.ConnectionError("Connection closed by server."), False), (TIMEOUT, True)]
)
def test_a_greeting_that_is_not_answered_leaves_nothing_in_doubt(
    error: redis_errors.RedisError, greets_again: bool
) -> None:
    """Some proxies hang up at a word they do not know."""
    learned, call = Learned(), command("GET", "a")
    exchange = Exchange([call], "Redis", learned)
    written(exchange)
    exchange.broke_off(error)
    assert [type(reply) for reply in exchange.replies()] == [NotSent]
    assert written(Exchange([call], "Redis", learned)) == [packed((GREETING if greets_again else call).words)]


@pytest.mark.parametrize("error", [redis_errors.MovedError("1 here:2"), redis_errors.AskError("1 here:2")])
def test_what_another_node_has_is_said_to_be_of_a_cluster(error: redis_errors.RedisError) -> None:
    exchange = exchange_of([command("GET", "a")])
    hear(exchange, error)
    assert isinstance(exchange.replies()[0], RedisClusterNode)


# A connection that breaks.


def test_what_was_not_answered_may_have_been_done() -> None:
    exchange = exchange_of([command("GET", "a"), command("GET", "b"), command("GET", "c")], "Redis at here:1")
    written(exchange)
    exchange.hear(b"1")
    exchange.broke_off(TIMEOUT)
    assert exchange.awaits_reply  # so the connection is not used again
    answered, *others = exchange.replies()
    assert answered == b"1"
    assert [type(other) for other in others] == [Unanswered, Unanswered]
    assert str(others[0]) == "Redis at here:1 did not answer: Timeout reading from socket"


def test_what_lacked_its_script_was_not_done_if_it_was_not_sent_again() -> None:
    exchange = exchange_of([script_call(ADD, "a"), script_call(ADD, "b")])
    written(exchange)
    exchange.hear(MISSING)
    exchange.broke_off(TIMEOUT)
    assert [type(reply) for reply in exchange.replies()] == [NotSent, Unanswered]


@pytest.mark.parametrize("heard", [0, 1, 2])
def test_what_was_sent_again_may_have_been_done(heard: int) -> None:
    exchange = exchange_of([command("GET", "a"), script_call(ADD, "b"), script_call(ADD, "c")])
    written(exchange)
    for reply in (b"1", MISSING, MISSING):
        exchange.hear(reply)
    written(exchange)
    for reply in (ADD.sha.encode(), b"2")[:heard]:
        exchange.hear(reply)
    exchange.broke_off(TIMEOUT)
    replies = exchange.replies()
    assert replies[0] == b"1"
    assert replies[1] == "read b'2'" if heard == 2 else type(replies[1]) is Unanswered
    assert type(replies[2]) is Unanswered


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (redis_errors.ConnectionError("Error 111 connecting to here:1. Connection refused."), NotSent),
        (redis_errors.TimeoutError("Timeout connecting to server"), NotSent),
        (redis_errors.MaxConnectionsError("Too many connections"), NotSent),
        (redis_errors.AuthenticationError("invalid username-password pair"), RedisRefused),
    ],
)
def test_without_a_connection_nothing_was_done(error: redis_errors.RedisError, kind: type[Exception]) -> None:
    exchange = exchange_of([command("GET", "a"), script_call(ADD)])
    exchange.had_no_connection(error)
    assert [type(reply) for reply in exchange.replies()] == [kind, kind]
    assert not isinstance(exchange.replies()[0], Unanswered)
    assert issubclass(kind, RedisUnavailable | RedisRefused)


def test_every_call_whose_script_was_missing_is_sent_again_however_late_it_was_written() -> None:
    """Hand-offs wait for one another, so the second is not written yet when the first turns out to lack its script."""
    calls = [script_call(HAND_OFF, "a"), script_call(HAND_OFF, "b")]
    exchange = exchange_of(calls)
    for _ in calls:
        assert len(written(exchange)) == 1
        exchange.hear(MISSING)
    assert written(exchange) == [load(HAND_OFF), packed(calls[0].words)]
    exchange.hear(b"sha")
    exchange.hear(b"1")
    assert written(exchange) == [packed(calls[1].words)]
    exchange.hear(b"2")
    assert exchange.replies() == ["read b'1'", "read b'2'"]
