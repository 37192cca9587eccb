"""What comes over the wire: requests cut off, pipelined, smuggled, too large; each is answered or refused, in order."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.raw_http import Answer, Wire
from tests.running_api import RunningApi
from tests.served_slowly import SlowShell
from tests.shell import Shell

HEAD = b"POST /v1/items/a/likes HTTP/1.1\r\nHost: localhost\r\n"
READ = b"GET /v1/items/%b HTTP/1.1\r\nHost: localhost\r\n\r\n"
SMUGGLED = b"POST /v1/items/smuggled/likes HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = HEAD + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    folder = tmp_path_factory.mktemp("api")
    likes = SlowShell(folder)
    with RunningApi(likes) as running:
        yield running
    assert likes("embedded", "stop").code == 0


def asked(api: RunningApi, data: bytes) -> Answer:
    """The answer to one request, the connection open still."""
    with Wire(api.address) as wire:
        return wire.ask(data)


def refused(api: RunningApi, data: bytes) -> Answer:
    """The problem that these bytes are answered with, after which nothing comes."""
    with Wire(api.address) as wire:
        answer = wire.ask(data)
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.ends()
    assert (answer.headers["content-type"], answer.headers["connection"]) == ("application/problem+json", "close")
    assert answer.json["status"] == answer.status and answer.json["detail"] and answer.json["type"]
    return answer


def total(api: RunningApi, item: bytes) -> int:
    answer = asked(api, READ % item)
    assert answer.status == 200, answer
    found: int = answer.json["total"]
    return found


AMBIGUOUS = {
    "Content-Length with Transfer-Encoding": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding with Content-Length": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "one length twice": HEAD + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "a list of lengths": HEAD + b"Content-Length: 0, 0\r\n\r\n",
    "a signed length": HEAD + b"Content-Length: +0\r\n\r\n",
    "no length": HEAD + b"Content-Length: \r\n\r\n",
    "a length past all": HEAD + b"Content-Length: 99999999999999999999\r\n\r\n",
    "two codings": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a coding behind chunked": HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "identity": HEAD + b"Transfer-Encoding: identity\r\n\r\n",
    "another coding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a vertical tab before it": HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": HEAD.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare LF everywhere": HEAD.replace(b"\r\n", b"\n") + b"\n",
    "bare LF in the first line": HEAD.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\n") + b"\r\n",
    "bare LF behind a header": HEAD.replace(b"localhost\r\n", b"localhost\n") + b"\r\n",
    "bare LF at the end": HEAD + b"\n",
    "bare CR": HEAD + b"X: a\rContent-Length: 5\r\n\r\n",
    "a folded header": HEAD + b"X: a\r\n b\r\n\r\n",
    "a folded header by a tab": HEAD + b"X: a\r\n\tb\r\n\r\n",
    "a folded coding": HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a first header that is folded": b"GET /v1/items/a HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "a space before the colon": HEAD + b"Content-Length : 0\r\n\r\n",
    "a space in a name": HEAD + b"Content Length: 0\r\n\r\n",
    "no name": HEAD + b": 0\r\n\r\n",
    "no colon": HEAD + b"Content-Length\r\n\r\n",
    "NUL in a value": HEAD + b"X: a\0b\r\n\r\n",
    "a control character in a value": HEAD + b"X: a\x01b\r\n\r\n",
    "a chunk of no size": CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n",
    "a chunk size with 0x": CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n",
    "a negative chunk": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    "a space behind a chunk size": CHUNKED + b"2 \r\n{}\r\n0\r\n\r\n",
    "a chunk size past all": CHUNKED + b"fffffffffffffffff2\r\n{}\r\n0\r\n\r\n",
    "bare LF behind a chunk size": CHUNKED + b"2\n{}\r\n0\r\n\r\n",
    "bare LF behind a chunk extension": CHUNKED + b"2;a=b\n{}\r\n0\r\n\r\n",
    "bare LF behind a chunk": CHUNKED + b"2\r\n{}\n0\r\n\r\n",
    "a chunk longer than it says": CHUNKED + b"1\r\n{}\r\n0\r\n\r\n",
    "a length behind the chunks": CHUNKED + b"2\r\n{}\r\n0\r\nContent-Length: 3\r\n\r\n",
    "no Host": b"GET /v1/items/a HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /v1/items/a HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    "a Host with a path": b"GET /v1/items/a HTTP/1.1\r\nHost: localhost/x\r\n\r\n",
    "a Host with a user": b"GET /v1/items/a HTTP/1.1\r\nHost: me@localhost\r\n\r\n",
    "a Host with a space": b"GET /v1/items/a HTTP/1.1\r\nHost: localhost x\r\n\r\n",
    "a space in the path": b"GET /v1/items/a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a tab for a space": b"GET\t/v1/items/a\tHTTP/1.1\r\nHost: localhost\r\n\r\n",
    "bytes in the path": b"GET /v1/items/\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no path": b"GET v1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a fragment": b"GET /v1/items/a#b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an address with a user": b"GET http://me@localhost/livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an address of another protocol": b"GET ftp://localhost/livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a method in lower case": b"get /v1/items/a HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "HTTP/1.2": b"GET /v1/items/a HTTP/1.2\r\nHost: localhost\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_what_two_servers_may_read_differently_is_refused(api: RunningApi, name: str) -> None:
    answer = refused(api, AMBIGUOUS[name] + SMUGGLED)
    assert (answer.status, answer.json["type"]) == (400, "malformed-request"), answer


def test_nothing_of_what_was_refused_was_counted(api: RunningApi) -> None:
    for request in AMBIGUOUS.values():
        refused(api, request + SMUGGLED)
    assert total(api, b"smuggled") == 0
    assert total(api, b"a") == 0


@pytest.mark.parametrize(("version", "status"), [(b"2.0", 505), (b"0.9", 505), (b"1.0", 200)])
def test_other_versions_of_http(api: RunningApi, version: bytes, status: int) -> None:
    with Wire(api.address) as wire:
        answer = wire.ask(b"GET /v1/items/v HTTP/" + version + b"\r\nHost: localhost\r\n\r\n")
        assert (answer.status, answer.headers["connection"]) == (status, "close")


def test_http_1_0_needs_no_host(api: RunningApi) -> None:
    answer = asked(api, b"GET /livez HTTP/1.0\r\n\r\n")
    assert (answer.status, answer.headers["connection"]) == (200, "close")


def test_a_proxys_form_of_the_address_is_understood(api: RunningApi) -> None:
    assert asked(api, b"GET http://localhost/v1/items/v?counter=x HTTP/1.1\r\nHost: localhost\r\n\r\n").json == {
        **asked(api, READ % b"v").json,
        "counter": "x",
    }


def test_it_is_no_proxy(api: RunningApi) -> None:
    answer = refused(api, b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n" + SMUGGLED)
    assert answer.status == 405
    assert total(api, b"smuggled") == 0


def test_another_protocol_is_not_taken_up_and_a_body_stays_a_body(api: RunningApi) -> None:
    body = b'{"count": 3}'
    wish = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
    request = b"POST /v1/items/upgrade/likes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + wish
    with Wire(api.address) as wire:
        first = wire.ask(request + b"Content-Length: %d\r\n\r\n" % len(body) + body + READ % b"upgrade")
        assert (first.status, first.json["delta"]) == (202, 3)
        assert wire.answer().json["total"] == 3
        chunks = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
        assert wire.ask(request + chunks).json["pending"] == 6


def test_as_many_wishes_for_another_protocol_as_fit_into_a_packet(api: RunningApi) -> None:
    wish = b"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    with Wire(api.address) as wire:
        wire.send(wish * 700)
        assert [wire.answer().status for _ in range(700)] == [404] * 700


def test_requests_sent_at_once_are_answered_in_order(api: RunningApi) -> None:
    body = b'{"count": 2}'
    like = b"POST /v1/items/row/likes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    like += b"Content-Length: %d\r\n\r\n" % len(body) + body
    with Wire(api.address) as wire:
        wire.send((like + READ % b"row") * 50)
        for number in range(1, 51):
            assert wire.answer().json["pending"] == 2 * number
            assert wire.answer().json["total"] == 2 * number


def test_what_is_wrong_is_told_after_the_answers_before_it(api: RunningApi) -> None:
    with Wire(api.address) as wire:
        wire.send(READ % b"v" + READ % b"w" + AMBIGUOUS["two lengths"] + SMUGGLED)
        assert [wire.answer().status for _ in range(3)] == [200, 200, 400]
        assert wire.ends()
    assert total(api, b"smuggled") == 0


def test_nothing_is_read_behind_a_request_that_is_the_last_one(api: RunningApi) -> None:
    with Wire(api.address) as wire:
        wire.send(READ.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") % b"v" + SMUGGLED)
        assert wire.answer().headers["connection"] == "close"
        assert wire.ends()
    assert total(api, b"smuggled") == 0


def test_a_request_cut_off_counts_nothing(api: RunningApi) -> None:
    for cut in (HEAD, HEAD + b"Content-Length: 12\r\n\r\n" + b'{"count":', CHUNKED + b"2\r\n{}\r\n"):
        with Wire(api.address) as wire:
            wire.send(cut)
    assert total(api, b"a") == 0


def test_a_request_byte_by_byte(api: RunningApi) -> None:
    chunks = b"POST /v1/items/slow/likes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    chunks += b"Transfer-Encoding: chunked\r\n\r\n3\r\n{  \r\n1;a=b\r\n}\r\n0\r\nHost: evil\r\n\r\n"
    with Wire(api.address) as wire:
        wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(len(chunks)):
            wire.send(chunks[number : number + 1])
        assert wire.answer().status == 202


def test_headers_behind_the_chunks_are_none(api: RunningApi) -> None:
    head = b"POST /headers HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = asked(api, head + b"2\r\n{}\r\n0\r\nAuthorization: Bearer x\r\n\r\n")
    assert answer.json == ["host", "transfer-encoding"]


def test_who_asks_before_sending_a_body_is_told_to(api: RunningApi) -> None:
    with Wire(api.address) as wire:
        length = b"Content-Type: application/json\r\nContent-Length: 2\r\n"
        head = HEAD.replace(b"/a/", b"/expect/") + length + b"Expect: 100-continue\r\n\r\n"
        assert wire.ask(head).status == 100
        assert wire.ask(b"{}").status == 202


@pytest.mark.parametrize(
    "request_",
    [
        HEAD + b"Content-Length: 65537\r\n\r\n",
        HEAD + b"Content-Length: 65537\r\n\r\n" + b" " * 65537,
        CHUNKED + (b"1000\r\n" + b" " * 4096 + b"\r\n") * 17,
        CHUNKED + (b"1;" + b"x" * 4096 + b"\r\n \r\n") * 200,
        HEAD + b"Content-Length: 1000000\r\n\r\n" + b" " * 1_000_000,
    ],
    ids=["announced", "sent", "in chunks", "extensions", "much more"],
)
def test_a_body_too_large(api: RunningApi, request_: bytes) -> None:
    answer = refused(api, request_)
    assert (answer.status, answer.json["type"]) == (413, "content-too-large")


def test_a_body_as_large_as_it_may_be(api: RunningApi) -> None:
    body = b"{" + b" " * 65534 + b"}"
    head = b"POST /v1/items/large/likes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    assert asked(api, head + b"Content-Length: 65536\r\n\r\n" + body).status == 202
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    assert asked(api, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n").status == 202


@pytest.mark.parametrize(
    "request_",
    [
        HEAD + b"X: y\r\n" * 100 + b"\r\n",
        HEAD + b"X: " + b"y" * 33_000 + b"\r\n\r\n",
        HEAD + b"X: " + b"y" * 200_000,
        HEAD + b"y" * 200_000,
        b"GET /" + b"y" * 33_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /" + b"y" * 200_000,
    ],
    ids=[
        "many",
        "a long one",
        "without an end",
        "a name without an end",
        "a long address",
        "an address without an end",
    ],
)
def test_a_head_too_large(api: RunningApi, request_: bytes) -> None:
    answer = refused(api, request_)
    assert (answer.status, answer.json["type"]) == (431, "header-too-large")


def test_who_goes_before_the_answers_come(api: RunningApi) -> None:
    for each in range(100):
        with Wire(api.address) as wire:
            wire.send(SMUGGLED.replace(b"smuggled", b"left") * 16)
            time.sleep(each % 10 * 0.0005)
    assert asked(api, READ % b"a").status == 200  # and test_it_says_nothing_of_all_this


def test_it_says_nothing_of_all_this(api: RunningApi) -> None:
    refused(api, AMBIGUOUS["TLS"])
    assert [line for line in api.lines if '"serving"' not in line] == []


def test_over_a_unix_socket(tmp_path: Path, valkey_url: str, sqlite_url: str) -> None:
    likes = Shell(tmp_path, redis_url=valkey_url, database_url=sqlite_url)
    path = tmp_path / "likes.sock"
    with RunningApi(likes, http_unix_socket=path) as api:
        assert api.address == f"unix:{path}"
        assert asked(api, SMUGGLED).status == 202
        assert api.stop() == 0
    assert not path.exists()
