"""Idempotency-Key over real sockets: a write counts once, whichever process it is repeated on."""

from __future__ import annotations

import pytest

from tests.proxy import Proxy
from tests.running_api import RunningApi
from tests.shell import Shell

ITEM = "/v1/items/a/likes"


def key(value: str) -> dict[str, str]:
    return {"Idempotency-Key": value}


def test_a_repeat_is_answered_as_the_first_was(api: RunningApi) -> None:
    first = api.client.post(ITEM, headers=key("one"), json={"count": 3})
    api.client.post(ITEM)
    again = api.client.post(ITEM, headers=key('"one"'), json={"counter": "likes", "count": 3})
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json() == {"item": "a", "counter": "likes", "delta": 3, "pending": 3}
    assert api.client.get("/v1/items/a").json()["total"] == 4


def test_the_scope_of_a_key_is_method_and_path(api: RunningApi) -> None:
    for method, path in (("POST", ITEM), ("DELETE", ITEM), ("POST", "/v1/items/b/likes")):
        for _ in range(2):
            assert api.client.request(method, path, headers=key("one")).status_code == 202
    assert api.client.get("/v1/items/a").json()["total"] == 0
    assert api.client.get("/v1/items/b").json()["total"] == 1


def test_another_body_under_a_key_is_unprocessable(api: RunningApi) -> None:
    assert api.client.post(ITEM, headers=key("one")).status_code == 202
    other = api.client.post(ITEM, headers=key("one"), json={"count": 2})
    assert (other.status_code, other.json()["type"]) == (422, "idempotency-key-reused")
    assert api.client.get("/v1/items/a").json()["total"] == 1


@pytest.mark.parametrize(
    "value", ["", '""', '"open', 'a "b"', "two words", "x" * 256, '"' + "x" * 256 + '"', '"a\\b"', "é".encode()]
)
def test_a_key_that_is_none_is_refused(api: RunningApi, value: str | bytes) -> None:
    refused = api.client.post(ITEM, headers={"Idempotency-Key": value})
    assert (refused.status_code, refused.json()["type"]) == (400, "invalid-input")
    assert "Idempotency-Key" in refused.json()["detail"]
    assert api.client.get("/v1/items/a").json()["total"] == 0


def test_two_keys_are_refused(api: RunningApi) -> None:
    refused = api.client.post(ITEM, headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")])
    assert (refused.status_code, refused.json()["type"]) == (400, "invalid-input")


@pytest.mark.parametrize(
    "value", ["x" * 255, '"' + "x" * 255 + '"', '"two words"', '"a \\"b\\" \\\\"', "8e03978e-40d5"]
)
def test_a_key_that_is_one_is_taken(api: RunningApi, value: str) -> None:
    for _ in range(2):
        assert api.client.post(ITEM, headers=key(value)).status_code == 202
    assert api.client.get("/v1/items/a").json()["total"] == 1


def test_a_reply_that_was_lost_is_asked_for_again_on_another_process(likes: Shell, valkey_url: str) -> None:
    with Proxy(valkey_url) as proxy, RunningApi(likes) as other:
        with RunningApi(likes, redis_url=proxy.url, redis_timeout=1) as api:
            assert api.client.post("/v1/items/warm/likes", headers=key("warm")).status_code == 202
            proxy.lose_reply_to("delta:likes:a", times=1_000)
            lost = api.client.post(ITEM, headers=key("one"))
            assert (lost.status_code, lost.json()["type"]) == (503, "outcome-unknown")
            assert lost.headers["Retry-After"] == "1"
            assert "the same idempotency key" in lost.json()["detail"]
            api.kill()
        assert other.client.post(ITEM, headers=key("one")).json()["pending"] == 1
        assert other.client.get("/v1/items/a").json()["total"] == 1


def test_a_batch_that_is_repeated_lacks_what_is_pending(api: RunningApi) -> None:
    batch = {"likes": [{"item": "a", "count": 2}, {"item": "b"}, {"item": "a"}, {"item": ""}]}
    first, again = (api.client.post("/v1/likes", headers=key("batch"), json=batch) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202)
    assert [result.get("pending") for result in first.json()["results"]] == [3, 1, 3, None]
    for result in again.json()["results"]:
        assert "pending" not in result
    assert [result.get("delta") for result in again.json()["results"]] == [2, 1, 1, None]
    other = api.client.post("/v1/likes", headers=key("batch"), json={"likes": [{"item": "c"}]})
    assert (other.status_code, other.json()["type"]) == (422, "idempotency-key-reused")
    totals = api.client.get("/v1/items", params={"item": ["a", "b", "c"]}).json()["items"]
    assert [each["total"] for each in totals] == [3, 1, 0]


def test_two_api_keys_do_not_share_idempotency_keys(likes: Shell) -> None:
    keys = ["a-key-of-the-first-one", "a-key-of-the-second-one"]
    with RunningApi(likes, api_keys=",".join(keys)) as api:
        for each in keys * 2:
            headers = {"Authorization": f"Bearer {each}", **key("one")}
            assert api.client.post(ITEM, headers=headers).status_code == 202
        total = api.client.get("/v1/items/a", headers={"Authorization": f"Bearer {keys[0]}"}).json()["total"]
        assert total == 2
