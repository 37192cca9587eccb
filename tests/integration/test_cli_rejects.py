"""`likes post --file --rejects`: lines not counted are kept as they were, and counted once when posted again."""

from __future__ import annotations

import re
import resource
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.shell import Shell


@pytest.fixture
def likes(tmp_path: Path, valkey_url: str) -> Shell:
    return Shell(tmp_path, redis_url=valkey_url, shards=2)


def totals(likes: Shell, *items: str) -> list[int]:
    return [total["total"] for total in likes("get", *items, "--json").json]


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (
            b'\xef\xbb\xbfcounter,item,count\r\n,a,many\r\n"",b,2\nviews,c,1.5',
            b"counter,item,count\r\n,a,many\r\nviews,c,1.5\n",
        ),
        (b'{"item":"a"}\n\n {"item": "b", "count": "x"}\r\n\xff\n', b' {"item": "b", "count": "x"}\r\n\xff\n'),
        (b"a\n" + b"x" * 300_000 + b"\n" + b"y" * 256, b"x" * 300_000 + b"\n" + b"y" * 256 + b"\n"),
        (b"a\n" + b"x" * 70_000, b"x" * 70_000 + b"\n"),
    ],
    ids=["csv", "ndjson", "long", "long last"],
)
def test_bad_lines_are_kept_as_they_were(likes: Shell, tmp_path: Path, content: bytes, kept: bytes) -> None:
    (tmp_path / "in").write_bytes(content)
    posted = likes("post", "--file", "in", "--rejects", "out")
    assert posted.code == 3
    assert (tmp_path / "out").read_bytes() == kept
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}
    assert "kept in out; when mended: likes post --file out" in posted.err


def test_what_was_mended_is_posted_by_the_command_that_is_told(likes: Shell, tmp_path: Path) -> None:
    content = b'bad\n{"item":"a","x":0}\n{"item":"b","count":1e2}\n'
    words = ["--format", "ndjson", "--counter", "views", "--extra", "ignore"]
    posted = likes("post", "--file", "-", *words, "--rejects", "to mend", stdin=content)
    rejects = tmp_path / "to mend"
    rejects.write_bytes(rejects.read_bytes().replace(b"bad", b'{"item":"a","x":1}').replace(b"1e2", b"100"))
    again = re.search(r"when mended: likes (.*)", posted.err)
    assert again and likes(*shlex.split(again[1])).code == 0
    assert totals(likes, "a", "b", "-c", "views") == [2, 100]


def test_what_redis_refused_is_counted_once_when_posted_again(likes: Shell, tmp_path: Path, valkey_url: str) -> None:
    likes("post", "full")
    with redis.Redis.from_url(valkey_url) as client:
        (key,) = client.keys("*:delta:likes:full")
        client.set(key, 2**63 - 1)
        assert likes("post", "--file", "-", "--rejects", "r", stdin=b"item,count\nfull,2\nfree,3\nfull,5\n").code == 3
        client.set(key, 1)
    assert (tmp_path / "r").read_bytes() == b"item,count\nfull,2\nfull,5\n"
    assert likes("post", "--file", "r").code == 0
    assert totals(likes, "full", "free") == [8, 3]


def test_lines_that_failed_half_way_are_kept_or_else_named(likes: Shell, tmp_path: Path, valkey_url: str) -> None:
    with redis.Redis.from_url(valkey_url) as client:
        client.rpush("{likes:1}:epoch", "no string")
    lines = b"a\nb\nc\nd\ne\nf\n"  # the first three are of shard 1
    named = likes("post", "--file", "-", stdin=lines)
    kept = likes("post", "--file", "-", "--rejects", "r", stdin=lines)
    assert (named.code, kept.code) == (1, 1)
    assert "Not counted: lines 1-3\n" in named.err
    assert (tmp_path / "r").read_bytes() == b"a\nb\nc\n"
    assert "lines 1-3" not in kept.err
    assert totals(likes, "d", "e", "f") == [2, 2, 2]


def test_nothing_is_written_where_nothing_was_rejected(likes: Shell, tmp_path: Path) -> None:
    (tmp_path / "made by mktemp").touch()
    for name in ("none", "made by mktemp"):
        assert likes("post", "--file", "-", "--rejects", name, stdin=b"a\n").code == 0
    assert [(path.name, path.stat().st_size) for path in tmp_path.iterdir()] == [("made by mktemp", 0)]


def test_what_was_rejected_before_is_not_overwritten(likes: Shell, tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(b"still to post\n")
    for name in ("r", ".", "no/such/folder"):
        refused = likes("post", "--file", "-", "--rejects", name, stdin=b"a\n")
        assert (refused.code, refused.out) == (2, ""), refused
    assert (tmp_path / "r").read_bytes() == b"still to post\n"
    assert totals(likes, "a") == [0]


def test_a_disk_that_is_full_leaves_no_half_line_and_names_the_rest(likes: Shell, tmp_path: Path) -> None:
    bad = [b"x" * 256 + b"\n", b"a\n"]
    (tmp_path / "in").write_bytes(b"".join(bad * 15_000))
    process = subprocess.run(
        [sys.executable, "-m", "likes", "post", "--file", "in", "--rejects", "out"],
        cwd=tmp_path,
        env=likes.environment(),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000)),
    )
    assert process.returncode == 1
    assert (tmp_path / "out").read_bytes() == bad[0] * 5000
    left = ", ".join(str(number) for number in range(10_001, 20_001, 2))
    assert f"'out' cannot be written: File too large; not counted, and not kept: lines {left}\n" in process.stderr
    assert "to go on, add --from-line 20001\n" in process.stderr
    assert totals(likes, "a") == [10_000]
