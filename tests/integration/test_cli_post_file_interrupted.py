"""`likes post --file` cut short by signals or by Redis: gone on with as it says, each line is counted once."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.proxy import Proxy
from tests.servers import RedisServer
from tests.shell import Shell
from tests.waiting import wait_until

LINES = 40_000  # four chunks
MORE_THAN_TWO_CHUNKS = 25_000


@pytest.fixture
def likes(tmp_path: Path, valkey_url: str) -> Shell:
    return Shell(tmp_path, redis_url=valkey_url, shards=2, redis_timeout=60)


def start_early(likes: Shell, client: redis.Redis, *words: str) -> subprocess.Popen[bytes]:
    """It has posted 10,000 lines from stdin, and waits for more."""
    process = likes.start("post", "--file", "-", *words)
    assert process.stdin
    process.stdin.write(b"early\n" * 10_001)
    process.stdin.flush()
    wait_until(lambda: client.get(*client.keys("*:delta:likes:early") or [""]) == b"10000")
    return process


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["INT", "TERM", "HUP"]
)
def test_a_signal_while_it_reads(likes: Shell, valkey_url: str, number: signal.Signals, code: int) -> None:
    with redis.Redis.from_url(valkey_url) as client, start_early(likes, client) as process:
        process.send_signal(number)
        out, err = process.communicate()
    assert process.returncode == code
    assert out == b"10,000 lines accepted (1 item, +10,000), 0 rejected\n"
    assert err == b"Not counted: line 10001 and all after it; to go on, add --from-line 10001\n"


def test_a_signal_before_the_first_byte(likes: Shell, valkey_url: str) -> None:
    with likes.start("post", "--file", "-", "--json") as process:
        status = Path(f"/proc/{process.pid}/status")
        wait_until(lambda: int(re.search(r"SigCgt:\s*(\w+)", status.read_text())[1], 16) & 1)  # SIGHUP is heeded
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate()
    assert (process.returncode, json.loads(out)["from_line"]) == (130, 1)


@pytest.fixture
def proxied(likes: Shell, valkey_url: str) -> Iterator[Proxy]:
    with Proxy(valkey_url) as proxy:
        likes.settings["redis_url"] = proxy.url
        yield proxy


def test_a_signal_while_the_reply_is_under_way_waits_for_it(likes: Shell, proxied: Proxy) -> None:
    process = likes.start("post", "--file", "-", "--json")
    proxied.lose_reply_to("early", then=lambda: process.send_signal(signal.SIGINT))
    with process:
        out, err = process.communicate(b"early\n" * 20_000)
    assert (process.returncode, proxied.lost) == (130, 1)
    assert json.loads(out).items() >= {"accepted": 10_000, "unknown": 0, "from_line": 10_001}.items()
    assert b"--from-line 10001\n" in err
    assert likes("get", "early", "--json").json[0]["total"] == 10_000


def test_a_signal_during_the_last_reply_is_too_late_to_matter(likes: Shell, proxied: Proxy) -> None:
    process = likes.start("post", "--file", "x", "--json")
    (likes.folder / "x").write_bytes(b"early\n")
    proxied.lose_reply_to("early", then=lambda: process.send_signal(signal.SIGTERM))
    with process:
        out, _ = process.communicate()
    assert json.loads(out)["accepted"] == 1
    assert (process.returncode, json.loads(out)["from_line"]) in [(0, None), (143, 2)]


def test_another_signal_a_second_later_does_not_wait_and_names_what_is_unknown(likes: Shell, proxied: Proxy) -> None:
    process = likes.start("post", "--file", "-", "--json")

    def insist() -> None:
        process.send_signal(signal.SIGINT)
        a_second_later = time.monotonic() + 1
        wait_until(lambda: time.monotonic() > a_second_later)
        process.send_signal(signal.SIGINT)

    proxied.lose_reply_to("early", then=insist)
    with process:
        assert process.stdin
        out, err = process.communicate(b"early\n" * 20_000)
    assert process.returncode == 130
    assert json.loads(out).items() >= {"accepted": 0, "unknown": 10_000, "from_line": 10_001}.items()
    assert b"Whether these were counted is unknown: lines 1-10000\n" in err


def accepted(client: redis.Redis) -> int:
    """How much Redis was given so far."""
    return sum(int(client.hget(key, "accepted") or 0) for key in client.scan_iter("*:state"))


def a_large_file(folder: Path, form: str) -> tuple[dict[str, int], list[bytes]]:
    """So many lines, every tenth of them bad; what the good ones add up to, and the bad ones."""
    header, written = ([b"item,count\n"], b"%s,%s\n") if form == "csv" else ([], b'{"item":"%s","count":%s}\n')
    good = {f"item{number}": number % 7 + 1 for number in range(LINES) if number % 10}
    bad = [written % (b"item%d" % number, b"1.5") for number in range(0, LINES, 10)]
    every = [
        written % (b"item%d" % number, b"%d" % (number % 7 + 1)) if number % 10 else bad[number // 10]
        for number in range(LINES)
    ]
    (folder / "large").write_bytes(b"".join(header + every))
    return good, bad


def counted(client: redis.Redis) -> dict[str, int]:
    """Item -> what Redis has of it."""
    keys = list(client.scan_iter("*:delta:likes:*", count=5000))
    return {key.decode().rpartition(":")[2]: int(value) for key, value in zip(keys, client.mget(keys), strict=True)}


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_interrupted_anywhere_and_gone_on_with_each_line_is_counted_once(
    likes: Shell, valkey_url: str, tmp_path: Path, form: str
) -> None:
    good, bad = a_large_file(tmp_path, form)
    first = 2 if form == "csv" else 1  # the first line is a bad one
    at = range(first, first + LINES, 10)
    from_line, interrupted = 1, 0
    with redis.Redis.from_url(valkey_url) as client:
        while from_line:
            words = ["--from-line", str(from_line), "--rejects", f"rejects{from_line}"]
            process = likes.start("post", "--file", "large", "--json", *words)
            enough = accepted(client) + random.randrange(1, 10_000)
            wait_until(lambda: accepted(client) >= enough or process.poll() is not None)  # noqa: B023 (called at once)
            process.send_signal(number := random.choice([signal.SIGINT, signal.SIGTERM]))
            out, _ = process.communicate()
            told = json.loads(out)
            assert told["rejected"] == len([line for line in at if from_line <= line < (told["from_line"] or at.stop)])
            by_itself = 3 if told["rejected"] else 0  # it was too late to interrupt it, or it had ended already
            expected = {128 + number} if told["from_line"] else {by_itself, 128 + number, -number}
            assert process.returncode in expected
            from_line = told["from_line"]
            interrupted += from_line is not None
        assert counted(client) == good
        assert interrupted
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("rejects*"))
    assert sorted(line for line in kept.splitlines(keepends=True) if line != b"item,count\n") == sorted(bad)


def numbers(ranges: str) -> set[int]:
    """The numbers of `1-3, 5`."""
    ends = [[int(end) for end in some.split("-")] for some in ranges.split(", ")]
    return {number for some in ends for number in range(some[0], some[-1] + 1)}


def test_redis_goes_away_anywhere_and_each_line_is_counted_once_or_named(
    own_valkey: Callable[..., RedisServer], tmp_path: Path
) -> None:
    server = own_valkey()
    likes = Shell(tmp_path, redis_url=server.url, shards=2, redis_timeout=2)
    good, bad = a_large_file(tmp_path, "csv")
    lines = (tmp_path / "large").read_bytes().splitlines(keepends=True)
    with redis.Redis.from_url(server.url) as client:
        process = likes.start("post", "--file", "-", "--json", "--rejects", "rejects")
        assert process.stdin
        process.stdin.writelines(lines[:MORE_THAN_TWO_CHUNKS])
        wait_until(lambda: accepted(client) >= 12_000)
        server.kill()
        out, err = process.communicate(b"".join(lines[MORE_THAN_TWO_CHUNKS:]))
        assert process.returncode in (1, 5), err
        server.start()
        told = re.search(rb"unknown: lines (.*)", err)
        unknown = numbers(told[1].decode()) if told else set()
        assert len(unknown) == json.loads(out)["unknown"]
        kept = (tmp_path / "rejects").read_bytes().splitlines(keepends=True)
        (tmp_path / "again").write_bytes(b"".join(line for line in kept if line not in set(bad)))
        assert likes("post", "--file", "again").code == 0
        going_on = likes("post", "--file", "large", "--json", "--from-line", str(json.loads(out)["from_line"]))
        assert going_on.code == 3
        now = counted(client)
    doubtful = {f"item{number - 2}" for number in unknown}  # after the header, from 0
    assert {item: n for item, n in now.items() if item not in doubtful} == {
        item: n for item, n in good.items() if item not in doubtful
    }
    assert all(now.get(item, 0) in (0, good[item]) for item in doubtful)
    assert kept[0] == b"item,count\n"


def test_redis_away_from_the_start_leaves_all_to_be_posted(likes: Shell, tmp_path: Path) -> None:
    content = b"a\n" + b"\xff\n"
    words = ["post", "--file", "-", "--json", "--rejects", "r"]
    posted = likes(*words, stdin=content, redis_url="redis://127.0.0.1:1", redis_timeout=0.1)
    assert (posted.code, json.loads(posted.out)["rejected"], json.loads(posted.out)["from_line"]) == (5, 0, 1)
    assert not (tmp_path / "r").exists()
