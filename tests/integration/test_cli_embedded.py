"""The command with nothing set up: an embedded Redis and SQLite in a folder of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import datetime

import pytest

from likes import embedded
from tests.shell import Shell
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def likes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    shell = Shell(tmp_path_factory.mktemp("likes"))
    yield shell
    embedded.stop(shell.folder / "data")


def test_a_like_is_posted_read_flushed_and_found_in_the_database(likes: Shell) -> None:
    assert likes("post", "video:42").out == "video:42: 1 pending\n"
    assert likes("post", "video:42", "-n", "5", "--json").json == {
        "item": "video:42",
        "counter": "likes",
        "delta": 5,
        "pending": 6,
    }
    unliked = likes("unlike", "video:42", "-n", "2", "--json").json
    assert (unliked["delta"], unliked["pending"]) == (-2, 4)

    (before,) = likes("get", "video:42", "--json").json
    assert (
        before.items()
        >= {
            "item": "video:42",
            "counter": "likes",
            "total": 4,
            "database": 0,
            "in_flight": 0,
            "pending": 4,
        }.items()
    )

    flushed = likes("flush", "--json").json
    assert flushed.items() >= {"batches": 1, "items": 1, "delta": 4}.items()
    assert 0 < flushed["seconds"] < 60

    (total,) = likes("totals", "video:42", "--json").json
    assert (total["item"], total["counter"], total["total"]) == ("video:42", "likes", 4)
    assert datetime.fromisoformat(total["updated_at"]).tzinfo


def test_counters_are_counted_apart(likes: Shell) -> None:
    likes("post", "video:7", "--counter", "views", "-n", "3")
    likes("post", "video:7")
    assert likes("get", "video:7", "-c", "views", "--json").json[0]["total"] == 3
    assert likes("get", "video:7", "--json").json[0]["total"] == 1


def test_items_that_begin_with_a_dash_stand_after_two_dashes(likes: Shell) -> None:
    assert likes("post", "--", "-1fzGnFwz9M").out == "-1fzGnFwz9M: 1 pending\n"
    refused = likes("post", "-1fzGnFwz9M")
    assert (refused.code, refused.out) == (2, "")
    assert "an item that begins with - comes after --" in refused.err


def test_plain_columns_where_nobody_watches(likes: Shell) -> None:
    likes("post", "plain", "-n", "12")
    heading, row = likes("get", "plain").out.splitlines()
    assert heading.split() == ["item", "counter", "total", "database", "in", "flight", "pending"]
    assert row.split() == ["plain", "likes", "12", "0", "0", "12"]


def test_totals_in_every_shape(likes: Shell) -> None:
    for item, count in {"small": "1000000", "large": "3000000", "middle": "2000000"}.items():
        likes("post", item, "-n", count)
    likes("flush")
    top = likes("totals", "--top", "2", "--json").json
    assert [(total["item"], total["total"]) for total in top] == [("large", 3_000_000), ("middle", 2_000_000)]
    heading, *rows = likes("totals", "--csv").out.splitlines()
    assert heading == "item,counter,total,updated_at"
    items = [row.split(",")[0] for row in rows]
    assert items == sorted(items)
    assert {"small", "large", "middle"} <= set(items)
    assert [row["total"] for row in likes("totals", "large", "unheard of", "--json").json] == [3_000_000, 0]


def test_history_tells_of_every_batch_the_newest_first(likes: Shell) -> None:
    likes("post", "history")
    likes("flush")
    newest, *_ = likes("history", "--limit", "3", "--json").json
    assert newest.keys() >= {
        "shard", "epoch", "seq", "items", "delta", "sealed_at", "applied_at", "duration_ms", "worker",
    }  # fmt: skip
    assert (newest["items"], newest["delta"]) == (1, 1)
    assert likes("history", "--shard", str(newest["shard"]), "--limit", "1", "--json").json == [newest]


def test_status_says_what_is_where(likes: Shell) -> None:
    likes("flush")
    likes("post", "status")
    status = likes("status", "--json").json
    assert status["pending_items"] == 1
    assert status["in_flight_batches"] == status["incidents"] == status["dead_letters"] == 0
    assert status["oldest_pending_seconds"] >= 0
    assert datetime.fromisoformat(status["last_flush_at"])
    assert [shard["shard"] for shard in status["shards"]] == list(range(16))
    assert "pending items      1\n" in likes("status").out


def test_an_audit_adds_up(likes: Shell) -> None:
    likes("post", "audit", "-n", "7")
    audit = likes("audit", "--json").json
    assert audit["ok"]
    assert audit["accepted"] == audit["applied"] + audit["in_flight"] + audit["pending"]
    assert audit["dead_letters"] == 0
    assert audit["totals"] == audit["applied"]
    assert len(audit["shards"]) == 16
    assert likes("audit").out.endswith("all likes are accounted for\n")


def test_check_finds_nothing_wrong_and_shows_the_settings(likes: Shell) -> None:
    checked = likes("check", "--json", "--shards", "16").json
    assert checked["ok"]
    assert {finding["level"] for finding in checked["findings"]} <= {"ok", "info"}
    found = {finding["name"]: finding["found"] for finding in checked["findings"]}
    assert found["LIKES_SHARDS"] == "16"
    assert found["eviction"].startswith("noeviction")
    assert found["schema"].startswith("at revision")


def test_the_embedded_redis_is_shown_stopped_and_started_again(likes: Shell) -> None:
    likes("post", "kept")
    running = likes("embedded", "status", "--json").json
    assert running["running"]
    assert running["pid"] > 0
    assert likes("embedded", "stop").out == "stopped\n"
    assert likes("embedded", "status", "--json").json["running"] is False
    assert likes("embedded", "stop").out == "it was not running\n"
    assert likes("get", "kept", "--json").json[0]["total"] == 1


def test_a_stop_in_order_is_no_incident(likes: Shell) -> None:
    likes("post", "stopped")
    likes("flush")
    before = likes("status", "--json").json["incidents"]
    for _ in range(2):
        likes("post", "stopped")
        assert likes("embedded", "stop").out == "stopped\n"
    assert likes("flush", "--json").json["delta"] == 2
    assert likes("status", "--json").json["incidents"] == before


def test_a_kill_after_a_stop_in_order_is_one_though_no_flush_saw_what_ran_in_between(likes: Shell) -> None:
    likes("post", "killed")
    likes("flush")
    before = likes("status", "--json").json["incidents"]
    likes("embedded", "stop")
    likes("post", "killed")
    os.kill(likes("embedded", "status", "--json").json["pid"], signal.SIGKILL)
    wait_until(lambda: not embedded.status(likes.folder / "data").running)
    likes("flush")
    status = likes("status", "--json").json
    assert status["incidents"] == before + 1
    assert status["newest_incidents"][0]["kind"] == "redis_restarted"
