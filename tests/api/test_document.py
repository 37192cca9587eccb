"""The OpenAPI document says what is true: schemathesis asks the API for all it promises, and for what it forbids."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from likes.api.problems import KINDS
from likes.items import MAX_ITEM_BYTES
from tests.running_api import RunningApi
from tests.shell import Shell

# An entry that is not allowed is refused alone: the others count, 202.
CONFIG = f"""
hooks = "{Path(__file__).with_name("item_format.py")}"
workers = 1
[generation]
max-examples = 20
[[operations]]
include-name = "POST /v1/likes"
checks.negative_data_rejection.expected-statuses = [202, 400, 413, 415]
"""


def explore(api: RunningApi, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """All checks of schemathesis, over examples, limits, random and stateful requests."""
    (folder / "schemathesis.toml").write_text(CONFIG)
    return subprocess.run(
        [Path(sys.executable).with_name("schemathesis"), "run", f"{api.address}/openapi.json", "--no-color", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )


def test_schemathesis_finds_nothing(shared_api: RunningApi, tmp_path: Path) -> None:
    done = explore(shared_api, tmp_path)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "Tested: 6" in done.stdout
    assert not shared_api.said("not_caught")


def test_schemathesis_finds_nothing_where_keys_are_needed(
    tmp_path: Path, valkey_url: str, sqlite_template: Path
) -> None:
    key = token_hex(16)
    database = f"sqlite:///{shutil.copy(sqlite_template, tmp_path)}"
    with RunningApi(Shell(tmp_path, redis_url=valkey_url, database_url=database, api_keys=key)) as api:
        done = explore(api, tmp_path, "--header", f"Authorization: Bearer {key}", "--phases", "examples,coverage")
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
    assert bodies == {"POST /v1/items/{item}/likes": False, "POST /v1/likes": True}


def test_limits_are_those_of_the_library(document: Any) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["Entry"]["properties"]["item"]["maxLength"] == MAX_ITEM_BYTES
    assert schemas["Like"]["properties"]["count"] == {
        "type": "integer", "minimum": -(2**31), "maximum": 2**31, "default": 1,
        "description": "how many more; negative ones count down",
    }  # fmt: skip
    assert schemas["Likes"]["properties"]["likes"]["maxItems"] == 1000


def test_without_keys_none_is_asked_for(document: Any) -> None:
    assert "securitySchemes" not in document["components"]
    assert not [name for name, operation in operations(document) if "security" in operation]


def test_types_of_problems_are_listed_for_programs(document: Any) -> None:
    listed = document["components"]["schemas"]["Problem"]["properties"]["type"]["description"]
    assert {kind.type for kind in KINDS.values()} <= set(listed.replace(",", " ").split())
