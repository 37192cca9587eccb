"""The hot route and the application answer alike, whatever is asked and whatever Redis does."""

from __future__ import annotations

import json
import socket
from typing import BinaryIO

import pytest

from likes.api.serving.hot import BODY
from tests.running_api import RunningApi

Answer = tuple[str, dict[str, str], str]  # status line, headers, body

SLOWLY = "x-by-the-application: 1\r\n"  # a header that the hot route does not know
TYPE = "content-type: application/json\r\n"

PATHS = ["video:1", "a%2Fb", "%ff", "%c3%28", "%00", "%0a", "%2e", "..", "%", "%zz", "a%22b%5c", "%F0%9F%91%8D", "a+b"]
PATHS += ["", "a/b", "é", "a%20b%20", "x" * 255, "x" * 256, "%e2%80%a8", "a;b", "a@b", "a%3Fb", "-", "~!$&'()*,="]
BODIES = ["{}", '{"count":3}', '{"count": 3, "counter": "views"}', '{"counter":"views"}', '{ "count":1 }']
BODIES += [
    '{"count":0}',
    '{"count":-2}',
    '{"count":1.5}',
    '{"count":"1"}',
    '{"count":true}',
    '{"count":null}',
    "[]",
    "{",
]
BODIES += [
    '{"count":1"counter":"a"}',
    '{"count":1,}',
    '{"counter":""}',
    '{"counter":"a b"}',
    '{"counter":5}',
    '{"x":1}',
]
BODIES += [
    '{"count":01}',
    '{"count":1e2}',
    '{"count":9999999999}',
    '{"count":2147483649}',
    '{"count":1,"count":2}',
    '""',
]
BODIES += ['{"counter":"a","count":2}', "null", "\ufeff{}", '{"count":1}' + " " * 500, '{"count":1' + "0" * 400 + "}"]
HEADS = ["", "accept: text/html\r\n", "expect: 100-continue\r\n", "x-api-key: a\r\n", "host: b\r\n", "upgrade: h2c\r\n"]


def ask(api: RunningApi, *requests: str) -> list[Answer]:
    """Status line, headers and body of each answer to requests sent together on one connection."""
    host, port = api.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as sock, sock.makefile("rb") as answers:
        sock.sendall("".join(requests).encode())
        return [answer(answers) for _ in requests]


def answer(answers: BinaryIO) -> Answer:
    """The next one."""
    status = answers.readline().decode().strip()
    headers: dict[str, str] = {}
    while line := answers.readline().decode().strip():
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    if " 100 " in status:
        return answer(answers)
    return status, headers, answers.read(int(headers["content-length"])).decode()


def post(path: str, body: str = "", head: str = "") -> str:
    sent = f"content-length: {len(body.encode())}\r\n" if body else ""
    return f"POST /v1/items/{path}/likes HTTP/1.1\r\nhost: localhost\r\n{sent}{head}\r\n{body}"


CASES = [pytest.param(path, "", "", id=f"path {ascii(path)[:20]}") for path in PATHS]
CASES += [pytest.param("video:1", body, TYPE, id=f"body {ascii(body)[:24]}") for body in BODIES]
CASES += [pytest.param("video:1", '{"count":2}', "content-type: text/plain\r\n", id="another type")]
CASES += [pytest.param("video:1", '{"count":2}', TYPE + TYPE, id="two types")]
CASES += [pytest.param("video:1", '{"count":2}', TYPE + head, id=f"head {head.strip()}") for head in HEADS]
CASES += [pytest.param("video:1", "", head, id=f"no body, head {head.strip()}") for head in HEADS]
CASES += [pytest.param("video:1?counter=x", "", "", id="query"), pytest.param("video:1", "", "idempotency-key: 1\r\n")]


def test_both_ways_answer_alike(api: RunningApi) -> None:
    differing = {}
    for case in CASES:
        path, body, head = map(str, case.values)
        counted = [comparable(*ask(api, post(path, body, head + way))[0]) for way in ("", SLOWLY)]
        if counted[0] != counted[1]:
            differing[case.id] = counted
    assert not differing


def comparable(status: str, headers: dict[str, str], body: str) -> object:
    """What two answers to the same request have in common."""
    told = json.loads(body)
    told.pop("pending", None)  # the second has one more
    kept = {name: value for name, value in headers.items() if name not in ("date", "content-length")}
    return status, kept, told, list(json.loads(body))


def test_a_plain_like_is_answered_by_the_hot_route(api: RunningApi) -> None:
    """The application puts the length before the type."""
    for body, head in (("", ""), ('{"count":2}', TYPE), ('{"count":2,"counter":"views"}', TYPE)):
        hot, slow = (list(ask(api, post("video:1", body, head + way))[0][1]) for way in ("", SLOWLY))
        assert hot.index("content-type") < hot.index("content-length")
        assert slow.index("content-type") > slow.index("content-length")


def test_what_is_no_json_is_no_plain_body() -> None:
    for body in BODIES:
        if BODY.fullmatch(body.encode()):
            assert set(json.loads(body)) <= {"count", "counter"}


def test_pipelined_requests_are_answered_in_order(api: RunningApi) -> None:
    """Some by the hot route, some by the application."""
    ways = ["", "", SLOWLY, "", SLOWLY, "", ""]
    answers = ask(api, *(post(f"item{n}", head=way) for n, way in enumerate(ways)))
    assert [json.loads(body)["item"] for _, _, body in answers] == [f"item{n}" for n in range(len(ways))]
    assert {status for status, _, _ in answers} == {"HTTP/1.1 202 Accepted"}


def test_an_error_of_redis_is_the_same_problem(api: RunningApi, valkey_url: str) -> None:
    import redis

    with redis.Redis.from_url(valkey_url) as client:
        ask(api, post("damaged"))
        (key,) = client.keys("*delta:likes:damaged")
        client.set(key, "no number")
        damaged = [comparable(*ask(api, post("damaged", head=way))[0]) for way in ("", SLOWLY)]
        client.config_set("maxmemory", 1)
        full = [comparable(*ask(api, post("video:1", head=way))[0]) for way in ("", SLOWLY)]
        client.config_set("maxmemory", 0)
    assert damaged[0] == damaged[1] and "409" in str(damaged[0])
    assert full[0] == full[1] and "503" in str(full[0])
