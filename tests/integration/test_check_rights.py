"""`likes check` finds what a user of Redis may not do, by doing it, and says how to permit it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from likes.buffer.calls import Script
from likes.buffer.rights import OUTSIDE_SCRIPTS, READING, WRITING
from likes.connect import Places
from likes.sessions import scripts as sessions
from tests.proxy import Proxy
from tests.scenes import commands_of
from tests.servers import RedisServer
from tests.shell import Shell
from tests.snippets import CHECKOUT
from tests.waiting import wait_until
from worker.checks.finding import Level
from worker.checks.redis import check_redis

NAMES = [path.stem for path in (CHECKOUT / "likes/buffer/lua").glob("*.lua")]
OF_A_WORKER = [*map(Script, NAMES), sessions.END, sessions.SWEEP, sessions.DROP]
CALLED = {command for script in OF_A_WORKER for command in commands_of(script)}
DISPENSABLE = {"TIME"}


def test_all_that_a_script_calls_is_tried() -> None:
    assert READING.keys() | WRITING.keys() == CALLED
    assert not CALLED & OUTSIDE_SCRIPTS.keys()


@pytest.fixture
def admin(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url, protocol=2) as client:
        client.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">any", "~{likes:*", "+@all")
        yield client
        client.acl_deluser("limited")
        client.config_set("maxmemory", 0)


@pytest.fixture
def limited(redis_url: str) -> str:
    return redis_url.replace("//", "//limited:any@")


@pytest.fixture
def likes(limited: str, tmp_path: Path) -> Shell:
    return Shell(tmp_path, redis_url=limited, shards=2)


def errors(likes: Shell) -> dict[str, Any]:
    findings = likes("check", "--json").json["findings"]
    return {finding["name"]: finding for finding in findings if finding["level"] == "error"}


def found_in(redis_url: str) -> dict[str, tuple[str, str]]:
    """The same without the command around it: what is found and its fix, by name."""
    places = Places(redis_url, "sqlite://", None, redis_timeout=5, database_timeout=5)
    findings = check_redis(places, "likes", range(2))
    return {finding.name: (finding.found, finding.fix) for finding in findings if finding.level is Level.ERROR}


def type_in(admin: Any, fix: str) -> None:
    """Do what the fix says, word by word."""
    tool, *words = shlex.split(fix)
    assert tool == "redis-cli"
    admin.execute_command(*words)


@pytest.mark.parametrize("command", sorted((CALLED | OUTSIDE_SCRIPTS.keys()) - DISPENSABLE))
def test_each_command_that_is_missing_is_named_with_what_permits_it(admin: Any, limited: str, command: str) -> None:
    admin.execute_command("ACL", "SETUSER", "limited", f"-{command.lower()}")
    ((name, (found, fix)),) = found_in(limited).items()
    assert name == "permission"
    assert f"refused: {command} (" in found
    type_in(admin, fix)
    assert found_in(limited) == {}
    assert not admin.keys()


def test_several_that_are_missing_are_named_together(admin: Any, likes: Shell) -> None:
    admin.execute_command("ACL", "SETUSER", "limited", "-rpush", "-dump", "-scan")
    (found,) = errors(likes).values()
    assert "refused: SCAN, DUMP, RPUSH (" in found["found"]
    assert found["fix"] == "redis-cli ACL SETUSER limited ~{likes:* +scan +dump +rpush"
    type_in(admin, found["fix"])
    assert errors(likes) == {}


@pytest.mark.parametrize("keys", ["~{likes:0*", "~{likes:1*", "~{likes:*}:epoch*", "~other:*"])
def test_keys_that_are_missing_are_named_with_what_permits_them(admin: Any, limited: str, keys: str) -> None:
    admin.execute_command("ACL", "SETUSER", "limited", "resetkeys", keys)
    ((name, (found, fix)),) = found_in(limited).items()
    assert name == "permission"
    assert "keys of shard" in found
    type_in(admin, fix)
    assert found_in(limited) == {}


def test_without_any_way_to_run_scripts_both_are_named(admin: Any, limited: str) -> None:
    admin.execute_command("ACL", "SETUSER", "limited", "-evalsha", "-eval")
    ((_, fix),) = found_in(limited).values()
    type_in(admin, fix)
    assert found_in(limited) == {}


def test_a_full_redis_does_not_hide_what_is_not_permitted(admin: Any, limited: str) -> None:
    admin.config_set("maxmemory", 1)
    assert found_in(limited).keys() == {"memory"}
    admin.execute_command("ACL", "SETUSER", "limited", "-hincrby")
    assert "HINCRBY" in found_in(limited)["permission"][0]


def test_a_server_that_knows_no_getdel_is_too_old_whatever_it_calls_itself(
    own_valkey: Callable[..., RedisServer], tmp_path: Path
) -> None:
    server = own_valkey("--rename-command", "GETDEL", "")
    found = errors(Shell(tmp_path, redis_url=server.url))
    assert found.keys() == {"commands"}
    assert found["commands"]["found"] == "unknown to this server: GETDEL"


@pytest.mark.parametrize("tells", [True, False])
def test_a_replica_is_told_by_what_it_refuses(
    own_valkey: Callable[..., RedisServer], tmp_path: Path, tells: bool
) -> None:
    master = own_valkey("--repl-diskless-sync-delay", "0")
    replica = own_valkey("--replicaof", "127.0.0.1", str(master.port))
    with redis.Redis.from_url(replica.url) as client:
        wait_until(lambda: client.info("replication")["master_link_status"] == "up")
    with Proxy(replica.url) as proxy:
        if not tells:
            proxy.answer("INFO", "redis_version:7.2.4\r\n")
        found = errors(Shell(tmp_path, redis_url=proxy.url))
    of = f" of 127.0.0.1:{master.port}" if tells else ""
    assert {name: finding["found"].replace(",", "") for name, finding in found.items()} == {
        "redis mode": f"a replica which refuses writes{of}"
    }


def test_a_wrong_password_is_no_missing_right(admin: Any, redis_url: str, tmp_path: Path) -> None:
    found = errors(Shell(tmp_path, redis_url=redis_url.replace("//", "//limited:wrong@")))
    assert found.keys() == {"redis"}
    assert "password" in found["redis"]["fix"]
