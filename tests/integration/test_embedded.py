"""The embedded Redis, with real processes: one server a folder, whoever starts it, whatever kills it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from likes import embedded
from likes.buffer.lineage import LINEAGE, STOPPED
from likes.embedded.home import Home
from likes.errors import LikesError, RedisUnavailable
from tests.waiting import wait_until
from tests.warm import CHECKOUT

NOBODY = 65534
AS_ROOT = os.geteuid() == 0


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "data"
    yield folder
    with suppress(LikesError):
        embedded.stop(folder)


@pytest.fixture
def python() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a Python process with likes at hand, in a process group of its own; gone after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, *arguments: object) -> subprocess.Popen[str]:
        words = [sys.executable, "-c", code, *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(words, env=environment, text=True, process_group=0, **pipes))
        return started[-1]

    yield start
    for process in started:
        with process:
            process.kill()


def client(data_dir: Path) -> redis.Redis:
    return redis.Redis.from_url(embedded.ensure_running(data_dir), decode_responses=True)


def pid_of(data_dir: Path) -> int:
    pid = embedded.status(data_dir).pid
    assert pid
    return pid


def kill(data_dir: Path) -> None:
    os.kill(pid_of(data_dir), signal.SIGKILL)
    wait_until(lambda: not embedded.status(data_dir).running)


INCREMENT = """
import sys, redis
from pathlib import Path
from likes import embedded
sys.stdin.readline()
url = embedded.ensure_running(Path(sys.argv[1]))
with redis.Redis.from_url(url) as client:
    client.incr("n")
print(embedded.status(Path(sys.argv[1])).pid)
"""


def all_at_once(starters: list[subprocess.Popen[str]]) -> list[str]:
    """Let them go once all are there; what they say."""
    for starter in starters:
        assert starter.stdin
        starter.stdin.write("now\n")
        starter.stdin.flush()
    answers = [starter.communicate(timeout=60) for starter in starters]
    assert [error for _, error in answers] == [""] * len(starters)
    return [said for said, _ in answers]


def test_eight_processes_at_once_start_one_server(data_dir: Path, python: Callable[..., subprocess.Popen[str]]) -> None:
    said = all_at_once([python(INCREMENT, data_dir) for _ in range(8)])
    assert len(set(said)) == 1
    with client(data_dir) as redis_:
        assert redis_.get("n") == "8"


def test_what_was_counted_is_there_after_kill_9(data_dir: Path) -> None:
    for expected in range(1, 4):
        with client(data_dir) as redis_:
            assert redis_.incr("n") == expected
        kill(data_dir)
        assert (data_dir / "redis" / Home.SOCKET).exists()


def test_eight_processes_after_kill_9_start_one_server(
    data_dir: Path, python: Callable[..., subprocess.Popen[str]]
) -> None:
    with client(data_dir) as redis_:
        redis_.set("n", 100)
    kill(data_dir)
    said = all_at_once([python(INCREMENT, data_dir) for _ in range(8)])
    assert len(set(said)) == 1
    with client(data_dir) as redis_:
        assert redis_.get("n") == "108"


def test_ctrl_c_does_not_reach_the_server(data_dir: Path, python: Callable[..., subprocess.Popen[str]]) -> None:
    starter = python(INCREMENT + "sys.stdout.flush()\nsys.stdin.readline()\n", data_dir)
    assert starter.stdin
    assert starter.stdout
    starter.stdin.write("now\n")
    starter.stdin.flush()
    pid = int(starter.stdout.readline())
    os.killpg(starter.pid, signal.SIGINT)
    assert starter.wait(10) == -signal.SIGINT
    assert pid_of(data_dir) == pid
    assert os.getsid(pid) == os.getpgid(pid) == pid


def test_it_is_stopped_with_everything_on_disk(data_dir: Path) -> None:
    assert embedded.stop(data_dir) is False
    assert not data_dir.exists()
    with client(data_dir) as redis_:
        redis_.incr("n")
    assert embedded.stop(data_dir) is True
    assert embedded.status(data_dir) == embedded.EmbeddedStatus(running=False, socket=data_dir / "redis" / Home.SOCKET)
    with client(data_dir) as redis_:
        assert redis_.get("n") == "1"


def lineage(data_dir: Path) -> list[str]:
    with client(data_dir) as redis_:
        run_ids: list[str] = redis_.lrange(LINEAGE, 0, -1)
        assert run_ids[0] == redis_.info("server")["run_id"]
        return run_ids


def test_its_lineage_goes_on_through_stops_in_order(data_dir: Path) -> None:
    first = lineage(data_dir)
    assert len(first) == 1
    assert lineage(data_dir) == first
    embedded.stop(data_dir)
    second = lineage(data_dir)
    assert second[1:] == first
    embedded.stop(data_dir)
    assert lineage(data_dir)[1:] == second
    kill(data_dir)
    assert len(lineage(data_dir)) == 1


def test_a_stop_that_is_refused_leaves_no_trace(data_dir: Path) -> None:
    before = lineage(data_dir)
    with client(data_dir) as redis_:
        redis_.config_set("appendonly", "no")
        redis_.config_set("save", "1 1")
    (data_dir / "redis" / "dump.rdb").mkdir()  # where it wants to save
    with pytest.raises(LikesError, match="will not stop: -ERR"):
        embedded.stop(data_dir)
    assert lineage(data_dir) == before
    (data_dir / "redis" / "dump.rdb").rmdir()


def test_it_takes_no_writes_before_its_lineage_is_known(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or likes it accepted and lost before would be taken for kept."""
    first = lineage(data_dir)
    embedded.stop(data_dir)
    with monkeypatch.context() as patched:
        patched.setattr(embedded, "let_write", lambda _home: None)  # whoever started it died
        url = embedded.ensure_running(data_dir)
    with redis.Redis.from_url(url, retry=None) as early, pytest.raises(redis.ResponseError, match="NOREPLICAS"):
        early.incr("n")
    kill(data_dir)
    assert lineage(data_dir)[1:] == first  # the one in between accepted nothing


