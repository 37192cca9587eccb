"""Likes and live totals of items, however these are written into a path."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.raw_http import Wire
from tests.running_api import RunningApi
from tests.shell import Shell
from tests.targets import get

HOSTILE = [
    "a/b",
    "a%2Fb",
    "../../etc/passwd",
    "...",
    "a b",
    "a+b",
    "a?b#c",
    "é",
    "e\u0301",
    "💙",
    "\ufeffa",
    " a ",
    "//",
    ";x=1",
    "{likes:3}",
    '"><script>',
    "likes",
    "x" * 255,
    "é" * 127,
]


@pytest.fixture
def item() -> str:
    return f"video:{uuid4().hex}"


def test_a_like_and_an_unlike(shared_api: RunningApi, item: str) -> None:
    path = f"/v1/items/{item}/likes"
    liked = shared_api.client.post(path)
    assert (liked.status_code, liked.json()) == (202, {"item": item, "counter": "likes", "delta": 1, "pending": 1})
    assert shared_api.client.post(path, json={"count": 5}).json()["pending"] == 6
    unliked = shared_api.client.delete(path)
    assert (unliked.status_code, unliked.json()) == (202, {"item": item, "counter": "likes", "delta": -1, "pending": 5})


def test_each_counter_counts_for_itself(shared_api: RunningApi, item: str) -> None:
    path = f"/v1/items/{item}"
    assert shared_api.client.post(f"{path}/likes", json={"counter": "views", "count": -3}).json()["delta"] == -3
    assert shared_api.client.delete(f"{path}/likes?counter=views").json()["pending"] == -4
    assert shared_api.client.get(f"{path}?counter=views").json()["total"] == -4
    assert shared_api.client.get(path).json()["total"] == 0


def test_a_total_has_its_three_parts(shared_api: RunningApi, shared_shell: Shell, item: str) -> None:
    shared_api.client.post(f"/v1/items/{item}/likes", json={"count": 3})
    assert shared_shell("flush").code == 0
    shared_api.client.post(f"/v1/items/{item}/likes", json={"count": 4})
    assert shared_api.client.get(f"/v1/items/{item}").json() == {
        "item": item, "counter": "likes", "total": 7, "database": 3, "in_flight": 0, "pending": 4, "exact": True,
    }  # fmt: skip


def test_several_totals_in_the_order_asked_for(shared_api: RunningApi, item: str) -> None:
    shared_api.client.post(f"/v1/items/{item}/likes")
    read = shared_api.client.get("/v1/items", params={"item": ["nobody", item, "a/b c+d&e", item]}).json()["items"]
    assert [(each["item"], each["total"]) for each in read] == [("nobody", 0), (item, 1), ("a/b c+d&e", 0), (item, 1)]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_any_item_comes_back_as_it_was_written(shared_api: RunningApi, hostile: str) -> None:
    path = f"/v1/items/{quote(hostile, safe='')}"
    before = shared_api.client.get(path).json()["total"]
    assert shared_api.client.post(f"{path}/likes").json()["item"] == hostile
    assert shared_api.client.get(path).json() | {"pending": 0, "total": 0} == {
        "item": hostile, "counter": "likes", "total": 0, "database": 0, "in_flight": 0, "pending": 0, "exact": True,
    }  # fmt: skip
    assert shared_api.client.get(path).json()["total"] == before + 1


@pytest.mark.parametrize(
    ("segment", "said"),
    [
        (b"%ff", "not UTF-8"),
        (b"%fe", "not UTF-8"),
        (b"%c0%af", "not UTF-8"),  # an overlong /
        (b"%e0%80%af", "not UTF-8"),
        (b"%ed%a0%80", "not UTF-8"),  # a surrogate
        (b"%00", "control character"),
        (b"a%0d%0aSet-Cookie:x", "control character"),
        (b"%c2%85", "control character"),
        (b"%2e%2e", "POST /v1/likes"),
        (b"%2E", "POST /v1/likes"),
        (b"..", "POST /v1/likes"),
        (b".", "POST /v1/likes"),
        (b"x" * 256, "256 bytes"),
        (b"%F0%9F%92%99" * 64, "256 bytes"),
    ],
)
def test_an_item_that_cannot_be_one_is_named(shared_api: RunningApi, segment: bytes, said: str) -> None:
    answer = get(shared_api.address, b"/v1/items/" + segment)
    assert (answer.status, answer.json["type"]) == (400, "invalid-input")
    assert said in answer.json["detail"]


@pytest.mark.parametrize(
    ("malformed", "named"),
    [(b"%zz", "%zz"), (b"100%", "%"), (b"a%4", "%4"), (b"%%41", "%"), (b"a%25%g1b", "%g1"), (b"%u0041", "%u0")],
)
def test_a_percent_sign_that_begins_no_escape_is_named(shared_api: RunningApi, malformed: bytes, named: str) -> None:
    """One route after the other: also the one that counts plain likes by itself."""
    item = b"/v1/items/" + malformed
    queries = [
        b"/v1/items?item=a&item=" + malformed,
        b"/v1/events?item=" + malformed,
        b"/v1/items/a?counter=" + malformed,
    ]
    with Wire(shared_api.address) as wire:
        for method, target in [
            (b"POST", item + b"/likes"),
            (b"DELETE", item + b"/likes"),
            *((b"GET", target) for target in (item, *queries, b"/v1/top?" + malformed + b"=1")),
        ]:
            answer = wire.ask(method + b" " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (answer.status, answer.json["type"]) == (400, "invalid-input"), (target, answer)
            assert f"'{named}' in the" in answer.json["detail"] and "%25" in answer.json["detail"]


def test_a_percent_sign_is_part_of_an_item_where_it_is_escaped(shared_api: RunningApi) -> None:
    with Wire(shared_api.address) as wire:
        like = b"POST /v1/items/100%25zz/likes HTTP/1.1\r\nHost: localhost\r\n"
        for headers in (b"", b"X-By-The-Application: 1\r\n"):
            assert wire.ask(like + headers + b"\r\n").json["item"] == "100%zz"
    assert shared_api.client.get("/v1/items?item=100%25zz").json()["items"][0]["total"] == 2


def test_a_path_that_is_not_ascii_is_no_http(shared_api: RunningApi) -> None:
    assert get(shared_api.address, "/v1/items/é".encode()).status == 400


@pytest.mark.parametrize(
    "target",
    [
        b"/v1/items",  # none asked for
        b"/v1/items?item=",
        b"/v1/items?item=%ff",
        b"/v1/items?item=%00",
        b"/v1/items?item=a&items=b",
        b"/v1/items?item=a&counter=x&counter=y",
        b"/v1/items/a?counter=a%20b",
        b"/v1/items/a?counter=" + b"x" * 65,
        b"/v1/items/a?nonsense",
        b"/v1/items?" + b"&".join([b"item=a"] * 101),
    ],
)
def test_a_query_that_cannot_be_meant(shared_api: RunningApi, target: bytes) -> None:
    answer = get(shared_api.address, target)
    assert (answer.status, answer.json["type"]) == (400, "invalid-input"), answer


def test_a_count_in_the_query_is_refused_not_passed_over(shared_api: RunningApi, item: str) -> None:
    refused = shared_api.client.post(f"/v1/items/{item}/likes?count=5")
    assert refused.status_code == 400
    assert "'count'" in refused.json()["detail"]
    assert shared_api.client.get(f"/v1/items/{item}").json()["total"] == 0


def test_an_unlike_with_a_body_is_refused(shared_api: RunningApi, item: str) -> None:
    refused = shared_api.client.request("DELETE", f"/v1/items/{item}/likes", json={"count": 5})
    assert (refused.status_code, shared_api.client.get(f"/v1/items/{item}").json()["total"]) == (400, 0)


def test_totals_are_read_with_head_too(shared_api: RunningApi, item: str) -> None:
    head, whole = (shared_api.client.request(method, f"/v1/items/{item}") for method in ("HEAD", "GET"))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]


def test_every_answer_keeps_browsers_from_guessing_and_caching(shared_api: RunningApi, item: str) -> None:
    paths = {f"/v1/items/{item}": 200, "/v1/items": 400, "/nowhere": 404, "/openapi.json": 200}
    answers: dict[str, Any] = {path: shared_api.client.get(path) for path in paths}
    assert {path: answer.status_code for path, answer in answers.items()} == paths
    for answer in answers.values():
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answers[f"/v1/items/{item}"].headers["cache-control"] == "no-store"
