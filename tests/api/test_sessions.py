"""Sessions over HTTP: real processes, real sockets."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.running_api import RunningApi
from tests.running_worker import RunningWorker
from tests.shell import Shell
from tests.waiting import wait_until

KEY = "a-key-of-some-length"


@pytest.fixture
def likes(likes: Shell) -> Shell:
    assert likes("flush").code == 0
    return likes


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def begin(api: RunningApi, **body: Any) -> str:
    begun = api.client.post("/v1/sessions", json=body)
    assert begun.status_code == 201, begun.text
    return str(begun.json()["token"])


def read(api: RunningApi, token: str) -> httpx.Response:
    return api.client.get("/v1/session", headers=bearer(token))


def kept(likes: Shell) -> list[Any]:
    with sqlite3.connect(str(likes.settings["database_url"]).removeprefix("sqlite:///")) as database:
        rows = database.execute("SELECT username, fields FROM likes_sessions ORDER BY ended_at, username").fetchall()
    return [(user, json.loads(fields)) for user, fields in rows]


def is_over(answer: httpx.Response) -> bool:
    if answer.status_code != 401:
        return False
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "session-over"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    return True


def test_a_session_from_its_beginning_to_its_end(api: RunningApi, likes: Shell) -> None:
    body = {"user": "mary", "fields": {"cart": [{"book": 1}], "theme": "dark"}, "keep": ["cart"]}
    begun = api.client.post("/v1/sessions", json=body)
    assert begun.status_code == 201
    token = begun.json().pop("token")
    expected = {"user": "mary", "fields": body["fields"], "hits": 0}
    assert {name: begun.json()[name] for name in expected} == expected
    lives = datetime.fromisoformat(begun.json()["expires_at"]) - datetime.fromisoformat(begun.json()["created_at"])
    assert lives.total_seconds() == 1800
    first = read(api, token)
    assert (first.status_code, first.json()["hits"], "token" in first.json()) == (200, 1, False)
    changed = api.client.patch("/v1/session", headers=bearer(token), json={"fields": {"theme": None, "page": 2}})
    assert (changed.status_code, changed.json()["fields"]) == (200, {"cart": [{"book": 1}], "page": 2})
    rotated = api.client.post("/v1/session/rotate", headers=bearer(token))
    assert (rotated.status_code, rotated.json()["fields"]) == (200, changed.json()["fields"])
    assert is_over(read(api, token))
    token = rotated.json()["token"]
    assert api.client.delete("/v1/session", headers=bearer(token)).status_code == 204
    assert is_over(api.client.delete("/v1/session", headers=bearer(token)))
    assert is_over(read(api, token))
    assert is_over(api.client.patch("/v1/session", headers=bearer(token), json={"fields": {"a": 1}}))
    assert is_over(api.client.post("/v1/session/rotate", headers=bearer(token)))
    assert kept(likes) == [("mary", {}), ("mary", {"cart": [{"book": 1}]})]


def test_a_cart_made_on_one_process_is_read_on_another_while_the_first_is_killed(likes: Shell) -> None:
    with RunningApi(likes) as one, RunningApi(likes) as other:
        token = begin(one, fields={"cart": ["book"]})
        one.client.patch("/v1/session", headers=bearer(token), json={"fields": {"cart": ["book", "pen"]}})
        one.kill()
        read_there = read(other, token)
        assert (read_there.status_code, read_there.json()["fields"]) == (200, {"cart": ["book", "pen"]})
        assert read_there.json()["hits"] == 2
        with pytest.raises(httpx.TransportError):
            read(one, token)


def test_a_log_in_names_a_user_and_wants_a_key(likes: Shell) -> None:
    with RunningApi(likes, api_keys=KEY) as api:
        for headers in ({}, bearer("another-key-of-some-length")):
            assert api.client.post("/v1/sessions", headers=headers).status_code == 401
            assert api.client.delete("/v1/sessions?user=mary", headers=headers).status_code == 401
        token = api.client.post("/v1/sessions", headers=bearer(KEY), json={"fields": {"cart": 1}}).json()["token"]
        assert read(api, token).json()["user"] is None
        assert read(api, KEY).json()["type"] == "session-over"
        names_mary = {"json": {"user": "mary"}}
        assert api.client.post("/v1/session/rotate", headers=bearer(token), **names_mary).status_code == 401
        both = {**bearer(token), "X-API-Key": KEY}
        logged_in = api.client.post("/v1/session/rotate", headers=both, **names_mary)
        assert (logged_in.status_code, logged_in.json()["user"], logged_in.json()["fields"]) == (
            200,
            "mary",
            {"cart": 1},
        )
        assert is_over(read(api, token))
        assert read(api, logged_in.json()["token"]).status_code == 200


def test_a_users_sessions_are_listed_and_ended(api: RunningApi, likes: Shell) -> None:
    tokens = [begin(api, user="mary", fields={"cart": n}, keep=["cart"]) for n in range(3)]
    other = begin(api, user="bob")
    listed = api.client.get("/v1/sessions?user=mary").json()
    assert [set(each) for each in listed] == [{"id", "hits", "created_at", "last_seen", "expires_at"}] * 3
    of_command = likes("sessions", "list", "mary", "--json").json
    assert of_command == listed
    assert likes("sessions", "list", "bob").out.count("\n") == 2
    assert likes("sessions", "revoke", "mary", "--json").json == {"user": "mary", "ended": 3}
    assert all(is_over(read(api, token)) for token in tokens)
    assert api.client.get("/v1/sessions?user=mary").json() == []
    assert likes("sessions", "revoke", "mary").out == "ended 0 sessions\n"
    assert api.client.delete("/v1/sessions?user=bob").json() == {"ended": 1}
    assert is_over(read(api, other))
    assert sorted(fields["cart"] for _, fields in kept(likes) if fields) == [0, 1, 2]


@pytest.mark.parametrize(
    "body",
    [
        {"user": ""}, {"user": "x" * 256}, {"user": "a\x00b"}, {"user": 1}, {"fields": []}, {"fields": {"a b": 1}},
        {"fields": {"": 1}}, {"fields": {f"f{n}": n for n in range(65)}}, {"fields": {"a": "x" * 17_000}},
        {"keep": ["a b"]}, {"keep": "cart"}, {"keep": [1]}, {"keep": None}, {"fields": None}, {"other": 1}, [], "x",
    ],
)  # fmt: skip
def test_what_no_session_can_hold_is_refused(shared_api: RunningApi, body: Any) -> None:
    refused = shared_api.client.post("/v1/sessions", json=body)
    assert (refused.status_code, refused.json()["type"]) == (400, "invalid-input"), refused.text


@pytest.mark.parametrize(
    ("method", "path", "sent", "said"),
    [
        ("POST", "/v1/sessions", {"json": {"usr": "mary"}}, "'usr' is no field of the body; allowed: user, fields"),
        ("POST", "/v1/sessions?user=mary", {}, "'user' is no parameter"),
        ("GET", "/v1/sessions", {}, "name the user"),
        ("GET", "/v1/sessions?user=mary&user=bob", {}, "user is in the query 2 times"),
        ("GET", "/v1/sessions?user=mary&limit=1", {}, "'limit' is no parameter"),
        ("DELETE", "/v1/sessions?user=mary", {"json": {"user": "bob"}}, "DELETE takes no body"),
        ("GET", "/v1/session?x=1", {}, "'x' is no parameter"),
        ("PATCH", "/v1/session", {"json": {}}, "null removes a field"),
        ("PATCH", "/v1/session", {"json": {"fields": {}, "keep": []}}, "'keep' is no field"),
        ("PATCH", "/v1/session", {"json": {"fields": {f"f{n}": None for n in range(65)}}}, "64 fields"),
        ("PATCH", "/v1/session", {"content": b'{"fields":{"a":1,"a":2}}'}, "'a' twice"),
        ("POST", "/v1/session/rotate", {"json": {"user": 1}}, "user 1 is not"),
        ("POST", "/v1/session/rotate", {"json": {"usr": "mary"}}, "'usr' is no field"),
        ("DELETE", "/v1/session", {"json": {}}, "DELETE takes no body"),
    ],
)
def test_what_is_sent_beside_the_point_is_named(
    shared_api: RunningApi, method: str, path: str, sent: Any, said: str
) -> None:
    token = begin(shared_api, user="mary", fields={"cart": 1})
    headers = bearer(token) | ({"Content-Type": "application/json"} if "content" in sent else {})
    refused = shared_api.client.request(method, path, headers=headers, **sent)
    assert (refused.status_code, refused.json()["type"]) == (400, "invalid-input"), refused.text
    assert said in refused.json()["detail"]
    assert read(shared_api, token).json()["fields"] == {"cart": 1}


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/sessions"), ("PATCH", "/v1/session")])
def test_a_form_is_no_session(shared_api: RunningApi, method: str, path: str) -> None:
    headers = bearer(begin(shared_api))
    for refused in (
        shared_api.client.request(method, path, headers=headers, data={"user": "mary"}),
        shared_api.client.request(method, path, headers={**headers, "Content-Type": "text/plain"}, content=b"{}"),
    ):
        assert (refused.status_code, refused.json()["type"]) == (415, "unsupported-media-type")


@pytest.mark.parametrize("written", ['{"fields":{"a":1e999}}', '{"fields":{"a":NaN}}', '{"fields":{"a":"\\ud800"}}'])
def test_values_that_are_no_json_in_utf_8_are_refused(shared_api: RunningApi, written: str) -> None:
    token = begin(shared_api)
    headers = {**bearer(token), "Content-Type": "application/json"}
    assert shared_api.client.patch("/v1/session", headers=headers, content=written).status_code == 400
    assert read(shared_api, token).json()["fields"] == {}


@pytest.mark.parametrize("header", ["", "Bearer", "Basic abc", "Bearer a b", "Bearer é", "Bearer 3.x"])
def test_without_a_token_there_is_no_session(shared_api: RunningApi, header: str) -> None:
    answer = shared_api.client.get("/v1/session", headers={"Authorization": header.encode()} if header else {})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["type"] in ("no-session", "session-over")


def test_a_session_that_expired_is_swept_into_sql_by_the_worker(likes: Shell) -> None:
    settings = {"session_idle_seconds": 1, "session_max_seconds": 60}
    with RunningApi(likes, **settings) as api, RunningWorker(likes, interval=0.2, **settings) as worker:
        token = begin(api, user="mary", fields={"cart": ["book"], "theme": "dark"}, keep=["cart"])
        wait_until(lambda: kept(likes) == [("mary", {"cart": ["book"]})])
        assert is_over(read(api, token))
        assert worker.stop() == 0


def test_with_the_database_away_sessions_go_on_and_end_and_are_kept_later(
    likes: Shell, tmp_path: Path, sqlite_url: str
) -> None:
    with RunningApi(likes, database_url=f"sqlite:///{tmp_path}/nowhere/likes.db") as api:
        token = begin(api, user="mary", fields={"cart": 1}, keep=["cart"])
        assert read(api, token).status_code == 200
        assert api.client.delete("/v1/session", headers=bearer(token)).status_code == 204
        assert is_over(read(api, token))
    assert kept(likes) == []
    assert likes("flush").code == 0
    assert kept(likes) == [("mary", {"cart": 1})]
