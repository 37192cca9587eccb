"""`likes post --file`: every line is accepted, rejected by its number, or said to be unknown or not counted."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import redis

from likes.items import MAX_COUNT
from tests.shell import Shell

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


def test_gzip_is_read_from_a_file_and_from_stdin(likes: Shell, tmp_path: Path) -> None:
    packed = gzip.compress(b"item,count\na,3\n")
    (tmp_path / "likes.csv.gz").write_bytes(packed)
    assert likes("post", "--file", "likes.csv.gz").code == 0
    assert likes("post", "--file", "-", "--strict", stdin=packed).code == 0
    assert likes("get", "a", "--json").json[0]["total"] == 6


def test_gzip_that_ends_early_is_posted_up_to_the_line_that_is_told(likes: Shell, tmp_path: Path) -> None:
    content = lines(*({"item": f"{number:x}" * 9} for number in range(15_000)))
    (tmp_path / "cut.gz").write_bytes(gzip.compress(content)[:-1000])
    posted = likes("post", "--file", "cut.gz", "--json")
    assert (posted.code, posted.json["accepted"], posted.json["from_line"]) == (1, 10_000, 10_001)
    assert "the file cannot be read to its end" in posted.err
    (tmp_path / "whole.gz").write_bytes(gzip.compress(content))
    assert likes("post", "--file", "whole.gz", "--json", "--from-line", "10001").json["accepted"] == 5000


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"video:42,3\nvideo:7,1\n", "--format lines"), ("item\n".encode("utf-16"), "iconv"), (b"BZh9", "bzcat")],
)
def test_what_is_probably_no_list_of_items_is_refused_with_the_way_out(likes: Shell, content: bytes, told: str) -> None:
    refused = likes("post", "--file", "-", stdin=content)
    assert (refused.code, refused.out) == (2, "")
    assert told in refused.err and len(refused.err.splitlines()) == 1
    assert likes("status", "--json").json["pending_items"] == 0


def test_extra_fields_are_ignored_only_where_asked_for(likes: Shell) -> None:
    content = lines({"item": "a", "at": "2026-01-01"}, {"item": "b"})
    assert likes("post", "--file", "-", "--extra", "ignore", stdin=content).code == 0
    refused = likes("post", "--file", "-", stdin=content)
    assert (refused.code, "unknown field 'at'" in refused.err) == (3, True)


@pytest.mark.parametrize("words", [["--from-line", "2"], ["--extra", "ignore"], ["--rejects", "x"], ["--strict"]])
def test_what_is_for_files_is_refused_for_an_item(likes: Shell, words: list[str]) -> None:
    assert likes("post", "a", *words).code == 2


def test_a_line_to_begin_with_that_is_none(likes: Shell) -> None:
    for word in ("0", "-3", "x"):
        assert likes("post", "--file", "-", "--from-line", word, stdin=b"a\n").code == 2
