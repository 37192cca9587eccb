"""The OpenAPI document says what is true: schemathesis asks the API for all it promises, and for what it forbids."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import jsonschema_rs
import pytest

from likes import api as api_package
from likes.api.app import make_app
from likes.api.once import key_of
from likes.api.problems import KINDS, Problem
from likes.api.schemas import IDEMPOTENCY_KEY
from likes.config.settings import Settings
from likes.items import MAX_ITEM_BYTES
from tests.event_reader import events
from tests.running_api import RunningApi
from tests.shell import Shell

# A stream does not end: one event is read. What is allowed may still have an idempotency key that was used before, 422.
# An entry that is not allowed is refused alone: the others count, 202, or are others than the key was used for, 422.
CONFIG = f"""
hooks = "{Path(__file__).with_name("exploring.py")}"
workers = 1
max-stream-events = 1
[generation]
max-examples = 20
[checks]
positive_data_acceptance.expected-statuses = ["2xx", 401, 403, 409, 422, "5xx"]
[[operations]]
include-name = "POST /v1/likes"
checks.negative_data_rejection.expected-statuses = [202, 400, 401, 413, 415, 422]
"""


def explore(api: RunningApi, folder: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """All checks of schemathesis, over examples, limits, random and stateful requests."""
    (folder / "schemathesis.toml").write_text(CONFIG)
    return subprocess.run(
        [Path(sys.executable).with_name("schemathesis"), "run", f"{api.address}/openapi.json", "--no-color", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_schemathesis_finds_nothing(shared_api: RunningApi, tmp_path: Path) -> None:
    done = explore(shared_api, tmp_path)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "Tested: 16" in done.stdout
    assert not shared_api.said("not_caught")


def test_schemathesis_finds_nothing_where_keys_are_needed(
    tmp_path: Path, valkey_url: str, sqlite_template: Path
) -> None:
    key = token_hex(16)
    database = f"sqlite:///{shutil.copy(sqlite_template, tmp_path)}"
    shell = Shell(tmp_path, redis_url=valkey_url, database_url=database, api_keys=key, rate_limit="1000000/1s")
    with RunningApi(shell) as api:
        done = explore(api, tmp_path, "--phases", "examples,coverage", EXPLORED_WITH_KEY=key)
        assert done.returncode == 0, done.stdout[-6000:]
        assert not api.said("not_caught")


@pytest.fixture
def document(shared_api: RunningApi) -> Any:
    return shared_api.client.get("/openapi.json").json()


def operations(document: Any) -> list[tuple[str, Any]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_error_is_said_to_be_a_problem(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    for name, operation in operations(document):
        errors = {status: said for status, said in operation["responses"].items() if status >= "400"}
        assert {"400", "403", "500", "503"} <= set(errors), name
        assert ({"413", "415"} <= set(errors)) == ("requestBody" in operation), name
        for said in errors.values():
            assert said["content"] == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def test_a_like_needs_no_body_and_many_do(document: Any) -> None:
    bodies = {name: each["requestBody"]["required"] for name, each in operations(document) if "requestBody" in each}
    assert bodies == {
        "POST /v1/items/{item}/likes": False,
        "POST /v1/likes": True,
        "POST /v1/sessions": False,
        "PATCH /v1/session": True,
        "POST /v1/session/rotate": False,
    }


def test_limits_are_those_of_the_library(document: Any) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["Entry"]["properties"]["item"]["maxLength"] == MAX_ITEM_BYTES
    assert schemas["Like"]["properties"]["count"] == {
        "type": "integer", "minimum": -(2**31), "maximum": 2**31, "default": 1,
        "description": "how many more; negative ones count down",
    }  # fmt: skip
    assert schemas["Likes"]["properties"]["likes"]["maxItems"] == 1000


def test_without_keys_none_is_asked_for(document: Any) -> None:
    assert [*document["components"]["securitySchemes"]] == ["session"]
    asking = {name: operation["security"] for name, operation in operations(document) if "security" in operation}
    assert {name.partition(" ")[2] for name in asking} == {"/v1/session", "/v1/session/rotate"}
    assert all(ways == [{"session": []}] for ways in asking.values())
    assert all(("401" in operation["responses"]) == (name in asking) for name, operation in operations(document))


def types_in(source: Path) -> Iterator[str]:
    """The words that a module gives problems."""
    for call in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(call, ast.Call) and (name := getattr(call.func, "id", getattr(call.func, "attr", ""))):
            words = {"Problem": call.args[1:2], "_unavailable": call.args[:1]}.get(name, [])
            yield from (word.value for word in words if isinstance(word, ast.Constant))


def test_types_of_problems_are_listed_for_programs(document: Any) -> None:
    listed = document["components"]["schemas"]["Problem"]["properties"]["type"]["description"]
    found = {word for source in Path(api_package.__file__).parent.rglob("*.py") for word in types_in(source)}
    assert {"session-over", "too-many-connections"} <= found
    assert found | {kind.type for kind in KINDS.values()} <= set(listed.replace(",", " ").split())


def test_a_rate_limit_is_told_of_where_there_is_one(document: Any) -> None:
    assert not [name for name, operation in operations(document) if "429" in operation["responses"]]
    limited = make_app(Settings(rate_limit="3/1s")).openapi()
    for name, operation in operations(limited):
        fine, refused = operation["responses"][min(operation["responses"])], operation["responses"].get("429")
        assert bool(refused) == ("headers" in fine) == (" /v1/" in name), name
        if refused:
            assert {*refused["headers"]} == {"RateLimit", "RateLimit-Policy", "Retry-After"} > {*fine["headers"]}


def test_writes_may_have_an_idempotency_key(document: Any) -> None:
    writes = {"POST /v1/items/{item}/likes", "DELETE /v1/items/{item}/likes", "POST /v1/likes"}
    for name, operation in operations(document):
        headers = [each for each in operation.get("parameters", ()) if each["name"] == "Idempotency-Key"]
        assert bool(headers) == ("422" in operation["responses"]) == ("409" in operation["responses"])
        assert bool(headers) == (name in writes)


@pytest.mark.parametrize(
    ("key", "is_one"),
    [
        ("x" * 255, True), ("x" * 256, False), ('"' + "x" * 255 + '"', True), ('"' + "x" * 256 + '"', False),
        ('"two words"', True), ("two words", False), (r'"a \"b\" \\"', True), (r'"a\b"', False), ("", False),
        ('""', False), ('"open', False), ("8e03978e-40d5", True), ("\u00e9", False),
    ],
)  # fmt: skip
def test_the_pattern_of_idempotency_keys_is_what_is_read(key: str, *, is_one: bool) -> None:
    scope = {"headers": [(b"idempotency-key", key.encode())], "raw_path": b"/", "method": "POST"}
    assert bool(re.search(IDEMPOTENCY_KEY["pattern"], key)) == is_one
    if is_one:
        assert key_of(scope)
    else:
        with pytest.raises(Problem):
            key_of(scope)


def test_events_are_as_the_document_says(shared_api: RunningApi, document: Any) -> None:
    with events(shared_api.client, "/v1/events", item=["a", "b"]) as stream:
        event = stream.event()
    found = document["paths"]["/v1/events"]["get"]["responses"]["200"]["content"]["text/event-stream"]["itemSchema"]
    assert found == {"$ref": "#/components/schemas/Event"}
    told = {"counter": "likes", "items": ["a"], "type": "internal", "title": "x", "status": 500, "detail": "x"}
    for name, data in ((event.name, event.data), ("trouble", told)):
        (schema,) = [
            each["properties"]["data"]["contentSchema"]
            for each in document["components"]["schemas"]["Event"]["oneOf"]
            if each["properties"]["event"]["const"] == name
        ]
        validator = jsonschema_rs.validator_for({**schema, "components": document["components"]})
        validator.validate(data)
        assert not validator.is_valid({**data, "counter": "a:b"})
