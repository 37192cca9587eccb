"""Keys: full ones may do everything, public ones like and read, and without one nothing is said."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import httpx
import pytest
from fastapi import FastAPI

from likes.api import problems
from likes.api.keys import Anyone, Caller, Door, Full
from likes.config.settings import Settings
from likes.errors import SettingsError
from tests.running_api import RunningApi
from tests.servers import Server
from tests.shell import Shell

FULL, OTHER, PUBLIC = token_hex(16), token_hex(16), token_hex(16)
LIKE = "/v1/items/a/likes"
ROUTES = [("POST", LIKE), ("DELETE", LIKE), ("POST", "/v1/likes"), ("GET", "/v1/items/a"), ("GET", "/v1/items?item=a"),
          ("GET", "/v1/top")]  # fmt: skip


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, valkey_server: Server, sqlite_template: Path) -> Iterator[RunningApi]:
    folder = tmp_path_factory.mktemp("keys")
    database = f"sqlite:///{shutil.copy(sqlite_template, folder)}"
    keys = {"api_keys": f"{FULL},{OTHER}", "public_keys": PUBLIC}
    shell = Shell(folder, redis_url=valkey_server.url, database_url=database, prefix=folder.name, **keys)
    with RunningApi(shell) as api:
        yield api


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nothing_is_answered_without_a_key(api: RunningApi, method: str, path: str) -> None:
    answer = api.client.request(method, path)
    assert (answer.status_code, answer.json()["type"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == 'Bearer realm="likes"'


@pytest.mark.parametrize("key", [FULL, OTHER, PUBLIC], ids=["full", "other", "public"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_key_may_like_and_read(api: RunningApi, method: str, path: str, key: str) -> None:
    body = {"likes": [{"item": "a"}]} if path == "/v1/likes" else None
    assert api.client.request(method, path, json=body, headers=bearer(key)).is_success


def test_a_public_key_counts_one_at_a_time(api: RunningApi) -> None:
    """Every browser knows it: a rate limit would mean nothing else."""
    mine = bearer(PUBLIC)
    for count, status in ((1, 202), (-1, 202), (2, 403), (-2, 403), (100_000, 403)):
        assert api.client.post("/v1/items/one/likes", json={"count": count}, headers=mine).status_code == status
    entries = [{"item": "one", "count": count} for count in (1, 5)]
    results = api.client.post("/v1/likes", json={"likes": entries}, headers=mine).json()["results"]
    assert [result.get("type") for result in results] == [None, "forbidden"]
    assert api.client.post("/v1/items/one/likes", json={"count": 2}, headers=bearer(FULL)).status_code == 202


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"bearer  {FULL}"},
        {"Authorization": f"BEARER {FULL}"},
        {"X-API-Key": FULL},
        {"X-API-Key": FULL, "Authorization": "Bearer a-token-of-a-session"},
        {"X-API-Key": FULL, "Authorization": "Basic dTpw"},
    ],
)
def test_how_a_key_is_sent(api: RunningApi, headers: dict[str, str]) -> None:
    assert api.client.get("/v1/items/a", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", f"Bearer {FULL}x")],
        [("Authorization", f"Bearer {FULL[:-1]}")],
        [("Authorization", f"Bearer {FULL.upper()}")],
        [("Authorization", f"Bearer {FULL},{OTHER}")],
        [("Authorization", f"Basic {FULL}")],
        [("Authorization", FULL)],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer \u00e9".encode().decode("latin-1"))],
        [("Authorization", f"Bearer {FULL}"), ("Authorization", "Bearer x")],
        [("X-API-Key", "wrong"), ("Authorization", f"Bearer {FULL}")],
        [("X-API-Key", FULL), ("X-API-Key", FULL)],
    ],
)
def test_what_is_no_key(api: RunningApi, headers: list[tuple[str, str]]) -> None:
    sent = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    answer = api.client.get("/v1/items/a", headers=sent)
    assert answer.status_code == 401


def test_a_wrong_key_is_refused_before_anything_else_is_looked_at(api: RunningApi) -> None:
    for answer in (
        api.client.post(LIKE, content=b"{", headers={"Content-Type": "application/json", **bearer("wrong")}),
        api.client.get("/v1/items/%00", headers=bearer("wrong")),
        api.client.get("/v1/items?nonsense", headers=bearer("wrong")),
    ):
        assert (answer.status_code, answer.headers["www-authenticate"]) == (
            401,
            'Bearer realm="likes", error="invalid_token"',
        )


def test_keys_are_nowhere_to_be_read(api: RunningApi) -> None:
    documents = [api.client.get(path).text for path in ("/openapi.json", "/docs")]
    problem = api.client.get("/v1/items/%00", headers=bearer(FULL)).text
    refused = api.client.get("/v1/items/a", headers=bearer("a-key-that-is-wrong")).text
    said = "".join([*documents, problem, refused, *api.lines])
    assert not [key for key in (FULL, OTHER, PUBLIC, "a-key-that-is-wrong") if key in said]


def test_with_keys_any_host_will_do(api: RunningApi) -> None:
    headers = {"Host": "likes.example.org", "Sec-Fetch-Site": "cross-site", **bearer(PUBLIC)}
    assert api.client.post(LIKE, headers=headers).status_code == 202


def test_the_document_says_which_key_is_needed(api: RunningApi) -> None:
    document = api.client.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    needed = {
        f"{method.upper()} {path}": [" and ".join(way) for way in operation.get("security", ())]
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    full = {"POST /v1/sessions", "GET /v1/sessions", "DELETE /v1/sessions"}
    token = {"GET /v1/session", "PATCH /v1/session", "DELETE /v1/session"}
    none = {"GET /livez", "GET /readyz"}
    assert needed == {
        **{name: ["key"] for name in needed},
        **{name: ["fullKey"] for name in full},
        **{name: ["session"] for name in token},
        **{name: [] for name in none},
        "POST /v1/session/rotate": ["session", "session and fullKeyBeside"],
    }


def own_routes() -> FastAPI:
    """Routes for either kind of key that tell who asks."""
    app = FastAPI()
    app.state.door = Door(Settings(api_keys=FULL, public_keys=PUBLIC))
    problems.install(app)

    @app.get("/anyone")
    async def anyone(caller: Caller = Anyone) -> list[object]:
        return list(caller)

    @app.get("/full", dependencies=[Full])
    async def full() -> str:
        return "yes"

    return app


def test_a_public_key_may_not_do_what_takes_a_full_one() -> None:
    app = own_routes()

    def ask(path: str, key: str) -> httpx.Response:
        async def asked() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
                return await client.get(path, headers=bearer(key))

        return asyncio.run(asked())

    refused = ask("/full", PUBLIC)
    assert (refused.status_code, refused.json()["type"]) == (403, "forbidden")
    assert [ask("/full", FULL).status_code, ask("/anyone", PUBLIC).status_code] == [200, 200]
    names = {key: ask("/anyone", key).json() for key in (FULL, PUBLIC)}
    assert (names[FULL][1], names[PUBLIC][1], len({name for name, _ in names.values()})) == (True, False, 2)
    assert not [key for key in names if key in str([*names.values()])]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "likes.example.org"])
def test_off_loopback_it_does_not_start_without_keys(tmp_path: Path, host: str) -> None:
    refused = Shell(tmp_path)("serve", http_host=host, http_port=0)
    assert refused.code == 2
    assert "LIKES_HTTP_HOST" in refused.err
    assert "LIKES_API_KEYS is not set" in refused.err
    made = refused.err.partition("`")[2].partition("`")[0]
    assert Door(Settings(http_host=host, api_keys=subprocess.check_output(made.split(), text=True).strip())).needs_key


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "LOCALHOST"])
def test_on_loopback_it_needs_none(host: str) -> None:
    assert not Door(Settings(http_host=host)).needs_key
    assert not Door(Settings(http_host="0.0.0.0", http_unix_socket="/run/likes.sock")).needs_key


def test_public_keys_alone_or_the_same_key_twice_are_refused() -> None:
    for keys in ({"public_keys": PUBLIC}, {"public_keys": f"{PUBLIC},{FULL}", "api_keys": FULL}):
        with pytest.raises(SettingsError, match="LIKES_PUBLIC_KEYS"):
            Door(Settings(**keys))
