"""Bodies that are no JSON, or not what was asked for: each is named in a 400, and counts nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from tests.running_api import RunningApi

JSON = {"Content-Type": "application/json"}

WRONG: dict[str, tuple[bytes, str]] = {
    "nothing but space": (b" ", "not JSON"),
    "cut off": (b'{"count": 1', "not JSON"),
    "two values": (b"{} {}", "not JSON"),
    "single quotes": (b"{'count': 1}", "not JSON"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "BOM"),
    "UTF-16": ('{"count": 1}'.encode("utf-16"), "not UTF-8"),
    "invalid UTF-8": (b'{"counter": "\xff"}', "not UTF-8: byte 14 is 0xff"),
    "NaN": (b'{"count": NaN}', "NaN"),
    "Infinity": (b'{"count": -Infinity}', "-Infinity"),
    "null": (b"null", "not a JSON object"),
    "a list": (b"[]", "not a JSON object"),
    "a field twice": (b'{"count": 1, "count": 2}', "'count' twice"),
    "a field too many": (b'{"count": 1, "cuont": 2}', "'cuont' is no field of the body; allowed: count, counter"),
    "a long field": (b'{"' + b"x" * 5000 + b'": 1}', "is no field"),
    "nested deeply": (b'{"count":' * 5000 + b"1" + b"}" * 5000, "nested too deeply"),
    "nested in lists": (b"[" * 60_000, "nested too deeply"),
    "a count of 5,000 digits": (b'{"count": ' + b"9" * 5000 + b"}", "too long"),
    "a count of 10^20": (b'{"count": 100000000000000000000}', "not within"),
    "a count of 2^31 + 1": (b'{"count": 2147483649}', "not within"),
    "a count of 1e400": (b'{"count": 1e400}', "not a whole number"),
    "half a like": (b'{"count": 0.5}', "count 0.5 is not a whole number"),
    "true": (b'{"count": true}', "not a whole number"),
    "a number as text": (b'{"count": "1"}', "not a whole number"),
    "no count": (b'{"count": null}', "not a whole number"),
    "a counter with a colon": (b'{"counter": "a:b"}', "counter"),
    "a counter that is a number": (b'{"counter": 1}', "counter"),
    "a counter that is a list": (b'{"counter": ["likes"]}', "counter"),
    "a lone surrogate": (b'{"counter": "\\ud800"}', "counter"),
    "a field that is a lone surrogate": (b'{"\\ud800": 1}', "is no field"),
}


@pytest.fixture
def path(shared_api: RunningApi) -> Iterator[str]:
    """Where one item is liked; none of what was sent may have counted."""
    item = f"/v1/items/{uuid4().hex}"
    yield f"{item}/likes"
    assert shared_api.client.get(item).json()["total"] == 0


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_body_is_named(shared_api: RunningApi, path: str, wrong: str) -> None:
    body, said = WRONG[wrong]
    answer = shared_api.client.post(path, content=body, headers=JSON)
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert (problem["type"], problem["title"], problem["status"]) == ("invalid-input", "Bad Request", 400)
    assert said in problem["detail"]
    assert len(problem["detail"]) < 300


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "text/plain;charset=application/json",
        "application/json; charset=utf-16",
        "application/json, text/plain",
        "application/jsonp",
        "json",
        "",
        None,
    ],
)
def test_only_what_a_form_cannot_send_is_read(shared_api: RunningApi, path: str, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    answer = shared_api.client.post(path, content=b'{"count": 1}', headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (415, "unsupported-media-type")
    assert answer.headers["accept-post"] == "application/json"


def test_an_empty_form_is_no_like(shared_api: RunningApi, path: str) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert shared_api.client.post(path, headers=form).status_code == 415


def test_a_compressed_body_is_not_unpacked(shared_api: RunningApi, path: str) -> None:
    answer = shared_api.client.post(path, content=b"\x1f\x8b", headers={**JSON, "Content-Encoding": "gzip"})
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_longer_than_64_kib(shared_api: RunningApi, path: str, *, chunked: bool) -> None:
    pieces = [b'{"count": 1, "counter": "', b"x" * 65_536, b'"}']
    content = iter(pieces) if chunked else b"".join(pieces)
    answer = shared_api.client.post(path, content=content, headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (413, "content-too-large")
    assert answer.json()["title"] == "Content Too Large"


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"count": 1}', b'{"count": 1.0}', b'{"count": 1e0}', b'{"count":1,"counter":"likes"}']
)
@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; Charset=UTF-8", 'application/json;charset="utf-8"']
)
def test_what_is_one_like(shared_api: RunningApi, body: bytes, kind: str) -> None:
    path = f"/v1/items/{uuid4().hex}/likes"
    answer = shared_api.client.post(path, content=body, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["pending"]) == (202, 1)


def test_the_largest_counts(shared_api: RunningApi) -> None:
    path = f"/v1/items/{uuid4().hex}/likes"
    assert shared_api.client.post(path, json={"count": 2**31}).json()["pending"] == 2**31
    assert shared_api.client.post(path, json={"count": -(2**31)}).json()["pending"] == 0


def test_requests_one_behind_the_other_on_one_connection(shared_api: RunningApi, path: str) -> None:
    with httpx.Client(base_url=shared_api.address) as client:
        statuses = [client.post(path, content=b"[" * size, headers=JSON).status_code for size in (1, 70_000, 1)]
    assert statuses == [400, 413, 400]


def test_an_object_of_many_fields_takes_no_time(shared_api: RunningApi, path: str) -> None:
    body = json.dumps({str(i): 0 for i in range(5000)})[:-1] + ', "4999": 0}'
    answer = shared_api.client.post(path, content=body, headers=JSON)
    assert (answer.status_code, answer.elapsed.total_seconds() < 1) == (400, True)
