"""Live totals as server-sent events, over real sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from unittest.mock import patch

import pytest
import redis

from likes.api import event_stream
from likes.async_counter import AsyncLikeCounter
from likes.items import shard_of
from tests.event_reader import events
from tests.running_api import RunningApi
from tests.serving_here import ServingHere
from tests.shell import Shell
from tests.waiting import wait_until


@pytest.fixture
def here(likes: Shell) -> Iterator[ServingHere]:
    with ServingHere(**{name: str(value) for name, value in likes.settings.items()}) as here:
        yield here


def parts(total: int, database: int = 0, pending: int = 0, in_flight: int = 0) -> dict[str, object]:
    return {"total": total, "database": database, "in_flight": in_flight, "pending": pending, "exact": True}


def test_likes_and_flushes_are_seen_as_they_come(likes):
    with RunningApi(likes) as api, events(api.client, "/v1/events", item=["a", "b/c"]) as stream:
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        assert stream.response.headers["cache-control"] == "no-store"
        assert 1000 <= (stream.block().retry or 0) <= 3000

        first = stream.event()
        assert (first.name, first.data["counter"]) == ("totals", "likes")
        assert first.data["totals"] == [{"item": "a", **parts(0)}, {"item": "b/c", **parts(0)}]

        api.client.post("/v1/items/b%2Fc/likes", json={"count": 3})
        assert stream.event().data["totals"] == [{"item": "b/c", **parts(3, pending=3)}]

        assert likes("flush").code == 0
        flushed = stream.event().data["totals"]
        while flushed == [{"item": "b/c", **parts(3, in_flight=3)}]:  # seen in the middle of the flush
            flushed = stream.event().data["totals"]
        assert flushed == [{"item": "b/c", **parts(3, database=3)}]


def test_who_comes_back_to_any_process_is_told_again_only_if_something_changed(likes, here):
    with RunningApi(likes) as api:
        with events(api.client, "/v1/events", item=["a", "b"]) as stream:
            left = stream.event().id
        with events(here.client, "/v1/events", left, item=["b", "a"]) as stream:
            wait_until(lambda: any(watch.known for watch in here.api.live._watches))
            here.client.post("/v1/items/a/likes")
            missed = stream.event()
            assert missed.data["totals"] == [{"item": "a", **parts(1, pending=1)}]  # and not everything before it
        with events(api.client, "/v1/events", left, item=["a", "b"]) as stream:
            again = stream.event()
            assert [row["item"] for row in again.data["totals"]] == ["a", "b"]
            assert again.id == missed.id != left


def test_other_counters_and_items_of_all_kinds(likes):
    wild = ["<script>", "a\u202eb", "🎉", "x" * 255, "&item=b", "a\u2028b"]
    with RunningApi(likes) as api, events(api.client, "/v1/events", item=wild, counter="views") as stream:
        first = stream.event().data
        assert (first["counter"], [row["item"] for row in first["totals"]]) == ("views", wild)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "item"),
        ({"item": [""]}, "empty"),
        ({"item": ["a\nb"]}, "control character"),
        ({"item": ["x" * 256]}, "256 bytes"),
        ({"item": "a", "counter": "a:b"}, "counter"),
        ({"item": [str(n) for n in range(101)]}, "allowed: 1 to 100"),
        ({"item": "a", "counter": ["likes", "views"]}, "counter is in the query 2 times"),
        ({"item": "a", "items": "b"}, "'items' is no parameter"),
    ],
)
def test_bad_input_is_a_problem_before_anything_is_streamed(here, params, said):
    answer = here.client.get("/v1/events", params=params)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert said in answer.json()["detail"]


def test_a_comment_comes_when_it_was_silent(here):
    with patch.object(event_stream, "COMMENT_SECONDS", 0.05), events(here.client, "/v1/events", item="a") as stream:
        stream.event()
        silent = stream.block()
        assert silent == ("", None, "", None, ("still here",))


def test_all_streams_are_read_together(here):
    with (
        patch.object(AsyncLikeCounter, "live", autospec=True, side_effect=AsyncLikeCounter.live) as live,
        events(here.client, "/v1/events", item=["a", "b"]) as one,
        events(here.client, "/v1/events", item=["b", "c"]) as two,
    ):
        assert one.event().name == two.event().name == "totals"
        live.reset_mock()
        here.client.post("/v1/items/b/likes")
        assert one.event().data == two.event().data
    asked = [sorted(call.args[1]) for call in live.call_args_list]
    assert asked and all(items == ["a", "b", "c"] for items in asked)


def test_more_streams_than_a_process_takes_are_refused_until_one_goes(here):
    here.api.live._most_streams = 1
    with events(here.client, "/v1/events", item="a") as stream:
        stream.event()
        refused = here.client.get("/v1/events", params={"item": "a"})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
        assert refused.json()["type"] == "too-many-streams"
    wait_until(lambda: not here.api.live._watches)
    with events(here.client, "/v1/events", item="a") as stream:
        assert stream.event()


def connect(here: ServingHere, *items: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", here.port), timeout=10)
    query = "&".join(f"item={item}" for item in items)
    connection.sendall(f"GET /v1/events?{query} HTTP/1.1\r\nHost: 127.0.0.1:{here.port}\r\n\r\n".encode())
    return connection


def test_nothing_is_left_of_a_client_that_goes_without_a_word(here):
    with connect(here, "a") as connection:
        assert b"200 OK" in connection.recv(65536)
        wait_until(lambda: here.api.live._watches)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close is a reset
    wait_until(lambda: not here.api.live._watches)
    wait_until(here.api.live._reading.done)


def test_a_client_that_reads_nothing_is_let_go(here):
    items = [f"{n:03}{'x' * 200}" for n in range(100)]
    with patch.object(event_stream, "SEND_SECONDS", 0.2), connect(here, *items):
        wait_until(lambda: here.api.live._watches)

        def is_gone_after_more() -> bool:
            here.run(lambda: _change_all(here))
            return not here.api.live._watches

        wait_until(is_gone_after_more, timeout=60)


def _change_all(here: ServingHere) -> None:
    for watch in here.api.live._watches:
        for key in watch.keys:
            if known := watch.known.get(key):
                watch.tell(key, known._replace(total=known.total + 1))


def test_streams_end_when_the_process_is_to_stop(here):
    with events(here.client, "/v1/events", item="a") as stream:
        stream.event()
        here.run(here.api.stopping.set)
        assert stream.block() is None
    with events(here.client, "/v1/events", item="a") as late:
        assert late.block().retry
        assert late.block() is None


def test_redis_away_is_told_once_and_its_return_too(likes, own_valkey):
    server = own_valkey()
    with (
        RunningApi(likes, redis_url=server.url, redis_timeout=1) as api,
        events(api.client, "/v1/events", item=["a"]) as stream,
    ):
        assert stream.event().name == "totals"
        server.kill()
        trouble = stream.event("trouble").data
        assert (trouble["type"], trouble["status"], trouble["items"]) == ("redis-unavailable", 503, ["a"])
        server.start()
        assert stream.event("totals").data["totals"][0]["item"] == "a"


def test_one_shard_that_cannot_be_read_does_not_hide_the_others(likes, valkey_url, here):
    likes("post", "bad")
    others = [item for item in ("a", "b", "c") if shard_of(item.encode(), 16) != shard_of(b"bad", 16)]
    with redis.Redis.from_url(valkey_url) as client:
        (state,) = [key for key in client.scan_iter() if key.endswith(b":state")]
        client.hset(state, "seq", "x")
    with events(here.client, "/v1/events", item=[*others, "bad"]) as stream:
        first, second = stream.event(), stream.event()
    assert [row["item"] for row in first.data["totals"]] == others
    assert (second.name, second.data["items"]) == ("trouble", ["bad"])
    assert (first.id, bool(second.id)) == ("", True)
