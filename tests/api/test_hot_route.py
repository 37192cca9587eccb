"""The hot route and the application answer alike, whatever is asked and whatever Redis does; and who of them it was."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis

from likes.api.serving.hot import BODY
from tests.raw_http import Answer, Wire
from tests.running_api import RunningApi
from tests.served_slowly import SlowShell
from tests.servers import RedisServer, Server
from tests.waiting import wait_until

SLOWLY = "x-by-the-application: 1\r\n"  # a header that the hot route does not know
TYPE = "content-type: application/json\r\n"

HOT, APPLICATION, NEITHER = "the hot route", "the application", "neither"  # neither: refused as no whole request


class Case(NamedTuple):
    """A request, and who is to answer it."""

    by: str
    path: str = "video:1"
    body: str = ""
    head: str = ""
    first: str = "POST /v1/items/%s/likes HTTP/1.1\r\n"

    def request(self, more: str = "", host: str = "localhost") -> bytes:
        length = f"content-length: {len(self.body.encode())}\r\n" if self.body else ""
        return f"{self.first % self.path}host: {host}\r\n{length}{self.head}{more}\r\n{self.body}".encode()


PLAIN_PATHS = ["video:1", "a%2Fb", "a%22b%5c", "%F0%9F%91%8D", "a+b", "a%20b%20", "x" * 255, "a;b", "a@b", "a%3Fb"]
PLAIN_PATHS += ["-", "~!$&'()*,=", "AZaz09._"]
OTHER_PATHS = ["%ff", "%c3%28", "%00", "%0a", "%2e", "%2E%2e", "..", ".", "", "a/b", "x" * 256, "video:1?counter=x"]
OTHER_PATHS += ["%c2%85", "%", "%4", "%zz"]
PLAIN_BODIES = ["{}", "{ }", '{"count":3}', '{"count": 3, "counter": "views"}', '{"counter":"views"}', '{ "count":1 }']
PLAIN_BODIES += ['{"count":3,"counter":"Views_0.-"}', '{"count":999999999}']
OTHER_BODIES = [
    '{"count":0}',
    '{"count":-2}',
    '{"count":1.5}',
    '{"count":"1"}',
    '{"count":true}',
    '{"count":null}',
    "[",
]
OTHER_BODIES += ["[]", "{", "null", '""', '{"count":1"counter":"a"}', '{"count":1,}', '{"counter":""}', '{"counter":5}']
OTHER_BODIES += ['{"counter":"a b"}', '{"x":1}', '{"count":01}', '{"count":1e2}', '{"count":1,"count":2}', "\ufeff{}"]
OTHER_BODIES += [
    '{"count":9999999999}',
    '{"count":2147483649}',
    '{"count":1' + "0" * 400 + "}",
    '{"count":1}' + " " * 500,
]
OTHER_BODIES += [
    '{"counter":"a","count":2}',
    '{"counter":"' + "a" * 65 + '"}',
    '{"count":1} {}',
    '{"count":1}x',
    "{}{}",
]
PLAIN_HEADS = ["accept: text/html\r\n", "x-api-key: a\r\n", "authorization: Basic dTpw\r\n", "user-agent: x\r\n"]
PLAIN_HEADS += ["connection: keep-alive\r\n", "x-forwarded-for: 203.0.113.9\r\n"]
PLAIN_HEADS += ["connection: upgrade\r\nupgrade: websocket\r\n"]  # a wish that nobody heeds is dropped
OTHER_HEADS = ["expect: 100-continue\r\n", "upgrade: h2c\r\n", "connection: close\r\n"]
OTHER_HEADS += ["cookie: a=b\r\n", "origin: http://evil.example\r\n", "sec-fetch-site: cross-site\r\n"]
TYPES = ["content-type: text/plain\r\n", "content-type: application/json; charset=utf-8\r\n", TYPE + TYPE, ""]
CHUNKED = "transfer-encoding: chunked\r\n"

CASES = [Case(HOT, path) for path in PLAIN_PATHS] + [Case(APPLICATION, path) for path in OTHER_PATHS]
CASES += [Case(HOT, body=body, head=TYPE) for body in PLAIN_BODIES]
CASES += [Case(APPLICATION, body=body, head=TYPE) for body in OTHER_BODIES]
CASES += [Case(HOT, head=head) for head in PLAIN_HEADS] + [Case(APPLICATION, head=head) for head in OTHER_HEADS]
CASES += [Case(HOT, body='{"count":2}', head=TYPE + head) for head in PLAIN_HEADS]
CASES += [Case(APPLICATION, body='{"count":2}', head=TYPE + head) for head in OTHER_HEADS]
CASES += [Case(APPLICATION, body='{"count":2}', head=type_) for type_ in TYPES]
CASES += [Case(APPLICATION, head=TYPE), Case(APPLICATION, head="content-length: 0\r\n" + TYPE)]
CASES += [Case(HOT, head="content-length: 0\r\n")]
CASES += [Case(NEITHER, head="host: b\r\n"), Case(NEITHER, "é")]
CASES += [Case(APPLICATION, first=f"{method} /v1/items/%s/likes HTTP/1.1\r\n") for method in ("DELETE", "PUT", "GET")]
CASES += [Case(APPLICATION, first="POST /v1/items/%s/likes HTTP/1.0\r\n")]
CASES += [Case(APPLICATION, first=f"POST {path} HTTP/1.1\r\n") for path in ("/v1/items/%s/likes/", "/v1/items/%s")]
CASES += [Case(HOT, first="POST http://localhost/v1/items/%s/likes HTTP/1.1\r\n")]


@pytest.fixture(scope="module")
def likes(tmp_path_factory: pytest.TempPathFactory, valkey_server: Server, sqlite_template: Path) -> SlowShell:
    folder = tmp_path_factory.mktemp("hot")
    database = f"sqlite:///{shutil.copy(sqlite_template, folder)}"
    return SlowShell(folder, redis_url=valkey_server.url, database_url=database, prefix=folder.name)


@pytest.fixture(scope="module")
def api(likes: SlowShell) -> Iterator[RunningApi]:
    with RunningApi(likes, http_trusted_proxies="127.0.0.1") as api:
        yield api


def answers(api: RunningApi, *requests: bytes) -> list[Answer]:
    """Those to requests sent together on one connection; what only tells to go on is none."""
    with Wire(api.address) as wire:
        wire.send(b"".join(requests))
        return [wire.answer() if (first := wire.answer()).status == 100 else first for _ in requests]


def who(answer: Answer) -> str:
    """Who answered."""
    if answer.headers.get("x-answered-by"):
        return APPLICATION
    return HOT if answer.headers.get("referrer-policy") else NEITHER


def same(answer: Answer) -> tuple[object, ...]:
    """What is to be the same of both ways; the members of the body in their order."""
    apart = ("date", "content-length", "x-answered-by")
    headers = {name: value for name, value in answer.headers.items() if name not in apart}
    members = json.loads(answer.body)
    return answer.status, headers, [(name, value) for name, value in members.items() if name != "pending"]


def test_both_ways_answer_alike(api: RunningApi) -> None:
    wrong: dict[str, Any] = {}
    for case in CASES:
        given, slow = (answers(api, case.request(way))[0] for way in ("", SLOWLY))
        added = slow.json.get("pending", 0) - given.json.get("pending", 0)
        if (who(given), who(slow)) != (case.by, APPLICATION if case.by == HOT else case.by):
            wrong[str(case)] = who(given), who(slow)
        elif same(given) != same(slow) or added != slow.json.get("delta", 0):
            wrong[str(case)] = given, slow
        elif case.by == HOT and given.status != 202:
            wrong[str(case)] = given
    assert not wrong


def test_what_is_no_json_is_no_plain_body() -> None:
    for body in PLAIN_BODIES + OTHER_BODIES:
        if BODY.fullmatch(body.encode()):
            assert set(json.loads(body)) <= {"count", "counter"}


def test_a_key_that_makes_a_request_count_once_is_left_to_the_application(api: RunningApi) -> None:
    twice = answers(api, *[Case(APPLICATION, "once", head="idempotency-key: 1\r\n").request()] * 2)
    assert [(who(answer), answer.status, answer.json["pending"]) for answer in twice] == [(APPLICATION, 202, 1)] * 2


def test_a_body_in_chunks_is_left_to_the_application(api: RunningApi) -> None:
    chunked = Case(APPLICATION, head=TYPE + CHUNKED).request() + b'b\r\n{"count":2}\r\n0\r\n\r\n'
    answer, next_one = answers(api, chunked, Case(HOT).request())
    assert (answer.status, answer.json["delta"], who(answer)) == (202, 2, APPLICATION)
    assert next_one.status == 202


def test_pipelined_requests_are_answered_in_order(api: RunningApi) -> None:
    """Some by the hot route, some by the application."""
    ways = ["", "", SLOWLY, "", SLOWLY, "", ""]
    found = answers(api, *(Case(HOT, f"item{n}").request(way) for n, way in enumerate(ways)))
    assert [answer.json["item"] for answer in found] == [f"item{n}" for n in range(len(ways))]
    assert {answer.status for answer in found} == {202}
    assert {who(answer) for answer in found} == {HOT, APPLICATION}


def test_an_answer_is_dated_when_it_is_given(api: RunningApi) -> None:
    with Wire(api.address) as wire:
        first = wire.ask(Case(HOT).request())
        assert who(first) == HOT
        wait_until(lambda: wire.ask(Case(HOT).request()).headers["date"] != first.headers["date"])


def test_an_error_of_redis_is_the_same_problem(api: RunningApi, valkey_server: Server) -> None:
    with redis.Redis.from_url(valkey_server.url) as client:
        answers(api, Case(HOT, "damaged").request())
        (key,) = client.keys("*hot*delta:likes:damaged")
        client.set(key, "no number")
        damaged = [answers(api, Case(HOT, "damaged").request(way))[0] for way in ("", SLOWLY)]
        client.config_set("maxmemory", 1)
        full = [answers(api, Case(HOT).request(way))[0] for way in ("", SLOWLY)]
        client.config_set("maxmemory", 0)
    for status, (hot, slow) in ((409, damaged), (503, full)):
        assert (who(hot), who(slow), hot.status) == (HOT, APPLICATION, status)
        assert same(hot) == same(slow)


FULL, PUBLIC = "f" * 32, "p" * 32


def test_a_name_that_was_made_to_point_here_is_not_answered_by_it(api: RunningApi) -> None:
    (answer,) = answers(api, Case(APPLICATION).request(host="evil.example"))
    assert (who(answer), answer.status) == (APPLICATION, 403)


def test_keys_and_clients_that_the_application_has_to_look_at(likes: SlowShell) -> None:
    settings = {"api_keys": FULL, "public_keys": PUBLIC, "access_log": "on", "http_trusted_proxies": "127.0.0.1"}
    with RunningApi(likes, **settings) as api:
        for head, by, status in (
            (f"x-api-key: {FULL}\r\n", HOT, 202),
            (f"authorization: Bearer {FULL}\r\n", HOT, 202),
            (f"x-api-key: {FULL}\r\nx-forwarded-for: 203.0.113.9\r\n", APPLICATION, 202),
            (f"x-api-key: {PUBLIC}\r\n", APPLICATION, 202),
            ("x-api-key: wrong\r\n", APPLICATION, 401),
            ("", APPLICATION, 401),
        ):
            (answer,) = answers(api, Case(by).request(head, host="any.example"))
            assert (who(answer), answer.status) == (by, status), head


def test_a_rate_is_for_the_application_to_decide_on(likes: SlowShell) -> None:
    with RunningApi(likes, rate_limit="1/1h") as api:
        found = answers(api, *[Case(APPLICATION).request()] * 2)
        assert [(who(answer), answer.status) for answer in found] == [(APPLICATION, 202), (APPLICATION, 429)]


def test_what_is_under_way_at_the_end_is_the_last_answer(
    tmp_path: Path, own_valkey: Callable[..., RedisServer], sqlite_url: str
) -> None:
    server = own_valkey()
    likes = SlowShell(tmp_path, redis_url=server.url, database_url=sqlite_url, redis_timeout=30)
    assert likes("migrate").code == 0
    with RunningApi(likes) as api, Wire(api.address) as wire, Wire(api.address) as other:
        assert who(wire.ask(Case(HOT).request())) == HOT
        server.pause()
        wire.send(Case(HOT).request())
        assert other.ask(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").status == 200  # what came before was read
        api.send(signal.SIGTERM)
        assert other.ends()
        server.resume()
        answer = wire.answer()
        assert (who(answer), answer.status, answer.headers["connection"]) == (HOT, 202, "close")
        assert wire.ends()
        assert api.wait() == 0
