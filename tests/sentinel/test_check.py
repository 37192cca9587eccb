"""`likes check` names what is wrong with Sentinels; and once its fix was typed in, nothing is."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.running_servers import running
from tests.sentinels import DOWN_AFTER, PATIENCE, SERVICE, Node, Watched
from tests.servers import RedisServer
from tests.shell import Shell
from tests.waiting import wait_until

NAMES = ("sentinels", "failover", "redis", "redis mode", "permission")


@pytest.fixture
def likes(watched: Watched, tmp_path: Path) -> Shell:
    return Shell(tmp_path, redis_url=watched.url)


def wrong(likes: Shell) -> list[dict[str, Any]]:
    """The findings about Sentinels, and those that nothing works at all."""
    findings = likes("check", "--json").json["findings"]
    return [each for each in findings if each["level"] in ("warning", "error") and each["name"] in NAMES]


def finding(likes: Shell, name: str) -> dict[str, Any]:
    """The first one of that name, once there is one."""
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        found[:] = [each for each in wrong(likes) if each["name"] == name]
        return bool(found)

    wait_until(is_there, PATIENCE)
    return found[0]


def type_in(likes: Shell, fix: str) -> None:
    """Do what a fix says, word by word."""
    for line in fix.split("; "):
        tool, *words = shlex.split(line)
        if tool == "export":
            name, _, value = words[0].partition("=")
            likes.settings[name.removeprefix("LIKES_").lower()] = value
        else:
            host_flag, host, port_flag, port, *command = words
            assert (tool, host_flag, port_flag) == ("redis-cli", "-h", "-p")
            with redis.Redis(host, int(port), protocol=2) as client:
                client.execute_command(*command)


def is_mended(likes: Shell, found: dict[str, Any]) -> None:
    type_in(likes, found["fix"])
    wait_until(lambda: wrong(likes) == [], PATIENCE)


def test_nothing_is_wrong(watched: Watched, likes: Shell) -> None:
    assert wrong(likes) == []
    findings = likes("check", "--json").json["findings"]
    (found,) = [each["found"] for each in findings if each["name"] == "sentinels"]
    assert found == f"3 of 3 name Redis at {watched.master().address}"
    (told,) = [each["found"] for each in findings if each["name"] == "redis"]
    assert told.startswith(f"Redis at {watched.master().address}: Valkey ")


def test_some_of_them_are_not_named(watched: Watched, likes: Shell) -> None:
    likes.settings["redis_url"] = watched.url_of(watched.sentinels[:2])
    (found,) = wrong(likes)
    assert found["found"] == "there are 3, and LIKES_REDIS_URL names 2"
    is_mended(likes, found)
    likes.settings["redis_url"] = watched.url_of(watched.sentinels[:2]).replace("://", "://:s3cret@")
    assert "s3cret" not in str(wrong(likes))


def test_one_watches_a_stranger(watched: Watched, likes: Shell, own_valkey: Callable[..., RedisServer]) -> None:
    last = watched.sentinels[-1]
    with closing(Node(own_valkey())) as stranger:
        last("SENTINEL", "REMOVE", SERVICE)
        last("SENTINEL", "MONITOR", SERVICE, "127.0.0.1", stranger.server.port, 1)
        (found,) = [each for each in wrong(likes) if "has no say" in each["found"]]
        assert f"the Sentinel at {last.address} names {stranger.address}" in found["found"]
        is_mended(likes, found)
        watched.set("down-after-milliseconds", DOWN_AFTER)


def test_one_watches_nothing(watched: Watched, likes: Shell) -> None:
    last = watched.sentinels[-1]
    last("SENTINEL", "REMOVE", SERVICE)
    (found,) = wrong(likes)
    assert found["found"] == f"the Sentinel at {last.address} watches no {SERVICE}"
    is_mended(likes, found)
    watched.set("down-after-milliseconds", DOWN_AFTER)


def test_a_quorum_that_cannot_be_had(watched: Watched, likes: Shell) -> None:
    for sentinel in watched.sentinels:
        sentinel("SENTINEL", "SET", SERVICE, "quorum", 5)
    (found,) = wrong(likes)
    assert found["name"] == "failover"
    assert "Not enough available Sentinels to reach the specified quorum" in found["found"]
    is_mended(likes, found)


def test_some_are_away(watched: Watched, likes: Shell) -> None:
    first, second, third = watched.sentinels
    third.server.kill()
    (found,) = wrong(likes)
    assert found["found"].startswith(f"the Sentinel at {third.address} cannot be reached: ")
    assert found["level"] == "warning"
    second.server.kill()
    likes.settings["redis_timeout"] = 1  # as nobody will answer
    named, *away = [each for each in wrong(likes) if each["name"] == "sentinels"]
    assert (named["level"], named["fix"]) == ("error", "start those that do not answer")
    assert [each["level"] for each in away] == ["warning"] * 2
    likes.settings["redis_url"] = watched.url_of([first])
    first("SENTINEL", "SET", SERVICE, "down-after-milliseconds", 1000)
    found = finding(likes, "failover")
    first("SENTINEL", "SET", SERVICE, "down-after-milliseconds", DOWN_AFTER)
    assert found["fix"].startswith("start those that are away, of ")
    assert second.address in found["fix"]


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Shell]:
    """A master without replicas, and one Sentinel."""
    with running(lambda: Watched(servers=1, sentinels=1)) as watched:
        yield Shell(tmp_path, redis_url=watched.url)


def test_one_alone_and_no_replica(alone: Shell) -> None:
    failover, sentinels = sorted(wrong(alone), key=lambda each: str(each["name"]))
    assert failover["found"].endswith("has no replica: when it dies, nothing takes its place")
    assert sentinels["found"] == "1: with one away nobody knows who is master, and nothing fails over"


def test_rights_that_are_missing(watched: Watched, likes: Shell) -> None:
    url = watched.url
    rules = ("on", ">change-me", "~*", "+@all")
    for server in watched.servers:
        server("ACL", "SETUSER", "me", "reset", *rules, "-role")
    for sentinel in watched.sentinels:
        sentinel("ACL", "SETUSER", "me", "reset", *rules, "-sentinel", "+sentinel|get-master-addr-by-name")
    try:
        secret = "sentinel_username=me&sentinel_password=change-me"
        likes.settings["redis_url"] = f"{url}?{secret}".replace("://", "://me:change-me@")
        found = wrong(likes)
        assert [each["name"] for each in found] == ["sentinels"] * 3 + ["permission"]
        for each in found:
            type_in(likes, each["fix"])
        assert wrong(likes) == []
    finally:
        for each in (*watched.servers, *watched.sentinels):
            each("ACL", "DELUSER", "me")
