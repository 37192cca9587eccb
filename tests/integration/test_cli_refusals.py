"""What the command refuses, how it says so, and with which exit code. Nobody ever sees a traceback or a password."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from likes import embedded
from tests.shell import Shell

REDIS_AWAY = "redis://user:hunter2@127.0.0.1:1/0"
DATABASE_AWAY = "postgresql://user:hunter2@127.0.0.1:1/likes"


@pytest.fixture(scope="module")
def likes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    shell = Shell(tmp_path_factory.mktemp("likes"))
    yield shell
    embedded.stop(shell.folder / "data")


@pytest.fixture
def nowhere(tmp_path: Path) -> Shell:
    """A command whose servers are away: what it refuses, it refuses before it asks them."""
    return Shell(tmp_path, redis_url=REDIS_AWAY, database_url=DATABASE_AWAY, redis_timeout=1, database_timeout=1)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([""], "item is empty"),
        (["x" * 256], "has 256 bytes; 255 are allowed"),
        (["a\tb"], "has a control character"),
        ([b"\xff"], "is not valid UTF-8"),
        (["a", "-n", "1.5"], "count '1.5' is not a whole number"),
        (["a", "-n", "true"], "count 'true' is not a whole number"),
        (["a", "-n", '"3"'], "is not a whole number"),
        (["a", "-n", "2147483649"], "is not within ±2147483648"),
        (["a", "--counter", "a b"], "counter 'a b' is not 1 to 64 of"),
        ([], "give an ITEM, or --file"),
        (["a", "--file", "b"], "not both"),
        (["--file", "b", "-n", "3"], "--count is for an ITEM"),
        (["a", "--strict"], "are for --file"),
        (["a", "--format", "csv"], "are for --file"),
        (["--file", "no such file"], "'no such file' cannot be read: No such file or directory"),
        (["--file", "x", "--format", "xml"], "xml"),
        (["a", "--bogus"], "No such option: --bogus"),
    ],
)
def test_wrong_use_of_post(nowhere: Shell, words: list[str | bytes], reason: str) -> None:
    refused = nowhere("post", *words)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("Error: ")
    assert reason in refused.err
    assert len(refused.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["totals", b"\xff"], "is not valid UTF-8"),
        (["totals", "a\nb"], "has a control character"),
        (["totals", "--counter", "a b"], "counter 'a b' is not 1 to 64 of"),
        (["totals", "--top", "9" * 20], "--top"),
        (["history", "--limit", "9" * 20], "--limit"),
        (["history", "--shard", "1024"], "--shard"),
    ],
)
def test_wrong_use_of_what_reads_the_database(nowhere: Shell, words: list[str | bytes], reason: str) -> None:
    refused = nowhere(*words)
    assert (refused.code, refused.out) == (2, "")
    assert reason in refused.err
    assert len(refused.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("setting", "url", "shown"),
    [
        ("redis_url", "redis://u:hunter2@h:x/0", "'redis://u:***@h:x/0'; it does not parse; allowed: redis://HOST"),
        ("redis_url", "redis+sentinel://h?sentinel_password=hunter2", "sentinel_password=***'; it does not say what"),
        ("database_url", "postgresql://u:hunter2@h:1", "'postgresql://u:***@h:1'; allowed: sqlite:////PATH/FILE"),
        ("database_url", "foo", "'foo'; allowed: sqlite:////PATH/FILE, (postgresql|mysql|mariadb)://HOST:PORT/NAME"),
    ],
)
def test_a_wrong_url_is_shown_without_its_password(nowhere: Shell, setting: str, url: str, shown: str) -> None:
    refused = nowhere("get", "a", **{setting: url})
    assert refused.code == 2
    assert shown in refused.err
    assert "hunter2" not in refused.err


def test_every_wrong_setting_is_named(nowhere: Shell) -> None:
    refused = nowhere("get", "a", "--shards", "0", interval="soon", redis_url="http://u:hunter2@h/")
    assert refused.code == 2
    assert "LIKES_SHARDS is '0'; allowed: " in refused.err
    assert "LIKES_INTERVAL is 'soon'; allowed: " in refused.err
    assert "LIKES_REDIS_URL is 'http://u:***@h/'; allowed: " in refused.err
    assert len(refused.err.splitlines()) == 3


@pytest.mark.parametrize("words", [["post", "a"], ["get", "a"], ["flush"], ["audit"]])
def test_redis_is_away(likes: Shell, words: list[str]) -> None:
    away = likes(*words, redis_url=REDIS_AWAY, redis_timeout=1)
    assert (away.code, away.out) == (5, "")
    assert away.err.startswith("Error: Redis at 127.0.0.1:1 cannot be reached")
    assert len(away.err.splitlines()) == 1
    assert "hunter2" not in away.err


@pytest.mark.parametrize("words", [["get", "a"], ["totals"], ["flush"], ["migrate"]])
def test_the_database_is_away(likes: Shell, words: list[str]) -> None:
    away = likes(*words, "-v", database_url=DATABASE_AWAY, database_timeout=1)
    assert (away.code, away.out) == (5, "")
    assert away.err.splitlines()[-1].startswith("Error: PostgreSQL at 127.0.0.1:1")
    assert away.err.startswith("Traceback")  # which -v asks for
    assert "hunter2" not in away.err


def test_posting_does_not_need_the_database(likes: Shell) -> None:
    assert likes("post", "a", database_url=DATABASE_AWAY).code == 0


def test_a_check_finds_servers_that_are_away(nowhere: Shell) -> None:
    checked = nowhere("check", "--json")
    assert checked.code == 1
    assert not checked.json["ok"]
    errors = {finding["name"]: finding for finding in checked.json["findings"] if finding["level"] == "error"}
    assert errors.keys() == {"redis", "database"}
    assert all(finding["fix"] for finding in errors.values())
    assert "hunter2" not in checked.out + checked.err


def test_a_misspelt_variable_is_a_warning(likes: Shell) -> None:
    checked = likes("check", "--json", intervall="1")
    assert checked.code == 0
    (warning,) = [finding for finding in checked.json["findings"] if finding["level"] == "warning"]
    assert (warning["name"], warning["fix"]) == ("LIKES_INTERVALL", "unset LIKES_INTERVALL")
    assert warning["found"].endswith("is LIKES_INTERVAL meant?")


def test_a_database_of_another_redis_is_refused_until_it_is_adopted(likes: Shell) -> None:
    likes("post", "a")
    likes("flush")
    moved = {"redis_name": "elsewhere"}
    refused = likes("flush", **moved)
    assert refused.code == 1
    assert "likes adopt" in refused.err
    audited = likes("audit", **moved)
    assert (audited.code, audited.out, audited.err) == (1, "", refused.err)
    assert "belongs to the Redis" in likes("status", **moved).out
    unsure = likes("adopt", **moved)
    assert (unsure.code, unsure.out) == (2, "")
    adopted = likes("adopt", "--yes", "--json", **moved).json
    assert adopted["to"] == "elsewhere"
    assert adopted["shards"] == 16
    assert likes("flush", **moved).code == 0
    (incident,) = likes("status", "--json", **moved).json["newest_incidents"]
    assert incident["kind"] == "redis_adopted"
    assert adopted["from"][0] in incident["detail"]


def test_what_nobody_thought_of_is_one_line_too(likes: Shell, tmp_path: Path) -> None:
    (tmp_path / "likes.db").mkdir()
    failed = likes("totals", database_url=f"sqlite:///{tmp_path}/likes.db")
    assert failed.code in (1, 5)
    assert len(failed.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("setting", "url", "reason"),
    [
        ("database_url", f"{DATABASE_AWAY}?sslmode=bogus", "its option sslmode is 'bogus'; allowed: disable, "),
        ("database_url", f"{DATABASE_AWAY}?sslmod=require", "(did you mean sslmode?)"),
        ("database_url", "postgresql://127.0.0.1:99999/likes", "its port is 99999; allowed: 1 to 65535"),
        ("redis_url", f"{REDIS_AWAY}?timeout=3", "the option 'timeout'"),
    ],
)
@pytest.mark.parametrize("command", ["flush", "check", "worker"])
def test_a_url_with_a_wrong_option_is_a_wrong_setting(
    nowhere: Shell, command: str, setting: str, url: str, reason: str
) -> None:
    refused = nowhere(command, **{setting: url})
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith(f"Error: LIKES_{setting.upper()} is ")
    assert reason in refused.err
    assert "hunter2" not in refused.err
