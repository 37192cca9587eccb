"""`likes post --file`: every line is accepted, rejected by its number, or said to be unknown or not counted."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from likes.items import MAX_COUNT
from tests.servers import RedisServer
from tests.shell import Shell
from tests.waiting import wait_until

AWKWARD = ["{}", ":", "*", "'\"", "👍", "A", "a", "é", "e\u0301", "x", "x ", "-1fzGnFwz9M", "a,b", "x" * 255]


@pytest.fixture
def likes(tmp_path: Path, valkey_url: str) -> Shell:
    return Shell(tmp_path, redis_url=valkey_url, shards=2)


def lines(*values: Any) -> bytes:
    return "".join(json.dumps(value) + "\n" for value in values).encode()


def test_good_lines_are_counted_and_bad_ones_named(likes: Shell) -> None:
    content = lines({"item": "a", "count": 3}, {"item": "a", "count": 1.5}, {"item": "a"}, {"item": ""}, {"item": "b"})
    posted = likes("post", "--file", "-", "--json", stdin=content)
    assert posted.code == 3
    assert posted.json.items() >= {"accepted": 3, "rejected": 2, "items": 2, "delta": 5}.items()
    assert posted.err.splitlines() == [
        "line 2: count 1.5 is not a whole number",
        "line 4: item is empty; give it 1 to 255 bytes",
    ]
    assert [total["total"] for total in likes("get", "a", "b", "--json").json] == [4, 1]


def test_only_the_first_bad_lines_are_named(likes: Shell) -> None:
    posted = likes("post", "--file", "-", "--format", "ndjson", stdin=b"bad\n" * 50)
    assert (posted.code, posted.out) == (3, "0 lines accepted (0 items, +0), 50 rejected\n")
    assert posted.err.splitlines()[19:] == ["line 20: not JSON: Expecting value at column 1", "and 30 more lines"]


def test_strict_posts_nothing_if_a_line_is_bad(likes: Shell) -> None:
    refused = likes("post", "--file", "-", "--strict", stdin=b"a\n\xff\n")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith("line 2: not UTF-8")
    assert likes("get", "a", "--json").json[0]["total"] == 0
    assert likes("post", "--file", "-", "--strict", stdin=b"a\nb\n").code == 0
    assert likes("get", "a", "--json").json[0]["total"] == 1


def test_counts_that_add_up_to_more_than_one_call_takes(likes: Shell) -> None:
    content = lines(*[{"item": "large", "count": MAX_COUNT}] * 5, {"item": "large", "count": -1})
    posted = likes("post", "--file", "-", "--json", "--counter", "views", stdin=content).json
    assert (posted["accepted"], posted["delta"]) == (6, 5 * MAX_COUNT - 1)
    assert likes("get", "large", "-c", "views", "--json").json[0]["total"] == 5 * MAX_COUNT - 1


def test_awkward_items_stay_apart_on_every_database(likes: Shell, migrated_url: str) -> None:
    content = lines(*({"item": item, "count": count} for count, item in enumerate(AWKWARD, start=1)))
    assert likes("post", "--file", "-", stdin=content).code == 0
    assert likes("flush", database_url=migrated_url).code == 0
    totals = likes("totals", "--json", "--", *AWKWARD, database_url=migrated_url).json
    assert [(total["item"], total["total"]) for total in totals] == [(item, i) for i, item in enumerate(AWKWARD, 1)]


def test_what_redis_refuses_alone_is_rejected_by_its_lines(likes: Shell, valkey_url: str) -> None:
    likes("post", "full")
    with redis.Redis.from_url(valkey_url) as client:
        (key,) = client.keys("*:delta:likes:full")
        client.set(key, 2**63 - 1)
        posted = likes("post", "--file", "-", "--json", stdin=b"full\nfree\nfull\n")
    assert posted.code == 3
    assert (posted.json["accepted"], posted.json["rejected"]) == (1, 2)
    assert posted.err.splitlines()[0].startswith("line 1: item 'full': its pending delta would leave 64 bits")


@pytest.fixture
def dying(tmp_path: Path, own_valkey: Callable[..., RedisServer]) -> tuple[Shell, RedisServer]:
    server = own_valkey()
    return Shell(tmp_path, redis_url=server.url, shards=2, redis_timeout=0.3), server


def test_redis_goes_away_in_the_middle(dying: tuple[Shell, RedisServer]) -> None:
    likes, server = dying
    process = likes.start("post", "--file", "-", "--json")
    assert process.stdin
    with process, redis.Redis.from_url(server.url) as client:
        process.stdin.write(b"early\n" * 10_001)
        process.stdin.flush()
        wait_until(lambda: client.keys("*:delta:likes:early"))
        server.kill()
        out, err = process.communicate(b"late\n" * 5)
    assert process.returncode == 5
    assert json.loads(out)["accepted"] == 10_000
    told, error = err.decode().splitlines()
    assert told == "Not counted: lines 10001-10006, and all lines after 10006"
    assert error.startswith("Error: Redis at 127.0.0.1:")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_the_middle(likes: Shell, valkey_url: str, number: signal.Signals, code: int) -> None:
    process = likes.start("post", "--file", "-")
    assert process.stdin
    with process, redis.Redis.from_url(valkey_url) as client:
        process.stdin.write(b"early\n" * 10_001)
        process.stdin.flush()
        wait_until(lambda: client.keys("*:delta:likes:early"))
        process.send_signal(number)
        out, err = process.communicate()
    assert process.returncode == code
    assert (out, err) in (
        (
            b"10,000 lines accepted (1 item, +10,000), 0 rejected\n",
            b"Not counted: all lines after 10000\n",
        ),
        (  # the signal came before Redis's answer was read
            b"0 lines accepted (0 items, +0), 0 rejected\n",
            b"Whether these were counted is unknown: lines 1-10000\nNot counted: all lines after 10000\n",
        ),
    )
