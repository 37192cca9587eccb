"""Many likes in one request: each entry is counted or refused for itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis

from tests.proxy import Proxy
from tests.running_api import RunningApi
from tests.servers import RedisServer
from tests.shell import Shell


def post(api: RunningApi, *entries: Any) -> tuple[int, Any]:
    body = json.dumps({"likes": entries})  # which writes a lone surrogate as JSON can
    answer = api.client.post("/v1/likes", content=body, headers={"Content-Type": "application/json"})
    return answer.status_code, answer.json()


def fresh() -> str:
    return f"video:{uuid4().hex}"


def test_a_result_for_each_entry(shared_api: RunningApi) -> None:
    one, other = fresh(), fresh()
    status, answer = post(
        shared_api,
        {"item": one},
        {"item": other, "count": 3, "counter": "views"},
        {"item": one, "count": -4},
        {"item": other},
    )
    assert status == 202
    assert answer == {
        "results": [
            {"item": one, "counter": "likes", "delta": 1, "pending": -3},
            {"item": other, "counter": "views", "delta": 3, "pending": 3},
            {"item": one, "counter": "likes", "delta": -4, "pending": -3},
            {"item": other, "counter": "likes", "delta": 1, "pending": 1},
        ]
    }


def test_a_refused_entry_says_why_and_the_others_count(shared_api: RunningApi) -> None:
    good = fresh()
    wrong: list[tuple[Any, str]] = [
        ({"item": ""}, "item is empty"),
        ({"item": 1}, "not text"),
        ({"item": None}, "not text"),
        ({"item": "\x00"}, "control character"),
        ({"item": "x" * 256}, "256 bytes"),
        ({"item": "\ud800"}, "surrogate"),
        ({"item": "a", "count": 2**31 + 1}, "not within"),
        ({"item": "a", "count": True}, "whole number"),
        ({"item": "a", "counter": "a b"}, "counter"),
        ({"item": "a", "like": 1}, "'like' is no field of an entry"),
        ({}, "no item"),
        ("a", "not a JSON object"),
        (None, "not a JSON object"),
        ([], "not a JSON object"),
    ]
    status, answer = post(shared_api, *(entry for entry, _ in wrong), {"item": good})
    assert status == 202
    *refused, counted = answer["results"]
    assert counted["pending"] == 1
    for result, (_, said) in zip(refused, wrong, strict=True):
        assert (result["status"], result["type"]) == (400, "invalid-input")
        assert said in result["detail"]
    assert refused[6]["item"] == "a"


@pytest.mark.parametrize("wrong", [{"like": 1}, {"count": 1.5}, {"counter": "a b"}, {"counter": []}])
def test_an_entry_with_one_thing_wrong_is_not_counted(shared_api: RunningApi, wrong: dict[str, Any]) -> None:
    item, other = fresh(), fresh()
    status, answer = post(shared_api, {"item": other}, {"item": item, **wrong})
    assert (status, [result.get("status") for result in answer["results"]]) == (202, [None, 400])
    assert shared_api.client.get(f"/v1/items/{item}").json()["total"] == 0


def test_a_pending_delta_of_nothing_is_told(shared_api: RunningApi) -> None:
    item = fresh()
    _, answer = post(shared_api, {"item": item, "count": 1.0}, {"item": item, "count": -1})
    assert [result["pending"] for result in answer["results"]] == [0, 0]


def test_items_that_a_path_cannot_hold(shared_api: RunningApi) -> None:
    status, answer = post(shared_api, {"item": "."}, {"item": ".."})
    assert (status, [result["item"] for result in answer["results"]]) == (202, [".", ".."])


def test_if_none_counted_the_answer_is_a_problem_with_all_results(shared_api: RunningApi) -> None:
    status, answer = post(shared_api, {"item": ""}, {"item": "a", "count": 0.5})
    assert (status, answer["type"]) == (400, "invalid-input")
    assert [result["status"] for result in answer["results"]] == [400, 400]


@pytest.mark.parametrize(
    "body", [{}, {"likes": []}, {"likes": {}}, {"likes": [{"item": "a"}] * 1001}, {"like": []}, []]
)
def test_what_is_no_list_of_likes(shared_api: RunningApi, body: Any) -> None:
    answer = shared_api.client.post("/v1/likes", json=body)
    assert (answer.status_code, answer.json()["type"]) == (400, "invalid-input")


def test_a_thousand_entries(shared_api: RunningApi) -> None:
    items = [fresh()[:20] for _ in range(500)]
    status, answer = post(shared_api, *({"item": item} for item in items + items))
    assert (status, {result["pending"] for result in answer["results"]}) == (202, {2})


def test_an_entry_that_redis_refuses_alone(
    tmp_path: Path, own_valkey: Callable[..., RedisServer], sqlite_url: str
) -> None:
    server = own_valkey()
    with RunningApi(Shell(tmp_path, redis_url=server.url, database_url=sqlite_url, shards=1)) as api:
        assert post(api, {"item": "a"})[0] == 202
        with redis.Redis.from_url(server.url, decode_responses=True) as client:
            epoch = client.get("{likes:0}:epoch")
            client.set(f"{{likes:0}}:{epoch}:delta:likes:full", 2**63 - 1)
        status, answer = post(api, {"item": "a"}, {"item": "full"}, {"item": "b"})
    assert status == 202
    assert [result.get("type") for result in answer["results"]] == [None, "entry-refused", None]
    assert [result.get("pending") for result in answer["results"]] == [2, None, 1]


def test_entries_whose_outcome_is_unknown_do_not_hide_the_others(
    tmp_path: Path, own_valkey: Callable[..., RedisServer], sqlite_url: str
) -> None:
    server = own_valkey()
    with Proxy(server.url) as proxy:
        shell = Shell(tmp_path, redis_url=proxy.url, database_url=sqlite_url, shards=2, redis_timeout=1)
        with RunningApi(shell) as api:
            assert post(api, {"item": "a"}, {"item": "d"})[0] == 202  # in shards 1 and 0

            def forget() -> None:
                with redis.Redis.from_url(server.url) as client:
                    for key in client.scan_iter("{likes:0}:*"):
                        client.delete(key)

            proxy.lose_reply_to("{likes:0}", then=forget)
            status, answer = post(api, {"item": "a"}, {"item": "d"}, {"item": ""})
    assert status == 202
    kinds = [result.get("type") for result in answer["results"]]
    assert kinds == [None, "outcome-unknown", "invalid-input"]