def test_a_server_that_takes_no_writes_yet_is_stopped_without_a_mark(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one before it was killed, so its lineage ends there."""
    first = lineage(data_dir)
    kill(data_dir)
    with monkeypatch.context() as patched:
        patched.setattr(embedded, "let_write", lambda _home: None)
        embedded.ensure_running(data_dir)
    assert embedded.stop(data_dir)
    assert first[0] not in lineage(data_dir)


def test_a_stop_that_was_never_carried_out_is_forgotten(data_dir: Path) -> None:
    before = lineage(data_dir)
    with client(data_dir) as redis_:
        redis_.lpush(LINEAGE, STOPPED)
    assert lineage(data_dir) == before


def test_it_says_how_it_is(data_dir: Path) -> None:
    with client(data_dir) as redis_:
        redis_.incr("n")
    wait_until(lambda: (embedded.status(data_dir).aof_size or 0) > 0)
    status = embedded.status(data_dir)
    assert status.running
    assert status.binary
    assert status.binary.is_file()
    assert status.version
    assert int(status.version.split(".")[0]) >= 6
    assert status.memory
    assert status.memory > 100_000


def test_it_keeps_what_it_is_told_and_is_its_owners_alone(data_dir: Path) -> None:
    with client(data_dir) as redis_:
        options = redis_.config_get("*")
    assert (options["appendonly"], options["appendfsync"], options["maxmemory-policy"]) == (
        "yes",
        "everysec",
        "noeviction",
    )
    assert (options["port"], options["save"]) == ("0", "")
    assert data_dir.stat().st_mode & 0o777 == 0o700
    home = data_dir / "redis"
    assert home.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in home.rglob("*"))


@pytest.mark.parametrize("name", ["x" * 150, "a b?#%é", "./..data"])
def test_any_path_will_do(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    try:
        with client(folder) as redis_:
            redis_.incr("n")
        kill(folder)
        with client(folder) as redis_:
            assert redis_.get("n") == "1"
        assert (folder / "redis" / Home.SOCKET).is_socket()
    finally:
        embedded.stop(folder)


def test_a_folder_known_by_two_names_has_one_server(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / ("link" * 40)).symlink_to(data_dir)
    with client(data_dir) as redis_, client(tmp_path / ("link" * 40)) as same:
        redis_.incr("n")
        assert same.incr("n") == 2


def test_other_files_of_the_folder_are_left_alone(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o755)
    data_dir.chmod(0o755)
    embedded.ensure_running(data_dir)
    assert data_dir.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(("path", "reason"), [("file/data", "Not a directory"), ("file", "File exists")])
def test_a_path_that_is_no_folder(tmp_path: Path, path: str, reason: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LikesError, match=rf"{tmp_path / path} cannot be used: {reason}; .*LIKES_DATA_DIR$"):
        embedded.ensure_running(tmp_path / path)


def test_a_folder_in_no_home() -> None:
    with pytest.raises(LikesError, match="there is no such home; set HOME"):
        embedded.ensure_running(Path("~nobody-of-that-name/likes"))


REFUSED = """
import os, sys
from pathlib import Path
from likes import embedded, errors
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
try:
    embedded.ensure_running(Path(sys.argv[1]))
except errors.LikesError as error:
    print(error)
"""


def test_a_read_only_folder(tmp_path: Path, python: Callable[..., subprocess.Popen[str]]) -> None:
    tmp_path.chmod(0o500)
    said, error = python(REFUSED, tmp_path, NOBODY).communicate(timeout=30)
    tmp_path.chmod(0o700)
    assert error == ""
    assert said.startswith(f"data folder {tmp_path} cannot be used: ")
    assert said.count("\n") == 1


@pytest.mark.skipif(not AS_ROOT, reason="only root can give a folder away")
def test_a_folder_of_another_user(data_dir: Path) -> None:
    (data_dir / "redis").mkdir(parents=True)
    os.chown(data_dir / "redis", NOBODY, NOBODY)
    with pytest.raises(LikesError, match="redis/ in it belongs to another user"):
        embedded.ensure_running(data_dir)
    (data_dir / "redis").rmdir()


def test_nothing_can_be_written(data_dir: Path, python: Callable[..., subprocess.Popen[str]]) -> None:
    full = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
    said, error = python(full + REFUSED, data_dir, os.geteuid()).communicate(timeout=30)
    assert error == ""
    assert said.startswith("the embedded Redis does not start: ")
    assert said.count("\n") == 1


def test_an_append_only_file_that_is_broken_is_left_for_its_owner_to_mend(data_dir: Path) -> None:
    embedded.ensure_running(data_dir)
    embedded.stop(data_dir)
    written = increments_of(data_dir)
    written.write_bytes(b"*1\r\n$4\r\ngarbage\r\n")
    with pytest.raises(LikesError, match=r"does not start: .*append only file.*; see .*redis\.log$"):
        embedded.ensure_running(data_dir)
    assert written.read_bytes() == b"*1\r\n$4\r\ngarbage\r\n"


def test_a_long_load_is_waited_for(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded.ensure_running(data_dir)
    embedded.stop(data_dir)
    increments_of(data_dir).write_bytes(b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n" * 2_000_000)
    heard: list[str] = []
    ping = Home.ping
    monkeypatch.setattr(Home, "ping", lambda home: heard.append(ping(home)) or heard[-1])
    with client(data_dir) as redis_:
        assert redis_.get("n") == "2000000"
    assert any(reply.startswith("-LOADING") for reply in heard)


def test_a_frozen_server_is_named_and_no_second_one_is_started(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded.ensure_running(data_dir)
    pid = pid_of(data_dir)
    monkeypatch.setattr(embedded, "PATIENCE", 0.1)
    monkeypatch.setattr("likes.embedded.home.ANSWER_TIMEOUT", 0.1)
    os.kill(pid, signal.SIGSTOP)
    try:
        for call in (embedded.ensure_running, embedded.status, embedded.stop):
            with pytest.raises(RedisUnavailable, match=rf"\(process {pid}\) .* does not answer"):
                call(data_dir)
    finally:
        os.kill(pid, signal.SIGCONT)
    monkeypatch.undo()
    wait_until(lambda: Home(data_dir / "redis").ping())
    assert pid_of(data_dir) == pid


def test_a_socket_that_was_removed_starts_no_second_server(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded.ensure_running(data_dir)
    pid = pid_of(data_dir)
    (data_dir / "redis" / Home.SOCKET).rename(data_dir / "redis" / "aside")
    monkeypatch.setattr(embedded, "PATIENCE", 0.1)
    with pytest.raises(RedisUnavailable, match=rf"\(process {pid}\)"):
        embedded.ensure_running(data_dir)
    (data_dir / "redis" / "aside").rename(data_dir / "redis" / Home.SOCKET)
    assert pid_of(data_dir) == pid


def test_without_the_wheel_the_server_on_the_path_is_used(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = embedded.binary.find_server()
    monkeypatch.setattr("likes.embedded.binary.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LikesError, match=r"there is no Redis to start: .*LIKES_REDIS_URL"):
        embedded.ensure_running(data_dir)
    (tmp_path / "redis-server").symlink_to(real)
    embedded.ensure_running(data_dir)
    assert embedded.status(data_dir).binary == tmp_path / "redis-server"


def test_a_locale_that_is_not_installed(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "xx_YY.UTF-8")
    with client(data_dir) as redis_:
        assert redis_.ping()


def increments_of(data_dir: Path) -> Path:
    (written,) = (data_dir / "redis" / "appendonlydir").glob("*.incr.aof")
    return written
