"""The conversation of one send, played without a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from redis import exceptions as redis_errors

from likes.buffer.calls import Call, command
from likes.buffer.links.exchange import Exchange, packed
from likes.buffer.links.window import BYTES_UNDER_WAY
from likes.buffer.refusals import NotSent, Unanswered
from likes.buffer.scripts import ACKNOWLEDGE, ADD, HAND_OFF
from likes.errors import RedisFull, RedisRefused, RedisUnavailable

MISSING = redis_errors.NoScriptError("No matching script.")
TIMEOUT = redis_errors.TimeoutError("Timeout reading from socket")


def script_call(script: Any, *words: str) -> Call[Any]:
    return script.call(0, [], words, lambda reply: f"read {reply}")


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
    exchange = Exchange(calls, "Redis")
    assert written(exchange) == requests_of(calls)
    for reply in (b"1", b"2", None):
        assert exchange.awaits_reply
        exchange.hear(reply)
        assert written(exchange) == []
    assert not exchange.awaits_reply
    assert exchange.replies() == [b"1", "read b'2'", None]


def test_each_request_may_be_written_before_the_next_is_packed() -> None:
    exchange = Exchange([command("GET", "a"), Call(None, str)], "Redis")  # type: ignore[arg-type]  # cannot be packed
    assert next(exchange.requests()) == packed(("GET", "a"))


def test_nothing_to_send_is_nothing_to_wait_for() -> None:
    exchange = Exchange([], "Redis")
    assert written(exchange) == []
    assert not exchange.awaits_reply
    assert exchange.replies() == []


def test_what_has_no_room_is_written_once_it_has() -> None:
    texts = [b"." * (BYTES_UNDER_WAY // 3)] * 4
    exchange = Exchange([command("ECHO", text) for text in texts], "Redis")
    assert len(written(exchange)) == 2
    assert written(exchange) == []
    exchange.hear(texts[0])
    assert len(written(exchange)) == 1


def test_nothing_is_written_behind_a_hand_off_before_it_is_answered() -> None:
    calls = [script_call(HAND_OFF), script_call(HAND_OFF), command("GET", "a")]
    exchange = Exchange(calls, "Redis")
    first, *others = requests_of(calls)
    assert written(exchange) == [first]
    for request in others:
        exchange.hear(b"")
        assert written(exchange) == [request]


def test_an_error_that_is_an_answer_stands_for_its_call_only() -> None:
    exchange = Exchange([script_call(ADD, "a"), script_call(ADD, "b"), script_call(ADD, "c")], "Redis")
    written(exchange)
    for reply in (redis_errors.OutOfMemoryError("command not allowed"), b"2", redis_errors.ResponseError("ERR odd")):
        exchange.hear(reply)
    full, counted, odd = exchange.replies()
    assert (type(full), counted, type(odd)) == (RedisFull, "read b'2'", RedisRefused)


# A script that is missing.


def test_what_lacked_its_script_is_sent_once_more_behind_each_script_once() -> None:
    calls = [script_call(ADD, "a"), script_call(ACKNOWLEDGE), command("GET", "b"), script_call(ADD, "c")]
    exchange = Exchange(calls, "Redis")
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


def test_nothing_is_sent_a_third_time() -> None:
    exchange = Exchange([script_call(ADD)], "Redis")
    for reply in (
        MISSING,
        redis_errors.NoPermissionError("this user has no permissions to run 'script|load'"),
        MISSING,
    ):
        written(exchange)
        exchange.hear(reply)
    assert written(exchange) == []
    assert type(exchange.replies()[0]) is NotSent


# A connection that breaks.


def test_what_was_not_answered_may_have_been_done() -> None:
    exchange = Exchange([command("GET", "a"), command("GET", "b"), command("GET", "c")], "Redis at here:1")
    written(exchange)
    exchange.hear(b"1")
    exchange.broke_off(TIMEOUT)
    assert exchange.awaits_reply  # so the connection is not used again
    answered, *others = exchange.replies()
    assert answered == b"1"
    assert [type(other) for other in others] == [Unanswered, Unanswered]
    assert str(others[0]) == "Redis at here:1 did not answer: Timeout reading from socket"


def test_what_lacked_its_script_was_not_done_if_it_was_not_sent_again() -> None:
    exchange = Exchange([script_call(ADD, "a"), script_call(ADD, "b")], "Redis")
    written(exchange)
    exchange.hear(MISSING)
    exchange.broke_off(TIMEOUT)
    assert [type(reply) for reply in exchange.replies()] == [NotSent, Unanswered]


@pytest.mark.parametrize("heard", [0, 1, 2])
def test_what_was_sent_again_may_have_been_done(heard: int) -> None:
    exchange = Exchange([command("GET", "a"), script_call(ADD, "b"), script_call(ADD, "c")], "Redis")
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
    exchange = Exchange([command("GET", "a"), script_call(ADD)], "Redis")
    exchange.had_no_connection(error)
    assert [type(reply) for reply in exchange.replies()] == [kind, kind]
    assert not isinstance(exchange.replies()[0], Unanswered)
    assert issubclass(kind, RedisUnavailable | RedisRefused)


def test_every_call_whose_script_was_missing_is_sent_again_however_late_it_was_written() -> None:
    """Hand-offs wait for one another, so the second is not written yet when the first turns out to lack its script."""
    calls = [script_call(HAND_OFF, "a"), script_call(HAND_OFF, "b")]
    exchange = Exchange(calls, "Redis")
    for _ in calls:
        assert len(written(exchange)) == 1
        exchange.hear(MISSING)
    assert written(exchange) == [load(HAND_OFF), packed(calls[0].words)]
    exchange.hear(b"sha")
    exchange.hear(b"1")
    assert written(exchange) == [packed(calls[1].words)]
    exchange.hear(b"2")
    assert exchange.replies() == ["read b'1'", "read b'2'"]
